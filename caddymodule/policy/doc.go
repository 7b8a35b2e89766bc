// SPDX-License-Identifier: Apache-2.0

// Package policy owns what a rule means in words, and which rules a request would meet: it asks the matchers of the running
// configuration with a request that is never sent.
package policy
