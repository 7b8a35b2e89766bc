// SPDX-License-Identifier: Apache-2.0

// Package endpoint owns the client registration endpoint (RFC 7591 3) and the client configuration endpoint (RFC 7592 2): who is
// admitted, how fast, and what they are answered.
package endpoint
