// SPDX-License-Identifier: Apache-2.0

package wire

import "github.com/gatehouse-id/gatehouse/internal/oauth"

// Caller is the client that a request comes from, and what it may do.
type Caller struct {
	ClientID string
	Scopes   oauth.Scopes
}

// ScopePrefix is how the scopes of the API begin, and no others.
const ScopePrefix = "gatehouse:"
