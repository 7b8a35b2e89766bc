// SPDX-License-Identifier: Apache-2.0

package grants_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/grants"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// approvals are requests that somebody has answered, by their auth_req_id.
type approvals struct {
	grants map[string]authz.Grant
	err    error
	asked  []string
}

func (a *approvals) Redeem(_ context.Context, client *authz.Client, id string) (authz.Grant, string, error) {
	a.asked = append(a.asked, client.ID+" "+id)
	return a.grants[id], "frs_1.refresh", a.err
}

// ciba is a client that asks people on their phones, and what they have approved.
func ciba(w *world, t *testing.T, err error) (http.Handler, *approvals, *authz.Client) {
	t.Helper()
	now := w.store.Now()
	g := authz.NewGrant(now, time.Hour)
	g.ClientID, g.Subject, g.Scopes = "web", "usr_1", oauth.Scopes{"openid", "accounts:read", "withdrawn"}
	g.Authn = realm.Authentication{Subject: "usr_1", ACR: "phone", AuthTime: now, Realms: map[string]time.Time{"phone": now}}
	a := &approvals{grants: map[string]authz.Grant{"bcr_1.x": g}, err: err}
	client := clients()[2] // web
	client.Grants = append(client.Grants, authz.GrantCIBA)
	registry, err := authz.NewClients(authz.Sites{}, client, clients()[6])
	check(t, err)
	return w.node(t, func(c *grants.Config) { c.Clients.Clients, c.Backchannel = registry, a }), a, client
}

// TestCIBA: section 10.1 and 11. What was approved becomes tokens by the one mint; the scopes are those that the client may have now.
func TestCIBA(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h, a, _ := ciba(w, t, nil)
	got := ask(t, h, ":basic", "web:"+secret, "grant_type", string(authz.GrantCIBA), "auth_req_id", "bcr_1.x").ok(t)
	if got.Scope != "openid accounts:read" || got.Refresh != "frs_1.refresh" || got.ID == "" || strings.Contains(got.raw, "auth_req_id") {
		t.Errorf("it fetches %s", got.raw)
	}
	if diff := cmp.Diff([]string{"web bcr_1.x"}, a.asked); diff != "" {
		t.Error(diff)
	}
}

func TestCIBAErrors(t *testing.T) {
	t.Parallel()
	pending := oauth.NewError(oauth.AuthorizationPending, "nobody has answered yet")
	for _, tt := range []struct {
		name   string
		client string
		pairs  []string
		err    error
		status int
		code   oauth.Code
		asked  bool
	}{
		{"10.1 auth_req_id missing", "web", nil, nil, 400, "invalid_request", false},
		{"10.1 details that nobody granted", "web", []string{"auth_req_id", "bcr_1.x", "authorization_details", "[]"}, nil, 400, "invalid_authorization_details", false},
		{"11 a client without the grant type", "machine", []string{"auth_req_id", "bcr_1.x"}, nil, 400, "unauthorized_client", false},
		{"11 nothing yet", "web", []string{"auth_req_id", "bcr_1.x"}, pending, 400, "authorization_pending", true},
		{"11 a fault tells nothing", "web", []string{"auth_req_id", "bcr_1.x"}, errors.New("MARK"), 500, "server_error", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			h, a, _ := ciba(w, t, tt.err)
			got := ask(t, h, append([]string{":basic", tt.client + ":" + secret, "grant_type", string(authz.GrantCIBA)}, tt.pairs...)...)
			got.refused(t, tt.code, tt.status)
			if (len(a.asked) > 0) != tt.asked || strings.Contains(got.raw, "MARK") {
				t.Errorf("%d %s, asked %q", got.status, got.raw, a.asked)
			}
		})
	}
}

// Without requests that people answer there is no such grant type, whatever a client may.
func TestCIBAIsThereOnlyWithABackchannel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, a, client := ciba(w, t, nil)
	registry, err := authz.NewClients(authz.Sites{}, client)
	check(t, err)
	h := w.node(t, func(c *grants.Config) { c.Clients.Clients = registry })
	ask(t, h, ":basic", "web:"+secret, "grant_type", string(authz.GrantCIBA), "auth_req_id", "bcr_1.x").refused(t, oauth.UnsupportedGrantType, 400)
	if len(a.asked) != 0 {
		t.Errorf("asked %q", a.asked)
	}
	with := &grants.Handler{Config: grants.Config{Backchannel: a}}
	if got := with.Supported(); !slices.Contains(got, string(authz.GrantCIBA)) || len(got) != 4 {
		t.Errorf("it supports %q", got)
	}
}

// TestPushed: section 10.3.1, what is sent is what would have been fetched, and the request beside it and in the ID token.
func TestPushed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h, a, client := ciba(w, t, nil)
	face := h.(*grants.Handler)
	at := w.clock.Now().Add(-time.Minute)
	body, err := face.Pushed(client, a.grants["bcr_1.x"], "frs_1.refresh", "bcr_1.x", at)
	check(t, err)
	var got map[string]any
	check(t, json.Unmarshal(body, &got))
	if got["auth_req_id"] != "bcr_1.x" || got["scope"] != "openid accounts:read" || got["refresh_token"] != "frs_1.refresh" || got["access_token"] == nil {
		t.Errorf("it sends %s", body)
	}
	raw, _ := got["access_token"].(string)
	token, err := jose.Parse(raw)
	check(t, err)
	var claims struct {
		IssuedAt int64 `json:"iat"`
	}
	check(t, json.Unmarshal(token.Payload, &claims))
	if claims.IssuedAt != at.Unix() {
		t.Errorf("the token is of %d, want %d: a revocation since then has to cover it", claims.IssuedAt, at.Unix())
	}
	for _, tt := range []struct {
		client *authz.Client
		grant  authz.Grant
		id     string
	}{{nil, a.grants["bcr_1.x"], "bcr_1.x"}, {client, authz.Grant{}, "bcr_1.x"}, {client, a.grants["bcr_1.x"], ""}} {
		if _, err := face.Pushed(tt.client, tt.grant, "", tt.id, at); err == nil {
			t.Errorf("it sends tokens for %+v", tt)
		}
	}
	for name, hold := range map[string]func(*authz.Client){
		"a key": func(c *authz.Client) { c.BoundTokens = true }, "a certificate": func(c *authz.Client) { c.CertificateBound = true },
	} {
		held := *client
		hold(&held)
		if _, err := face.Pushed(&held, a.grants["bcr_1.x"], "", "bcr_1.x", at); err == nil {
			t.Errorf("tokens that are bound to nothing are sent to a client whose tokens are bound to %s", name)
		}
	}
	barring := w.node(t, func(c *grants.Config) { c.Applications = off{"1": true} }).(*grants.Handler)
	g := a.grants["bcr_1.x"]
	g.Authn.Application = &realm.Application{ID: "bank", Platform: "ios", Version: "1"}
	if _, err := barring.Pushed(client, g, "", "bcr_1.x", at); err == nil {
		t.Error("tokens are sent to a version that is not accepted any more")
	}
}
