// SPDX-License-Identifier: Apache-2.0

// Command scale computes what so many users ask of nodes and of PostgreSQL: requests, processors, transactions, connections, bytes, and
// what gives way first. It computes with what one request of each kind was measured to cost, which go run ./tests/bench -only costs writes to
// tests/scale/plan/costs.json, and with a profile of how people use the gateway, which flags change.
//
// Usage: go run ./tests/scale [-users 1e5,1e7,1e9] [-logins 0.3] [-refreshes 8] [-peak 3] [-cores 8] [-table all] ...
package main
