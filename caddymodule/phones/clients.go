// SPDX-License-Identifier: Apache-2.0

package phones

import (
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
)

// Clients are the clients of a configuration as back ends see them. Neither their secrets nor the built-in clients of guarded
// sites are among them.
type Clients []wire.Client

// NewClients returns the clients with these ids.
func NewClients(registry *authz.Clients, ids []string) Clients {
	all := make(Clients, 0, len(ids))
	for _, id := range slices.Sorted(slices.Values(ids)) {
		if c, found := registry.Find(id); found && !c.Site {
			all = append(all, shown(c))
		}
	}
	return all
}

// List returns all of them in ascending order of their id.
func (c Clients) List() []wire.Client { return c }

func shown(c *authz.Client) wire.Client {
	out := wire.Client{
		ID: c.ID, Name: c.DisplayName(), Auth: string(c.Auth), RedirectURIs: c.RedirectURIs,
		PostLogoutRedirectURIs: c.PostLogoutRedirectURIs, Scopes: append([]string{}, c.Scopes...), DefaultScopes: c.DefaultScopes,
		Audience: append([]string{}, c.Audience...), Grants: []string{}, FirstParty: c.FirstParty, Native: c.Native,
		BoundTokens: c.BoundTokens, Introspect: c.Introspect, Resources: c.Resources, AccessTTL: seconds(c.AccessTTL), RefreshTTL: seconds(c.RefreshTTL),
		RefreshIdleTTL: seconds(c.RefreshIdleTTL),
	}
	for _, grant := range c.Grants {
		out.Grants = append(out.Grants, string(grant))
	}
	for _, key := range c.Keys {
		out.Keys = append(out.Keys, key.KID)
	}
	return out
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
