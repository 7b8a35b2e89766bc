// SPDX-License-Identifier: Apache-2.0

package restapi

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
)

// Clients are those that may ask the issuer for tokens.
type Clients interface {
	// List returns all of them in ascending order of their id. The caller changes nothing in it.
	List() []wire.Client
}

// seek returns the clients and where one is, or would be, among them.
func (a *API) seek(id string) (all []wire.Client, at int, found bool) {
	if a.config.Clients != nil {
		all = a.config.Clients.List()
	}
	at, found = slices.BinarySearchFunc(all, id, func(c wire.Client, id string) int { return cmp.Compare(c.ID, id) })
	return all, at, found
}

func (a *API) listClients(c *call) error {
	_, p, err := c.paged()
	if err != nil {
		return err
	}
	all, from, found := a.seek(p.After)
	if found {
		from++
	}
	page := all[from:min(from+p.Limit, len(all))]
	return c.send(http.StatusOK, struct {
		Clients []wire.Client `json:"clients"`
		Next    string        `json:"next,omitempty"`
	}{nonNil(page), wire.Next(p, page, func(c *wire.Client) string { return c.ID })})
}

func (a *API) showClient(c *call) error {
	if _, err := c.params(); err != nil {
		return err
	}
	all, at, found := a.seek(c.r.PathValue("client"))
	if !found {
		return wire.New(wire.NotFound, "there is no such client")
	}
	return c.sendVersion(http.StatusOK, all[at].Version(), all[at])
}
