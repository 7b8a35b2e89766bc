// SPDX-License-Identifier: Apache-2.0

// Package call owns one request that is paid for: what is known of it when it fails.
//
// Gateways take a message twice when they are asked twice. So a request that fails is judged by how far it came. Before a byte of it
// was written, nothing was sent, and it may be tried again. After that nobody knows, whatever broke: it is ambiguous, and nothing but
// an answer of the gateway changes that.
package call
