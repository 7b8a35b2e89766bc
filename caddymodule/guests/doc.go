// SPDX-License-Identifier: Apache-2.0

// Package guests owns the guest modules that Gatehouse ships: each is a configuration struct around a plain package, and a
// pattern for guests of others.
package guests
