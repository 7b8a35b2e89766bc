// SPDX-License-Identifier: Apache-2.0

// Package certtest owns the certificates of tests: authorities, and what they issue.
package certtest
