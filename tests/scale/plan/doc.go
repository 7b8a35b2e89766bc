// SPDX-License-Identifier: Apache-2.0

// Package plan owns the arithmetic of sizes: from what requests were measured to cost, and from how people use a gateway, it computes what
// so many of them ask of nodes and of PostgreSQL, and what gives way first. It measures nothing.
package plan
