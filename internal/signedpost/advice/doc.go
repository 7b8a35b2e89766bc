// SPDX-License-Identifier: Apache-2.0

// Package advice owns what follows for an outbox from the answer of a receiver that was posted to: package signedpost carries, and
// knows of no tries.
package advice
