// SPDX-License-Identifier: Apache-2.0

// Package intake owns the reading of an authorization request: what its parameters, at whatever endpoint they arrive, say
// about scopes, levels, ages and people, and which realms that means. Where an answer goes is for the endpoint.
package intake
