// SPDX-License-Identifier: Apache-2.0

// Package storagecmd owns the command "store" (Caddy has a "storage" of its own, for certificates): what an operator does to a whole store. A store that a running server has open is reached
// through its admin endpoint, since one process alone can open a Badger folder; any other is opened here. Progress goes to standard error,
// results to standard output.
package storagecmd
