// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz/client"
	"github.com/gatehouse-id/gatehouse/storage"
)

type (
	// Client is an application that may ask for tokens.
	Client = client.Client
	// AuthMethod is how a client authenticates.
	AuthMethod = client.AuthMethod
	// GrantType is a grant_type of the token endpoint.
	GrantType = client.GrantType
)

// What clients do, by its names in requests.
const (
	AuthNone               = client.AuthNone
	AuthClientSecretBasic  = client.AuthClientSecretBasic
	AuthClientSecretPost   = client.AuthClientSecretPost
	AuthPrivateKeyJWT      = client.AuthPrivateKeyJWT
	AuthTLS                = client.AuthTLS
	AuthSelfSignedTLS      = client.AuthSelfSignedTLS
	GrantAuthorizationCode = client.GrantAuthorizationCode
	GrantRefreshToken      = client.GrantRefreshToken
	GrantClientCredentials = client.GrantClientCredentials
	GrantCIBA              = client.GrantCIBA
)

// InstancePrefix begins the id of every instance of an app. What follows is drawn, and no id is drawn twice.
const InstancePrefix = "ins_"

// Registered knows the instances of apps that have registered themselves (RFC 7591).
type Registered interface {
	// Client returns the one with an id, or an error that is [Gone] where there is none, or none any more.
	Client(ctx context.Context, id string) (*Client, error)
	// Used notes that it has authenticated just now. Its errors are those of Client.
	Used(ctx context.Context, id string) error
}

// Clients is an immutable registry: the configured clients, the built-in ones of protected sites and, where the operator lets apps
// register, their instances.
type Clients struct {
	byID       map[string]*Client
	sites      Sites
	registered Registered // nil where nobody may register
	audience   []string   // of the tokens of those who did
}

// NewClients returns a registry of checked clients with distinct ids. The zero [Sites] allows no site.
func NewClients(sites Sites, clients ...*Client) (*Clients, error) {
	r := &Clients{byID: map[string]*Client{}, sites: sites}
	for _, c := range clients {
		if strings.HasPrefix(c.ID, sitePrefix) {
			return nil, fmt.Errorf("client %q has an id that is kept for protected sites", c.ID)
		}
		if err := c.Check(); err != nil {
			return nil, err
		}
		if r.byID[c.ID] != nil {
			return nil, fmt.Errorf("client %q is defined twice", c.ID)
		}
		r.byID[c.ID] = c
	}
	return r, nil
}

// With returns the registry with the instances of apps, whose access tokens have some of the given audiences.
func (r *Clients) With(registered Registered, audience []string) *Clients {
	with := *r
	with.registered, with.audience = registered, audience
	return &with
}

// Find returns the configured client with the given id, or that of a site.
func (r *Clients) Find(id string) (*Client, bool) {
	if c, ok := r.byID[id]; ok {
		return c, true
	}
	return r.sites.client(id)
}

// Lookup is Find for whoever answers a request: it knows the instances of apps as well. Only for those the store is read. An error is
// [Gone] where there is no such client.
func (r *Clients) Lookup(ctx context.Context, id string) (*Client, error) {
	if c, ok := r.Find(id); ok {
		return c, nil
	}
	if r.registered == nil || !strings.HasPrefix(id, InstancePrefix) {
		return nil, fmt.Errorf("looking for a client: %w", storage.ErrNotFound)
	}
	return r.registered.Client(ctx, id)
}

// Used notes that an instance of an app has authenticated.
func (r *Clients) Used(ctx context.Context, c *Client) error { return r.registered.Used(ctx, c.ID) }

// Audiences returns every audience that access tokens of these clients have, in ascending order.
func (r *Clients) Audiences() []string {
	all := slices.Concat(r.sites.Audience, r.audience)
	for _, c := range r.byID {
		all = append(all, c.Audience...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
