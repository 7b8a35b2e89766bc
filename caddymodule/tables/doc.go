// SPDX-License-Identifier: Apache-2.0

// Package tables owns the list of all that the program keeps: each package says what its tables are, and this one puts them together for
// whoever looks after a whole store.
package tables
