// SPDX-License-Identifier: Apache-2.0

package restapi_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
)

type registry []wire.Client

func (r registry) List() []wire.Client { return r }

// client is one with everything that the description requires.
func client(id string) wire.Client {
	return wire.Client{ID: id, Name: id, Auth: "none", Grants: []string{}, Scopes: []string{}, Audience: []string{"https://auth.example.com"}}
}

func TestClients(t *testing.T) {
	t.Parallel()
	full := client("portal")
	full.Name, full.Auth, full.Keys = "The portal", "private_key_jwt", []string{"k1"}
	full.Grants, full.RedirectURIs, full.Scopes = []string{"authorization_code"}, []string{"https://portal.example.com/cb"}, []string{"openid"}
	full.AccessTTL = 300
	clients := registry{client("a"), client("b"), client("c"), client("d"), full}
	w := newWorld(t, func(c *restapi.Config) { c.Clients = &clients })
	var walked []string
	for cursor, pages := "", 0; pages < 10; pages++ {
		var page struct {
			Clients []wire.Client
			Next    string
		}
		w.do("GET", "/clients?limit=2"+cursor, "").is(200).json(&page)
		for _, c := range page.Clients {
			walked = append(walked, c.ID)
		}
		if page.Next == "" {
			break
		}
		cursor = "&cursor=" + page.Next
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d", "portal"}, walked); diff != "" {
		t.Error(diff)
	}
	got := w.do("GET", "/clients/portal", "").is(200)
	var shown wire.Client
	got.json(&shown)
	if diff := cmp.Diff(full, shown); diff != "" {
		t.Error(diff)
	}
	w.do("GET", "/clients/portal", "", "If-None-Match", got.Get("ETag")).is(304)
	clients[4].Native = true
	if w.do("GET", "/clients/portal", "", "If-None-Match", got.Get("ETag")).is(200).Get("ETag") == got.Get("ETag") {
		t.Error("a client that has changed has the same ETag")
	}
	// A list may change between two pages.
	var first struct{ Next string }
	w.do("GET", "/clients?limit=3", "").is(200).json(&first)
	clients = slices.Delete(clients, 2, 3)
	var rest struct{ Clients []wire.Client }
	w.do("GET", "/clients?cursor="+first.Next, "").is(200).json(&rest)
	if len(rest.Clients) != 2 || rest.Clients[0].ID != "d" {
		t.Errorf("after a client that went: %v", rest.Clients)
	}
	for _, id := range []string{"e", "portal%20", "", "zzz"} {
		w.do("GET", "/clients/"+id, "").is(404).refused("not_found")
	}
	w.do("GET", "/clients?secret=x", "").is(400).refused("invalid_parameter")
	w.do("GET", "/clients/portal?x=y", "").is(400).refused("invalid_parameter")
	w.do("POST", "/clients", "{}").is(405).refused("method_not_allowed")
	w.do("GET", "/clients", "", "Authorization", "Test portal gatehouse:users gatehouse:devices").is(403).refused("insufficient_scope")
	w.do("GET", "/clients/a", "", "Authorization", "Test portal gatehouse:clients:read").is(200)
}

// TestNoClients: an issuer without a registry has none.
func TestNoClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if a := w.do("GET", "/clients", "").is(200); a.body != `{"clients":[]}` {
		t.Error(a.body)
	}
	w.do("GET", "/clients/portal", "").is(404)
}

// TestClientVersions: whatever is shown of a client, its version tells when it changes.
func TestClientVersions(t *testing.T) {
	t.Parallel()
	seen := map[uint64]string{}
	for _, change := range []func(*wire.Client){
		func(*wire.Client) {}, func(c *wire.Client) { c.ID = "b" }, func(c *wire.Client) { c.Name = "b" }, func(c *wire.Client) { c.Auth = "b" },
		func(c *wire.Client) { c.Keys = []string{"b"} }, func(c *wire.Client) { c.Grants = []string{"b"} },
		func(c *wire.Client) { c.RedirectURIs = []string{"b"} }, func(c *wire.Client) { c.PostLogoutRedirectURIs = []string{"b"} },
		func(c *wire.Client) { c.Scopes = []string{"b"} }, func(c *wire.Client) { c.DefaultScopes = []string{"b"} },
		func(c *wire.Client) { c.Audience = []string{"b"} }, func(c *wire.Client) { c.FirstParty = true }, func(c *wire.Client) { c.Native = true },
		func(c *wire.Client) { c.Introspect = true }, func(c *wire.Client) { c.Resources = []string{"b"} },
		func(c *wire.Client) { c.AccessTTL = 1 }, func(c *wire.Client) { c.RefreshTTL = 1 }, func(c *wire.Client) { c.RefreshIdleTTL = 1 },
	} {
		c := client("a")
		change(&c)
		if before, known := seen[c.Version()]; known {
			t.Errorf("%+v has the version of %s", c, before)
		}
		seen[c.Version()] = fmt.Sprintf("%+v", c)
	}
}
