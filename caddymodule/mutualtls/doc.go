// SPDX-License-Identifier: Apache-2.0

// Package mutualtls owns the configuration of clients that show certificates (RFC 8705): where connections are asked for them, which
// authorities issue them, and which are a client's.
package mutualtls
