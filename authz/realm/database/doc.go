// SPDX-License-Identifier: Apache-2.0

// Package database owns the login module for people whose users live in a table of their own, in PostgreSQL or SQLite. It
// reads one row by a query of the operator's, verifies the password against the hash in it, and says who that is there; the
// engine finds out who that is here.
//
// The query is a single SELECT with the login name as its only parameter, and runs read-only by the database's own rules: the
// transaction and the connection are. Somebody who is unknown, is inactive, or has no password or one that is stored unusably
// gets the answer of somebody whose password is wrong, after the same work.
package database
