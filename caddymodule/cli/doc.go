// SPDX-License-Identifier: Apache-2.0

// Package cli owns the command line: one Caddy command "gatehouse" whose subcommands speak to the admin API of the running
// server. It never opens the store, which the server holds, and never takes a password as an argument, which other users
// of the machine could read.
package cli
