// SPDX-License-Identifier: Apache-2.0

// Package postgres owns a database server for tests: Debian's PostgreSQL on a socket in a folder of its own, run by a user
// without rights, with an empty database for each test that asks and nothing that outlives the test; a standby that follows it, and
// PgBouncer before it, for the tests that want them.
package postgres
