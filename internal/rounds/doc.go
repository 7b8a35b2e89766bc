// SPDX-License-Identifier: Apache-2.0

// Package rounds owns how something is done again and again in the background, and what the log has of it when it fails: one line
// when that begins and one when it ends, however often it was tried between.
package rounds
