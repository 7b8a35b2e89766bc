// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"net/netip"
	"slices"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Caller is the client that a request comes from, and what it may do.
type Caller struct {
	ClientID string
	Scopes   oauth.Scopes
	// Networks are those that the client may call from; none is any.
	Networks []netip.Prefix
}

// MayCallFrom reports whether the client may call from an address, as text. An IPv4 address in IPv6 clothes (::ffff:0:0/96) is judged
// as what it is. What is no address is in no network.
func (c *Caller) MayCallFrom(address string) bool {
	if len(c.Networks) == 0 {
		return true
	}
	at, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	at = at.Unmap().WithZone("")
	return slices.ContainsFunc(c.Networks, func(n netip.Prefix) bool { return n.Contains(at) })
}

// ScopePrefix is how the scopes of the API begin, and no others.
const ScopePrefix = "gatehouse:"
