// SPDX-License-Identifier: Apache-2.0

package grants_test

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/grants"
	"github.com/gatehouse-id/gatehouse/internal/certtest"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

// showing is a token endpoint whose clients "app", "web" and "job" have their tokens bound to certificates.
func (w *world) showing(t testing.TB) http.Handler {
	t.Helper()
	all := clients()
	for _, c := range all {
		c.CertificateBound = c.ID == "app" || c.ID == "web"
	}
	registry, err := authz.NewClients(authz.Sites{}, append(all, &authz.Client{
		ID: "job", Auth: authz.AuthClientSecretBasic, SecretHashes: []string{randid.Hash(secret)}, CertificateBound: true, BoundTokens: true,
		Grants: []authz.GrantType{authz.GrantClientCredentials}, Scopes: oauth.Scopes{"jobs:run"}, DefaultScopes: oauth.Scopes{"jobs:run"},
		Audience: []string{"https://api.example.com"}, AccessTTL: 5 * time.Minute,
	})...)
	check(t, err)
	return w.proving(t, nil, func(c *grants.Config) { c.Clients.Clients = registry })
}

// show asks over a connection with a certificate; nil shows none.
func show(t testing.TB, h http.Handler, shown *tls.Certificate, proofs []string, pairs ...string) answer {
	t.Helper()
	r := form(t, pairs...)
	r.Header["Dpop"] = proofs
	r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	if shown != nil {
		r.TLS.PeerCertificates = certtest.Chain(t, *shown)
	}
	return send(t, h, r)
}

func (w *world) shown(t testing.TB) *tls.Certificate {
	t.Helper()
	issued := (*certtest.Authority)(nil).Client(t, "app", w.clock.Now())
	return &issued
}

// x5t is the certificate that a token is bound to.
func (w *world) x5t(t testing.TB, token string) any {
	t.Helper()
	cnf, _ := w.claims(t, token)["cnf"].(map[string]any)
	return cnf["x5t#S256"]
}

// TestRFC8705Section3: the tokens of a client that wishes it are bound to the certificate of the connection, and it gets no others (3.4). A
// public client's refresh token is bound to it too (4).
func TestRFC8705Section3(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.showing(t)
	mine, thiefs := w.shown(t), w.shown(t)

	code, _ := w.code(t, allowance{})
	show(t, h, nil, nil, codeOf(code)...).refused(t, oauth.InvalidRequest, 400)
	first := show(t, h, mine, nil, codeOf(code)...).ok(t) // it was not spent
	if first.Type != "Bearer" || w.x5t(t, first.Access) != jose.CertificateThumbprint(mine.Leaf) || w.claims(t, first.ID)["cnf"] != nil {
		t.Errorf("bound: %s", first.raw)
	}
	show(t, h, thiefs, nil, refreshOf("app", first.Refresh)...).refused(t, oauth.InvalidGrant, 400)
	show(t, h, nil, nil, refreshOf("app", first.Refresh)...).refused(t, oauth.InvalidRequest, 400)
	second := show(t, h, mine, nil, refreshOf("app", first.Refresh)...).ok(t) // no try of the thief's has revoked it
	if w.x5t(t, second.Access) != jose.CertificateThumbprint(mine.Leaf) {
		t.Errorf("refreshed: %s", second.raw)
	}

	unbound := show(t, h, mine, nil, "grant_type", "client_credentials", ":basic", "machine:"+secret).ok(t)
	if cnf := w.claims(t, unbound.Access)["cnf"]; cnf != nil {
		t.Errorf("a client that does not wish it gets %v", cnf)
	}
}

// TestRFC8705ConfidentialRefresh: a client that authenticates may renew its certificate (7.1).
func TestRFC8705ConfidentialRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.showing(t)
	old, young := w.shown(t), w.shown(t)
	code, _ := w.code(t, allowance{client: "web"})
	first := show(t, h, old, nil, ":basic", "web:"+secret, "grant_type", "authorization_code", "code", code, "redirect_uri", redirect, "code_verifier", verifier).ok(t)
	second := show(t, h, young, nil, ":basic", "web:"+secret, "grant_type", "refresh_token", "refresh_token", first.Refresh).ok(t)
	if w.x5t(t, first.Access) != jose.CertificateThumbprint(old.Leaf) || w.x5t(t, second.Access) != jose.CertificateThumbprint(young.Leaf) {
		t.Errorf("%s\n%s", first.raw, second.raw)
	}
}

// TestBothBindings: a client may be held to a key and to a certificate, and its tokens name both.
func TestBothBindings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.showing(t)
	mine, key := w.shown(t), w.prover(t)
	job := []string{"grant_type", "client_credentials", ":basic", "job:" + secret}
	show(t, h, mine, nil, job...).refused(t, oauth.InvalidDPoPProof, 400)
	show(t, h, nil, proof(t, key, ""), job...).refused(t, oauth.InvalidRequest, 400)
	got := show(t, h, mine, proof(t, key, ""), job...).ok(t)
	if got.Type != "DPoP" || w.jkt(t, got.Access) != key.Thumbprint() || w.x5t(t, got.Access) != jose.CertificateThumbprint(mine.Leaf) {
		t.Errorf("%s", got.raw)
	}
}
