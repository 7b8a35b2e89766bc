// SPDX-License-Identifier: Apache-2.0

package grants_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/grants"
	"github.com/gatehouse-id/gatehouse/internal/dpop"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// proving is a token endpoint that reads proofs, over a world's records.
func (w *world) proving(t testing.TB, demand func(*dpop.Config), change ...func(*grants.Config)) http.Handler {
	t.Helper()
	nonces, err := dpop.NewNonces(func() ([]byte, error) { return make([]byte, dpop.NonceKeySize), nil }, "issuer", 0)
	check(t, err)
	config := dpop.Config{Now: w.clock.Now, Nonces: nonces}
	if demand != nil {
		demand(&config)
	}
	checker, err := dpop.New(config)
	check(t, err)
	registry, err := authz.NewClients(authz.Sites{}, append(clients(), &authz.Client{
		ID: "bound", Auth: authz.AuthClientSecretBasic, SecretHashes: []string{randid.Hash(secret)}, BoundTokens: true,
		Grants: []authz.GrantType{authz.GrantClientCredentials}, Scopes: oauth.Scopes{"jobs:run"}, DefaultScopes: oauth.Scopes{"jobs:run"},
		Audience: []string{"https://api.example.com"}, AccessTTL: 5 * time.Minute,
	})...)
	check(t, err)
	prove := func(c *grants.Config) { c.Clients.Proofs, c.Clients.Clients = checker, registry }
	return w.node(t, append([]func(*grants.Config){prove}, change...)...)
}

// prover draws a key.
func (w *world) prover(t testing.TB) *dpop.Prover {
	t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	check(t, err)
	p, err := dpop.NewProver(key, w.clock.Now)
	check(t, err)
	return p
}

// prove asks as [ask] does, with proofs.
func prove(t testing.TB, h http.Handler, proofs []string, pairs ...string) answer {
	t.Helper()
	r := form(t, pairs...)
	r.Header["Dpop"] = proofs
	return send(t, h, r)
}

func proof(t testing.TB, by *dpop.Prover, nonce string) []string {
	t.Helper()
	raw, err := by.Prove(http.MethodPost, issuer+"/token", "", nonce)
	check(t, err)
	return []string{raw}
}

func codeOf(code string) []string {
	return []string{"grant_type", "authorization_code", "client_id", "app", "code", code, "redirect_uri", redirect, "code_verifier", verifier}
}

func refreshOf(client, token string) []string {
	return []string{"grant_type", "refresh_token", "client_id", client, "refresh_token", token}
}

// jkt is what a token says that it is bound to.
func (w *world) jkt(t testing.TB, token string) any {
	t.Helper()
	cnf, _ := w.claims(t, token)["cnf"].(map[string]any)
	return cnf["jkt"]
}

// TestRFC9449Section5: tokens are bound to the key that is proven, and a public client's refresh token with them.
func TestRFC9449Section5(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.proving(t, nil)
	app, thief := w.prover(t), w.prover(t)

	code, _ := w.code(t, allowance{})
	first := prove(t, h, proof(t, app, ""), codeOf(code)...).ok(t)
	if first.Type != "DPoP" || w.jkt(t, first.Access) != app.Thumbprint() || w.claims(t, first.ID)["cnf"] != nil {
		t.Errorf("bound: %s", first.raw)
	}
	for name, proofs := range map[string][]string{"another key": proof(t, thief, ""), "no proof": nil} {
		got := prove(t, h, proofs, refreshOf("app", first.Refresh)...)
		if got.status != 400 || got.Error != string(oauth.InvalidGrant) {
			t.Errorf("%s: %s", name, got.raw)
		}
	}
	second := prove(t, h, proof(t, app, ""), refreshOf("app", first.Refresh)...).ok(t) // no try of the thief's has revoked it
	if second.Type != "DPoP" || w.jkt(t, second.Access) != app.Thumbprint() {
		t.Errorf("refreshed: %s", second.raw)
	}

	bearer := exchange(t, h, "app", must(w.code(t, allowance{}))).ok(t)
	if bearer.Type != "Bearer" || w.jkt(t, bearer.Access) != nil {
		t.Errorf("without proof: %s", bearer.raw)
	}
	prove(t, h, nil, refreshOf("app", bearer.Refresh)...).ok(t)
}

func must(code string, _ authz.Grant) string { return code }

// TestRFC9449ConfidentialRefresh: a client that authenticates may change its key (section 5).
func TestRFC9449ConfidentialRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.proving(t, nil)
	code, _ := w.code(t, allowance{client: "web"})
	old, young := w.prover(t), w.prover(t)
	basic := []string{":basic", "web:" + secret}
	first := prove(t, h, proof(t, old, ""), append(basic, "grant_type", "authorization_code", "code", code, "redirect_uri", redirect, "code_verifier", verifier)...).ok(t)
	second := prove(t, h, proof(t, young, ""), append(basic, "grant_type", "refresh_token", "refresh_token", first.Refresh)...).ok(t)
	if w.jkt(t, first.Access) != old.Thumbprint() || w.jkt(t, second.Access) != young.Thumbprint() {
		t.Errorf("%s\n%s", first.raw, second.raw)
	}
}

