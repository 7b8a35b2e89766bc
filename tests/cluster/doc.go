// SPDX-License-Identifier: Apache-2.0

// Package cluster proves that several nodes on one PostgreSQL database are one gateway: real processes behind a balancer that sends each
// connection to another, of which some are killed, while the database is restarted.
package cluster
