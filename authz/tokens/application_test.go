// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/validation"
)

// TestTokensNameTheApp: every kind of token of a user, and none of a client.
func TestTokensNameTheApp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	app := &realm.Application{ID: "bank", Platform: "ios", Version: `2.1"\é`}
	g := grant(f.clock.Now())
	g.Authn.Application = app
	minted := func(m tokens.Minted, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return m.Token
	}
	signed := func(raw string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	want := map[string]any{"id": "bank", "platform": "ios", "version": `2.1"\é`}
	for name, raw := range map[string]string{
		"access token": minted(f.issuer.Access(tokens.Access{Client: client(), Grant: g})),
		"ID token":     signed(f.issuer.ID(tokens.ID{Client: client(), Grant: g})),
		"site":         signed(f.issuer.Site("https://app.example.com", *g, time.Time{})),
		"assertion":    signed(f.issuer.Assertion(tokens.Assertion{Audience: "billing", Subject: "usr_1", Application: app})),
	} {
		_, claims := f.read(t, jose.ES256, raw)
		if diff := cmp.Diff(want, claims["application"]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	v, err := validation.New(validation.Config{
		Issuer: issuer, Audience: client().Audience, Now: f.clock.Now,
		Keys: validation.KeySet{f.keys.byAlg[jose.ES256].KID: f.keys.byAlg[jose.ES256].Public()},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := v.Inspect(t.Context(), minted(f.issuer.Access(tokens.Access{Client: client(), Grant: g})))
	if err != nil || p.Application == nil || realm.Application(*p.Application) != *app {
		t.Errorf("what is minted reads %+v, %v", p, err)
	}
	_, claims := f.read(t, jose.ES256, minted(f.issuer.Access(tokens.Access{Client: client()})))
	if claims["application"] != nil {
		t.Errorf("a client's own token names an app: %v", claims)
	}
}
