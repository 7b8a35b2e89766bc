// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
)

// everyKind mints one token of each kind, all for the same audience where a kind lets it be chosen.
func (f *fixture) everyKind(t *testing.T, audience string) map[string]string {
	t.Helper()
	c, g := client(), grant(f.clock.Now())
	c.ID, c.Audience = audience, []string{audience}
	access, err := f.issuer.Access(tokens.Access{Client: c, Scopes: oauth.Scopes{"openid"}, Grant: g})
	if err != nil {
		t.Fatal(err)
	}
	id, err := f.issuer.ID(tokens.ID{Client: c, Grant: g})
	if err != nil {
		t.Fatal(err)
	}
	site, err := f.issuer.Site(audience, *g, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	assertion, err := f.issuer.Assertion(tokens.Assertion{Audience: audience, Subject: "usr_1", ClientID: "app"})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{tokens.TypAccess: access.Token, tokens.TypID: id, tokens.TypSite: site, tokens.TypAssertion: assertion}
}

// TestConfusionMatrix offers every kind to a validator of every other (RFC 8725 3.11, 3.12): only the diagonal may pass.
func TestConfusionMatrix(t *testing.T) {
	t.Parallel()
	const audience = "https://one.example.com"
	f := newFixture(t)
	kinds := f.everyKind(t, audience)
	for _, want := range []string{tokens.TypAccess, tokens.TypSite, tokens.TypAssertion} {
		v, err := validation.New(validation.Config{
			Issuer: issuer, Audience: []string{audience}, Typ: want, Keys: validation.KeyFunc(f.hints().Key), Now: f.clock.Now,
		})
		if err != nil {
			t.Fatal(err)
		}
		for typ, raw := range kinds {
			_, err := v.Inspect(t.Context(), raw)
			if (err == nil) != (typ == want) {
				t.Errorf("%s offered as %s: %v", typ, want, err)
			}
		}
	}
	for typ, raw := range kinds {
		if _, err := f.hints().Read(t.Context(), raw); (err == nil) != (typ == tokens.TypID) {
			t.Errorf("%s offered as a hint: %v", typ, err)
		}
	}
}

// TestValidatorReadsWhatIsMinted carries every fact through a gate's validator.
func TestValidatorReadsWhatIsMinted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m, err := f.issuer.Access(tokens.Access{Client: client(), Scopes: oauth.Scopes{"a", "b"}, Grant: grant(f.clock.Now())})
	if err != nil {
		t.Fatal(err)
	}
	v, err := validation.New(validation.Config{
		Issuer: issuer, Audience: client().Audience, Keys: validation.KeyFunc(f.hints().Key), Now: f.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := v.Inspect(t.Context(), m.Token)
	if err != nil {
		t.Fatal(err)
	}
	at, ok := p.Realms.At("password")
	if p.Subject != "usr_1" || p.ClientID != "app" || p.TokenID != m.ID || p.GrantID != "gra_1" || p.SessionID != "ses_1" || p.ACR != "gold" ||
		p.Scopes.String() != "a b" || !ok || !at.Equal(f.clock.Now().Add(-time.Hour)) || !p.ExpiresAt.Equal(m.ExpiresAt) ||
		!p.AuthTime.Equal(f.clock.Now().Add(-time.Minute)) {
		t.Errorf("%+v", p)
	}
	f.clock.Advance(m.TTL)
	if _, err := v.Inspect(t.Context(), m.Token); err == nil {
		t.Error("valid at its exp")
	}
}

// TestKeysChangeUnderParallelUse changes the signing key between any two tokens: none names a key that has not signed it.
func TestKeysChangeUnderParallelUse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, jose.EdDSA)
	old, fresh := f.keys.byAlg[jose.EdDSA], newKeys(t, jose.EdDSA).byAlg[jose.EdDSA]
	ring := &swapping{keys: []jose.PrivateKey{old, fresh}}
	i, err := tokens.New(tokens.Config{Issuer: issuer, Keys: ring, Now: f.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				m, err := i.Access(tokens.Access{Client: client()})
				if err != nil {
					t.Error(err)
					return
				}
				token, err := jose.Parse(m.Token)
				if err != nil {
					t.Error(err)
					return
				}
				key := old
				if token.Header.KID == fresh.KID {
					key = fresh
				}
				if token.Header.KID != key.KID || token.Verify(key.Public()) != nil {
					t.Errorf("a token names the key %q and was signed by another", token.Header.KID)
				}
			}
		})
	}
	group.Wait()
}

// swapping gives out one key after the other.
type swapping struct {
	mu   sync.Mutex
	n    int
	keys []jose.PrivateKey
}

func (s *swapping) Signer() (jose.PrivateKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	return s.keys[s.n%len(s.keys)], nil
}

func (s *swapping) SignerFor(jose.Algorithm) (jose.PrivateKey, error) { return s.Signer() }

func TestTokensThatWouldBeTooLong(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	g := grant(f.clock.Now())
	g.Authn.ACR, g.Authn.Name = strings.Repeat("x", 20<<10), ""
	c := client()
	_, err := f.issuer.Access(tokens.Access{Client: c, Grant: g})
	_, err2 := f.issuer.ID(tokens.ID{Client: c, Grant: g})
	_, err3 := f.issuer.Site("https://one.example.com", *g, time.Time{})
	_, err4 := f.issuer.Assertion(tokens.Assertion{Audience: "a", Subject: "b", ACR: g.Authn.ACR})
	for _, err := range []error{err, err2, err3, err4} {
		if !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("got %v", err)
		}
	}
}

func TestErrorsNameTheClientAndNothingElse(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.keys.err = errors.New("gone")
	_, err := f.issuer.Access(tokens.Access{Client: client(), Grant: grant(f.clock.Now())})
	if err == nil || !strings.Contains(err.Error(), `"app"`) || strings.Contains(err.Error(), "usr_1") {
		t.Errorf("%v", err)
	}
	if _, err := f.issuer.Assertion(tokens.Assertion{Audience: "a", Subject: ""}); !errors.Is(err, errNoKey) && !errors.Is(err, tokens.ErrSubject) {
		t.Errorf("%v", err)
	}
}

// FuzzAssertion writes whatever text into claims: what comes out is one JSON object that says the same.
func FuzzAssertion(f *testing.F) {
	f.Add("billing", "Zoë", "a\"b\\c\x00\n")
	f.Add("<script>", "\u2028", "\xff")
	fix := newFixture(f, jose.EdDSA)
	f.Fuzz(func(t *testing.T, audience, name, acr string) {
		raw, err := fix.issuer.Assertion(tokens.Assertion{Audience: audience, Subject: "usr_1", Name: name, ACR: acr, AMR: []string{acr, name}})
		if err != nil {
			return // too long, or without an audience
		}
		token, err := jose.Parse(raw)
		if err != nil {
			t.Fatalf("what was signed cannot be read: %v", err)
		}
		var got struct {
			Audience string   `json:"aud"`
			Name     string   `json:"name"`
			AMR      []string `json:"amr"`
		}
		decoder := json.NewDecoder(bytes.NewReader(token.Payload))
		if err := decoder.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if got.Audience != utf8(audience) || got.Name != utf8(name) || len(got.AMR) != 2 || got.AMR[0] != utf8(acr) {
			t.Errorf("%q became %q, %q became %q", audience, got.Audience, name, got.Name)
		}
	})
}
