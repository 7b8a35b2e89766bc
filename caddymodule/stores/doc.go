// SPDX-License-Identifier: Apache-2.0

// Package stores owns the guest modules of the namespace gatehouse.storage: each is a configuration struct around an engine.
package stores
