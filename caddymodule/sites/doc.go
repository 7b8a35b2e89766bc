// SPDX-License-Identifier: Apache-2.0

// Package sites owns what the routes of Caddy's HTTP app say about protected sites: which rules stand in one block, where
// browsers may log in, and whether they come back from there.
package sites