// TestRFC9449Refusals: what is wrong with a proof is invalid_dpop_proof, and the code is good afterwards.
func TestRFC9449Refusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.proving(t, nil)
	app := w.prover(t)
	code, _ := w.code(t, allowance{})
	foreign := func(method, uri, token string) []string {
		raw, err := app.Prove(method, uri, token, "")
		check(t, err)
		return []string{raw}
	}
	used := proof(t, app, "")
	prove(t, h, used, ":basic", "machine:"+secret, "grant_type", "client_credentials", "scope", "jobs:list").ok(t)
	for name, proofs := range map[string][]string{
		"4.3-1 two": append(proof(t, app, ""), proof(t, app, "")...), "4.3-2 none": {""}, "4.3-2 no token": {"abc"},
		"4.3-8 another method": foreign("GET", issuer+"/token", ""), "4.3-9 another endpoint": foreign("POST", issuer+"/par", ""),
		"4.3-9 another issuer": foreign("POST", "https://evil.example/token", ""), "11.1 used before": used,
	} {
		got := prove(t, h, proofs, codeOf(code)...)
		if got.status != 400 || got.Error != string(oauth.InvalidDPoPProof) || got.header.Get("DPoP-Nonce") != "" {
			t.Errorf("%s: %d %s", name, got.status, got.raw)
		}
	}
	prove(t, h, proof(t, app, ""), codeOf(code)...).ok(t)
}

// TestRFC9449Section8: where nonces are demanded the first request is answered with one; so is one by a clock that is off.
func TestRFC9449Section8(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	machine := []string{":basic", "machine:" + secret, "grant_type", "client_credentials", "scope", "jobs:list"}
	app := w.prover(t)
	for name, h := range map[string]http.Handler{
		"demanded": w.proving(t, func(c *dpop.Config) { c.Demand = true }), "for a clock": w.proving(t, nil),
	} {
		stale := proof(t, app, "")
		w.clock.Advance(2 * dpop.Past)
		got := prove(t, h, stale, machine...)
		nonce := got.header.Get("DPoP-Nonce")
		if got.status != 400 || got.Error != string(oauth.UseDPoPNonce) || nonce == "" ||
			!strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "DPoP-Nonce") {
			t.Errorf("%s: %d %s %v", name, got.status, got.raw, got.header)
		}
		prove(t, h, proof(t, app, nonce), machine...).ok(t)
		elsewhere := w.proving(t, func(c *dpop.Config) { c.Demand = true }) // another node, with the key of all
		prove(t, elsewhere, proof(t, app, nonce), machine...).ok(t)
	}
}

// TestRFC9449Section52: a client that has its tokens bound gets none without a proof.
func TestRFC9449Section52(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.proving(t, nil)
	bound := []string{":basic", "bound:" + secret, "grant_type", "client_credentials"}
	prove(t, h, nil, bound...).refused(t, oauth.InvalidDPoPProof, 400)
	if got := prove(t, h, proof(t, w.prover(t), ""), bound...).ok(t); got.Type != "DPoP" {
		t.Errorf("%s", got.raw)
	}
}

// TestRFC9449Section10: a code that is bound to a key is good with a proof of that key, and with nothing else.
func TestRFC9449Section10(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.proving(t, nil)
	app, thief := w.prover(t), w.prover(t)
	code, _ := w.code(t, allowance{key: app.Thumbprint()})
	for name, proofs := range map[string][]string{"another key": proof(t, thief, ""), "no proof": nil} {
		if got := prove(t, h, proofs, codeOf(code)...); got.status != 400 || got.Error != string(oauth.InvalidGrant) {
			t.Errorf("%s: %s", name, got.raw)
		}
	}
	prove(t, h, proof(t, app, ""), codeOf(code)...).ok(t)
}

// TestProofsOnceEverywhere: of many requests with one proof, at two nodes, one is answered.
func TestProofsOnceEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	nodes := []http.Handler{w.proving(t, nil), w.proving(t, nil)}
	one := proof(t, w.prover(t), "")
	answers := make(chan int, 16)
	for i := range cap(answers) {
		go func() {
			answers <- prove(t, nodes[i%2], one, ":basic", "machine:"+secret, "grant_type", "client_credentials", "scope", "jobs:list").status
		}()
	}
	good := 0
	for range cap(answers) {
		if <-answers == 200 {
			good++
		}
	}
	if good != 1 {
		t.Errorf("%d of %d requests with one proof were answered", good, cap(answers))
	}
}

// TestProofsAreWrites, which whoever has a key can cause: an address that sends too many is told to wait, and nobody else.
func TestProofsAreWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	remembering, err := limit.New(limit.Config{Burst: 3, Every: time.Minute, Keys: 10, Now: w.clock.Now})
	check(t, err)
	h := w.proving(t, nil, func(c *grants.Config) { c.Clients.Remembering = remembering })
	garbage := codeOf("no such code")
	for range 3 {
		prove(t, h, proof(t, w.prover(t), ""), garbage...).refused(t, oauth.InvalidGrant, 400)
	}
	got := prove(t, h, proof(t, w.prover(t), ""), garbage...)
	if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" {
		t.Errorf("%d %v", got.status, got.header)
	}
	prove(t, h, nil, garbage...).refused(t, oauth.InvalidGrant, 400)
}

// TestProofWithoutStore: what cannot be noted as used is not taken.
func TestProofWithoutStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.proving(t, nil)
	w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Nth: 1, Err: storage.ErrFull})
	got := prove(t, h, proof(t, w.prover(t), ""), ":basic", "machine:"+secret, "grant_type", "client_credentials", "scope", "jobs:list")
	if got.status != http.StatusServiceUnavailable || got.Access != "" {
		t.Errorf("%d %s", got.status, got.raw)
	}
}
