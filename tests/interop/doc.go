// SPDX-License-Identifier: Apache-2.0

// Package interop owns the tests in which software of others meets a real Gatehouse: resource servers in other languages that
// check its tokens, a back end that asks people on their phones with a library from npm, an app that registers with the same, clients that
// bind their tokens to keys and certificates.
package interop
