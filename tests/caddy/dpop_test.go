// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/dpop"
	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// behind is a site in front of which a proxy ends TLS, where only bound tokens pass; one rule further in asks once more, after
// the path was rewritten.
const behind = `SPARE {
	protect accounts:read {
		dpop required FRONT
	}
	handle_path /inner/* {
		protect payments:write
		reverse_proxy UPSTREAM
	}
	reverse_proxy UPSTREAM
}`

// holder is a client that holds a key and a token bound to it.
type holder struct {
	*dpop.Prover
	token string
}

func (h *house) holder(t *testing.T, scope string) *holder {
	t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	prover, err := dpop.NewProver(key, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	a := &holder{Prover: prover}
	got := h.token(t, basic("machine", machineSecret), form("grant_type", "client_credentials", "scope", scope),
		header("DPoP", a.proof(t, http.MethodPost, h.issuer+"/token", "")))
	if a.token = got.Access; a.token == "" {
		t.Fatalf("there is no token: %s", got.Error)
	}
	return a
}

func (a *holder) proof(t *testing.T, method, uri, nonce string) string {
	t.Helper()
	raw, err := a.Prove(method, uri, a.token, nonce)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// call gets something that a client knows under a name. Where a nonce is asked for, as of every client of a server that has just
// started, it tries again with it. It returns the proof that it sent last.
func (a *holder) call(t *testing.T, address, known string) (got *answer, proof string) {
	t.Helper()
	nonce := ""
	for range 2 {
		proof = a.proof(t, http.MethodGet, known, nonce)
		got = send(t, http.MethodGet, address, header("Authorization", "DPoP "+a.token), header("DPoP", proof))
		if nonce = got.Header.Get("DPoP-Nonce"); nonce == "" {
			break
		}
	}
	return got, proof
}

// TestDPoP: a bound token passes every rule on its way once with one proof, and neither it nor its proof is sent on.
func TestDPoP(t *testing.T) {
	t.Parallel()
	h := common(t)
	a, thief := h.holder(t, "accounts:read payments:write"), h.holder(t, "accounts:read payments:write")
	for _, address := range []string{h.api + "/private", h.nested + "/outer/inner", h.issuer + "/site", h.web + "/"} {
		got, proof := a.call(t, address+"?x=1", address)
		if got.Status != http.StatusOK || !got.reached() {
			t.Fatalf("%s: %d %v", address, got.Status, got.Header)
		}
		for _, name := range []string{"Authorization", "Dpop"} {
			if sent := got.heard(t).Header[name]; sent != nil {
				t.Errorf("%s: the upstream hears %s: %v", address, name, sent)
			}
		}
		again := send(t, http.MethodGet, address, header("Authorization", "DPoP "+a.token), header("DPoP", proof))
		if challenge := again.Header.Get("WWW-Authenticate"); again.Status != http.StatusUnauthorized || !strings.Contains(challenge, `DPoP `) ||
			!strings.Contains(challenge, "invalid_dpop_proof") || again.reached() {
			t.Errorf("%s: the same proof gets %d %s", address, again.Status, challenge)
		}
		stolen := *thief
		stolen.token = a.token
		if got, _ := stolen.call(t, address, address); got.Status != http.StatusUnauthorized || got.reached() ||
			!strings.Contains(got.Header.Get("WWW-Authenticate"), "invalid_token") {
			t.Errorf("%s: a thief gets %d %v", address, got.Status, got.Header)
		}
		if got := send(t, http.MethodGet, address, bearer(a.token)); got.Status != http.StatusUnauthorized || got.reached() {
			t.Errorf("%s: the token as bearer gets %d", address, got.Status)
		}
	}
}

// rewritten is a site that asks its upstream, and the issuer, for something else than it was asked for.
const rewritten = `SPARE {
	method /posted POST
	handle /me {
		method POST
		rewrite * /userinfo
		authorization_server
	}
	handle {
		protect accounts:read
		reverse_proxy UPSTREAM
	}
}`

// TestDPoPOfWhatIsRewritten: a proof names what its sender asks for, at a site as at the issuer's own resources.
func TestDPoPOfWhatIsRewritten(t *testing.T) {
	t.Parallel()
	h := start(t, "", rewritten)
	a := h.holder(t, "accounts:read")
	site := h.url(siteSpare)
	if got, _ := a.call(t, site+"/posted", site+"/posted"); got.Status != http.StatusOK || !got.reached() {
		t.Errorf("a method that is rewritten: %d %v", got.Status, got.Header)
	}
	for known, passes := range map[string]bool{h.issuer + "/me": true, h.issuer + "/userinfo": false} {
		got, _ := a.call(t, site+"/me", known)
		if refused := strings.Contains(got.Header.Get("WWW-Authenticate"), "invalid_dpop_proof"); refused == passes {
			t.Errorf("for %s: %d %v", known, got.Status, got.Header)
		}
	}
}

// TestDPoPRequired: the address of a proof is that which the client sees, whatever a proxy and a rewrite make of it; who has no key is
// told the one scheme that there is.
func TestDPoPRequired(t *testing.T) {
	t.Parallel()
	h := start(t, "", behind)
	a, reader := h.holder(t, "accounts:read payments:write"), h.holder(t, "accounts:read")
	front := "https://" + h.Addresses[siteSpare]
	for _, path := range []string{"/", "/inner/a%20b"} {
		if got, _ := a.call(t, h.url(siteSpare)+path, front+path); got.Status != http.StatusOK || !got.reached() {
			t.Errorf("%s: %d %v", path, got.Status, got.Header)
		}
		if got, _ := a.call(t, h.url(siteSpare)+path, h.url(siteSpare)+path); got.Status != http.StatusUnauthorized || got.reached() {
			t.Errorf("%s, by the name that the proxy uses: %d", path, got.Status)
		}
	}
	if got, _ := reader.call(t, h.url(siteSpare)+"/inner/", front+"/inner/"); got.Status != http.StatusForbidden || got.reached() {
		t.Errorf("too little scope for the rule further in: %d %v", got.Status, got.Header)
	}
	for name, change := range map[string]func(*http.Request){
		"no token": func(*http.Request) {}, "a bearer token": bearer(h.machine(t, "accounts:read")),
	} {
		got := send(t, http.MethodGet, h.url(siteSpare)+"/", change)
		if all := got.Header.Values("WWW-Authenticate"); got.Status != http.StatusUnauthorized || got.reached() || len(all) != 1 || !strings.HasPrefix(all[0], "DPoP ") {
			t.Errorf("%s: %d %q", name, got.Status, all)
		}
	}
	metadata := send(t, http.MethodGet, h.url(siteSpare)+"/.well-known/oauth-protected-resource").Body
	for _, want := range []string{`"dpop_bound_access_tokens_required":true`, `"dpop_signing_alg_values_supported":["ES256"`} {
		if !strings.Contains(metadata, want) {
			t.Errorf("the metadata are %s, without %s", metadata, want)
		}
	}
}
