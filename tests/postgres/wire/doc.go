// SPDX-License-Identifier: Apache-2.0

// Package wire owns what stands in tests between a store and PostgreSQL: on loopback, knowing the messages of the protocol, it holds up,
// cuts and changes what a test tells it to, one message or a whole round trip at a time.
package wire
