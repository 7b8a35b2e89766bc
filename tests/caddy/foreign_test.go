// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// partner is another issuer: metadata, keys, and tokens.
type partner struct {
	*httptest.Server
	key     jose.PrivateKey
	fetches atomic.Int64
}

func newPartner(t *testing.T) *partner {
	t.Helper()
	p := new(partner)
	var err error
	if p.key, err = jose.GenerateKey(jose.ES256); err != nil {
		t.Fatal(err)
	}
	set, err := jose.MarshalSet([]jose.PublicKey{p.key.Public()})
	if err != nil {
		t.Fatal(err)
	}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server":
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/keys"}) // the client has gone
		case "/keys":
			p.fetches.Add(1)
			_, _ = w.Write(set) // the client has gone
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

// token signs a token; change may alter its claims.
func (p *partner) token(t *testing.T, typ string, change map[string]any) string {
	t.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": p.URL, "sub": "usr_somebody", "aud": "urn:site", "client_id": "theirs", "jti": "1", "scope": "accounts:read theirs",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	for name, value := range change {
		claims[name] = value
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jose.Sign(p.key, typ, payload)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestTokensOfOtherIssuers pass where a site names the issuer, for that site's audience, and nowhere else.
func TestTokensOfOtherIssuers(t *testing.T) {
	t.Parallel()
	trusted, stranger := newPartner(t), newPartner(t)
	h := start(t, "", `
SPARE {
	protect /theirs* theirs {
		issuer `+trusted.URL+` {
			audience urn:site
		}
	}
	protect {
		issuer `+trusted.URL+` {
			audience urn:site
		}
	}
	reverse_proxy UPSTREAM
}
`)
	spare := h.url(siteSpare)
	cases := []struct {
		name, address, token string
		status               int
		holds                string
	}{
		{name: "theirs", address: spare + "/", token: trusted.token(t, "at+jwt", nil), status: 200},
		{name: "theirs, with their scope", address: spare + "/theirs", token: trusted.token(t, "at+jwt", nil), status: 200},
		{name: "ours", address: spare + "/", token: h.machine(t, "accounts:read"), status: 200},
		{name: "ours, without their scope", address: spare + "/theirs", token: h.machine(t, "accounts:read"), status: 403, holds: "insufficient_scope"},
		{name: "for another site", address: spare + "/", token: trusted.token(t, "at+jwt", map[string]any{"aud": "urn:other"}), status: 401},
		{name: "for us", address: spare + "/", token: trusted.token(t, "at+jwt", map[string]any{"aud": h.issuer}), status: 401},
		{name: "late", address: spare + "/", token: trusted.token(t, "at+jwt", map[string]any{"exp": 1}), status: 401},
		{name: "of another type", address: spare + "/", token: trusted.token(t, "JWT", nil), status: 401},
		{name: "in our name", address: spare + "/", token: trusted.token(t, "at+jwt", map[string]any{"iss": h.issuer, "aud": h.issuer}), status: 401},
		{name: "of a stranger", address: spare + "/", token: stranger.token(t, "at+jwt", nil), status: 401},
		{name: "of a stranger in their name", address: spare + "/", token: stranger.token(t, "at+jwt", map[string]any{"iss": trusted.URL}), status: 401},
		{name: "where nobody trusts them", address: h.all + "/", token: trusted.token(t, "at+jwt", nil), status: 401},
		{name: "where nobody trusts them, for us", address: h.all + "/", token: trusted.token(t, "at+jwt", map[string]any{"aud": h.issuer}), status: 401},
	}
	for _, c := range cases {
		got := send(t, http.MethodGet, c.address, bearer(c.token))
		if got.Status != c.status || !strings.Contains(got.Header.Get("WWW-Authenticate"), c.holds) {
			t.Errorf("%s: %d %s", c.name, got.Status, got.Header.Get("WWW-Authenticate"))
		}
	}
	heard := send(t, http.MethodGet, spare+"/", bearer(trusted.token(t, "at+jwt", nil))).heard(t)
	if heard.Header.Get("Gatehouse-Subject") != "usr_somebody" || heard.Header.Get("Gatehouse-Issuer") != trusted.URL {
		t.Errorf("the upstream cannot tell whose user it is: %v", heard.Header)
	}
	if n := trusted.fetches.Load(); n < 1 || n > 4 {
		t.Errorf("the keys were fetched %d times", n)
	}
	if n := stranger.fetches.Load(); n != 0 {
		t.Errorf("the keys of a stranger were fetched %d times", n)
	}
	metadata := send(t, http.MethodGet, spare+"/.well-known/oauth-protected-resource").Body
	if !strings.Contains(metadata, trusted.URL) || !strings.Contains(metadata, h.issuer) {
		t.Errorf("the site's metadata is %s", metadata)
	}
}
