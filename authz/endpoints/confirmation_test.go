// SPDX-License-Identifier: Apache-2.0

package endpoints_test

import (
	"crypto/tls"
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/certtest"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// confirmed returns the claim cnf of an answer, nil where there is none.
func confirmed(t testing.TB, body []byte) any {
	t.Helper()
	var got map[string]any
	check(t, json.Unmarshal(body, &got))
	return got["cnf"]
}

// TestRFC8705Section3: userinfo says to what the token is bound, in the words of introspection, and a token that is bound to nothing says
// nothing. A profile has no say in it.
func TestRFC8705Section3(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, _ := w.login(t, "usr_1")
	free := w.issue(t, "web", s, "openid", "accounts:read")
	shown := (*certtest.Authority)(nil).Client(t, "app", w.clock.Now())
	thumbprint := jose.CertificateThumbprint(shown.Leaf)
	var client *authz.Client
	for _, c := range clients() {
		if c.ID == "web" {
			client = c
		}
	}
	bound, err := w.tokens.Access(tokens.Access{
		Client: client, Grant: &free.grant, Scopes: oauth.Scopes{"openid", "profile", "email"}, Certificate: thumbprint,
	})
	check(t, err)

	ask := func(token string, over *tls.ConnectionState) *httptest.ResponseRecorder {
		r := get(t, authz.PathUserinfo)
		r.Header.Set("Authorization", "Bearer "+token)
		r.TLS = over
		return w.send(t, r)
	}
	over := &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: certtest.Chain(t, shown)}
	want := map[string]any{"x5t#S256": thumbprint}
	got := ask(bound.Token, over)
	if diff := cmp.Diff(any(want), confirmed(t, got.Body.Bytes())); got.Code != 200 || diff != "" {
		t.Errorf("3.2 userinfo: %d %s", got.Code, diff)
	}
	if diff := cmp.Diff(any(want), confirmed(t, []byte(w.introspect(t, "web", bound.Token)))); diff != "" {
		t.Errorf("3.2 introspection: %s", diff)
	}
	if got := ask(bound.Token, nil); got.Code != 401 {
		t.Errorf("3 without the certificate userinfo answers %d %s", got.Code, got.Body)
	}
	if cnf := confirmed(t, ask(free.Access, over).Body.Bytes()); cnf != nil {
		t.Errorf("a token that is bound to nothing: %v", cnf)
	}
}

// TestConfirmationOfARefreshToken: its client learns to what it is bound, be that a key or a certificate.
func TestConfirmationOfARefreshToken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name             string
		key, certificate string
		want             any
	}{
		{"RFC9449/5 a key", "thumbprint-of-a-key", "", map[string]any{"jkt": "thumbprint-of-a-key"}},
		{"RFC8705/4 a certificate", "", "thumbprint-of-a-certificate", map[string]any{"x5t#S256": "thumbprint-of-a-certificate"}},
		{"both", "k", "c", map[string]any{"jkt": "k", "x5t#S256": "c"}},
		{"nothing", "", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			session, _ := w.login(t, "usr_1")
			now := w.store.Now()
			grant := authz.NewGrant(now, 24*time.Hour)
			grant.ClientID, grant.Subject, grant.SessionID = "web", "usr_1", session.ID
			code, record := authz.NewCode(now)
			record.ClientID, record.RedirectURI, record.GrantID, record.Challenge = "web", "https://app.example.com/cb", grant.ID, oauth.Challenge(verifier)
			_, err := w.store.Complete(t.Context(), authz.Completion{Grant: grant, Code: record})
			check(t, err)
			family := authz.NewFamily(now, time.Hour, time.Hour)
			family.Key, family.Certificate = tt.key, tt.certificate
			_, err = w.store.Redeem(t.Context(), authz.Redemption{
				Code: code, ClientID: "web", RedirectURI: "https://app.example.com/cb", Verifier: verifier, Family: &family,
			})
			check(t, err)
			if diff := cmp.Diff(tt.want, confirmed(t, []byte(w.introspect(t, "web", family.Token())))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
