// SPDX-License-Identifier: Apache-2.0

// Package storageadmin owns what Caddy's admin endpoint offers to whoever looks after the store of a running server, which alone can open
// it: to read a snapshot of all of it, to check it, and to count what is in it. What is sealed stays sealed.
package storageadmin
