// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/jose"
)

func (f *fixture) hints() *tokens.Hints {
	return &tokens.Hints{Issuer: issuer, Key: func(_ context.Context, kid string) (jose.PublicKey, bool) {
		for _, key := range f.keys.byAlg {
			if key.KID == kid {
				return key.Public(), true
			}
		}
		return jose.PublicKey{}, false
	}}
}

func TestHintIsReadBack(t *testing.T) { // OpenID Connect Core 3.1.2.1 id_token_hint
	t.Parallel()
	f := newFixture(t)
	raw, err := f.issuer.ID(tokens.ID{Client: client(), Grant: grant(f.clock.Now())})
	if err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(24 * time.Hour) // expired: it is a hint
	got, err := f.hints().Read(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	want := authz.Hint{Subject: "usr_1", ClientID: "app", SessionID: "ses_1", IssuedAt: f.clock.Now().Add(-24 * time.Hour)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if subject, err := f.hints().Subject(t.Context(), raw); subject != "usr_1" || err != nil {
		t.Errorf("subject %q, %v", subject, err)
	}
}

// TestOnlyIDTokensAreHints offers every kind of token we sign, and some that we do not, as a hint (RFC 8725 3.12).
func TestOnlyIDTokensAreHints(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	other := newFixture(t)
	now := f.clock.Now()
	access, err := f.issuer.Access(tokens.Access{Client: client(), Grant: grant(now)})
	if err != nil {
		t.Fatal(err)
	}
	site, err := f.issuer.Site("https://app.example.com", *grant(now), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	assertion, err := f.issuer.Assertion(tokens.Assertion{Audience: "app", Subject: "usr_1"})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.issuer.ID(tokens.ID{Client: client(), Grant: grant(now)})
	if err != nil {
		t.Fatal(err)
	}
	good := map[string]any{"iss": issuer, "sub": "usr_1", "aud": "app", "sid": "ses_1", "iat": now.Unix()}
	sign := func(typ string, change map[string]any) string {
		claims := maps.Clone(good)
		maps.Copy(claims, change)
		data, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := jose.Sign(f.keys.byAlg[jose.ES256], typ, data)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	tampered := []byte(sign("JWT", nil))
	tampered[len(tampered)-10] ^= 1
	for _, test := range []struct {
		name, raw string
		ok        bool
	}{
		{"ID token", sign("JWT", nil), true},
		{"ID token without typ", sign("", nil), true},
		{"access token", access.Token, false},
		{"session of a site", site, false},
		{"assertion", assertion, false},
		{"logout token", sign("logout+jwt", nil), false},
		{"of another issuer's key", foreign, false},
		{"of another issuer", sign("JWT", map[string]any{"iss": "https://other.example"}), false},
		{"for two audiences", sign("JWT", map[string]any{"aud": []string{"app", "x"}}), false},
		{"for none", sign("JWT", map[string]any{"aud": ""}), false},
		{"about nobody", sign("JWT", map[string]any{"sub": ""}), false},
		{"of no time", sign("JWT", map[string]any{"iat": 0}), false},
		{"with claims of another form", sign("JWT", map[string]any{"sub": 1}), false},
		{"tampered with", string(tampered), false},
		{"nonsense", "nonsense", false},
		{"nothing", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := f.hints().Read(t.Context(), test.raw)
			if (err == nil) != test.ok || err != nil && !errors.Is(err, tokens.ErrHint) {
				t.Errorf("got %v", err)
			}
		})
	}
}
