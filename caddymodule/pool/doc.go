// SPDX-License-Identifier: Apache-2.0

// Package pool owns what outlives a reload: the open store, the view of what is revoked, and where they log. A configuration
// takes a node in Provision, where nothing is opened, and gives it back in Cleanup, so that a reload that fails never closes
// the store under the configuration that runs.
package pool
