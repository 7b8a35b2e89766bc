// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const issuer = "https://auth.example.com"

// keys holds one key for each algorithm; the first is the default.
type keys struct {
	byAlg    map[jose.Algorithm]jose.PrivateKey
	standard jose.Algorithm
	err      error
}

var errNoKey = errors.New("no key")

func newKeys(t testing.TB, algs ...jose.Algorithm) *keys {
	t.Helper()
	k := &keys{byAlg: map[jose.Algorithm]jose.PrivateKey{}, standard: algs[0]}
	for _, alg := range algs {
		key, err := jose.GenerateKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		k.byAlg[alg] = key
	}
	return k
}

func (k *keys) Signer() (jose.PrivateKey, error) { return k.SignerFor(k.standard) }

func (k *keys) SignerFor(alg jose.Algorithm) (jose.PrivateKey, error) {
	key, ok := k.byAlg[alg]
	if k.err != nil || !ok {
		return jose.PrivateKey{}, errors.Join(errNoKey, k.err)
	}
	return key, nil
}

type fixture struct {
	clock  *storagetest.Clock
	keys   *keys
	issuer *tokens.Issuer
}

func newFixture(t testing.TB, algs ...jose.Algorithm) *fixture {
	t.Helper()
	if len(algs) == 0 {
		algs = []jose.Algorithm{jose.ES256}
	}
	f := &fixture{clock: storagetest.NewClock(), keys: newKeys(t, algs...)}
	var err error
	f.issuer, err = tokens.New(tokens.Config{Issuer: issuer, Keys: f.keys, Now: f.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// read verifies a token with the key of an algorithm and returns its header and claims.
func (f *fixture) read(t testing.TB, alg jose.Algorithm, raw string) (jose.Header, map[string]any) {
	t.Helper()
	token, err := jose.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := token.Verify(f.keys.byAlg[alg].Public()); err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	return token.Header, claims
}

func client() *authz.Client {
	return &authz.Client{
		ID: "app", Auth: authz.AuthNone, Audience: []string{"https://api.example.com"}, AccessTTL: 5 * time.Minute,
		RedirectURIs: []string{"https://app.example.com/cb"},
	}
}

func grant(now time.Time) *authz.Grant {
	return &authz.Grant{
		ID: "gra_1", ClientID: "app", Subject: "usr_1", SessionID: "ses_1", Scopes: oauth.Scopes{"openid", "accounts:read"},
		Authn: realm.Authentication{
			Subject: "usr_1", Name: `Zoë "Z" O'Neill`, ACR: "gold", AMR: []string{"pwd", "swk"}, AuthTime: now.Add(-time.Minute),
			Realms: map[string]time.Time{"phone": now.Add(-time.Minute), "password": now.Add(-time.Hour)},
		},
	}
}

func unix(t time.Time) float64 { return float64(t.Unix()) }

// random leaves out the claim that is drawn.
var random = cmpopts.IgnoreMapEntries(func(name string, _ any) bool { return name == "jti" })

func TestRFC9068(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	now := f.clock.Now()
	t.Run("2.1 typ and 2.2 claims of a user's token", func(t *testing.T) {
		t.Parallel()
		m, err := f.issuer.Access(tokens.Access{Client: client(), Scopes: oauth.Scopes{"accounts:read"}, Grant: grant(now)})
		if err != nil {
			t.Fatal(err)
		}
		header, claims := f.read(t, jose.ES256, m.Token)
		want := jose.Header{Alg: jose.ES256, KID: f.keys.byAlg[jose.ES256].KID, Typ: "at+jwt"}
		if diff := cmp.Diff(want, header); diff != "" {
			t.Error(diff)
		}
		wantClaims := map[string]any{
			"iss": issuer, "sub": "usr_1", "aud": []any{"https://api.example.com"}, "exp": unix(now.Add(5 * time.Minute)), "iat": unix(now),
			"client_id": "app", "scope": "accounts:read", "gid": "gra_1", "sid": "ses_1", "auth_time": unix(now.Add(-time.Minute)),
			"acr": "gold", "amr": []any{"pwd", "swk"},
			"realms": map[string]any{"phone": unix(now.Add(-time.Minute)), "password": unix(now.Add(-time.Hour))},
		}
		if diff := cmp.Diff(wantClaims, claims, random); diff != "" {
			t.Error(diff)
		}
		if jti, _ := claims["jti"].(string); jti != m.ID || len(jti) < 26 {
			t.Errorf("jti is %q, minted is %q", jti, m.ID)
		}
		if !m.ExpiresAt.Equal(now.Add(5*time.Minute)) || m.TTL != 5*time.Minute {
			t.Errorf("minted: %+v", m)
		}
	})
	t.Run("2.2 claims of a client's own token", func(t *testing.T) {
		t.Parallel()
		m, err := f.issuer.Access(tokens.Access{Client: client(), Scopes: oauth.Scopes{"jobs:run", "jobs:list"}})
		if err != nil {
			t.Fatal(err)
		}
		_, claims := f.read(t, jose.ES256, m.Token)
		wantClaims := map[string]any{
			"iss": issuer, "sub": "app", "aud": []any{"https://api.example.com"}, "exp": unix(now.Add(5 * time.Minute)), "iat": unix(now),
			"client_id": "app", "scope": "jobs:run jobs:list",
		}
		if diff := cmp.Diff(wantClaims, claims, random); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("2.2 jti is never the same", func(t *testing.T) {
		t.Parallel()
		seen := map[string]bool{}
		for range 100 {
			m, err := f.issuer.Access(tokens.Access{Client: client()})
			if err != nil {
				t.Fatal(err)
			}
			seen[m.ID] = true
		}
		if len(seen) != 100 {
			t.Errorf("%d different ids of 100", len(seen))
		}
	})
	t.Run("2.2.3 no scope, no claim", func(t *testing.T) {
		t.Parallel()
		m, err := f.issuer.Access(tokens.Access{Client: client()})
		if err != nil {
			t.Fatal(err)
		}
		if _, claims := f.read(t, jose.ES256, m.Token); claims["scope"] != nil {
			t.Errorf("scope is %v", claims["scope"])
		}
	})
	t.Run("offline grants name no session", func(t *testing.T) {
		t.Parallel()
		g := grant(now)
		g.Offline = true
		m, err := f.issuer.Access(tokens.Access{Client: client(), Grant: g})
		if err != nil {
			t.Fatal(err)
		}
		if _, claims := f.read(t, jose.ES256, m.Token); claims["sid"] != nil || claims["gid"] != "gra_1" {
			t.Errorf("sid %v, gid %v", claims["sid"], claims["gid"])
		}
	})
	t.Run("issued when it was decided", func(t *testing.T) {
		t.Parallel()
		decided := now.Add(-1500 * time.Millisecond)
		m, err := f.issuer.Access(tokens.Access{Client: client(), Grant: grant(now), At: decided})
		if err != nil {
			t.Fatal(err)
		}
		_, claims := f.read(t, jose.ES256, m.Token)
		if claims["iat"] != unix(decided) || claims["exp"] != unix(decided.Truncate(time.Second).Add(5*time.Minute)) {
			t.Errorf("iat %v, exp %v", claims["iat"], claims["exp"])
		}
	})
}

func TestOIDCCore(t *testing.T) {
	t.Parallel()
	f := newFixture(t, jose.ES256, jose.RS256, jose.EdDSA, jose.PS256)
	now := f.clock.Now()
	t.Run("2 idt-claims", func(t *testing.T) {
		t.Parallel()
		raw, err := f.issuer.ID(tokens.ID{Client: client(), Grant: grant(now), Nonce: "n-0S6_WzA2Mj", AccessToken: "x"})
		if err != nil {
			t.Fatal(err)
		}
		header, claims := f.read(t, jose.ES256, raw)
		if header.Typ != "JWT" {
			t.Errorf("typ is %q", header.Typ)
		}
		want := map[string]any{
			"iss": issuer, "sub": "usr_1", "aud": "app", "exp": unix(now.Add(5 * time.Minute)), "iat": unix(now),
			"auth_time": unix(now.Add(-time.Minute)), "nonce": "n-0S6_WzA2Mj", "acr": "gold", "amr": []any{"pwd", "swk"},
			"sid": "ses_1", "at_hash": claims["at_hash"],
		}
		if diff := cmp.Diff(want, claims); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("3.1.2.1 nonce", func(t *testing.T) {
		t.Parallel()
		for _, nonce := range []string{"x", strings.Repeat("n", 200), `quo"te\back é`, ""} {
			raw, err := f.issuer.ID(tokens.ID{Client: client(), Grant: grant(now), Nonce: nonce})
			if err != nil {
				t.Fatal(err)
			}
			_, claims := f.read(t, jose.ES256, raw)
			got, present := claims["nonce"]
			if present != (nonce != "") || present && got != nonce {
				t.Errorf("nonce %q became %v", nonce, got)
			}
		}
	})
	t.Run("3.1.3.6 at_hash", func(t *testing.T) {
		t.Parallel()
		const accessToken = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y" // OpenID Connect Core A.3
		for _, test := range []struct {
			alg  jose.Algorithm
			want string
		}{
			{jose.ES256, "77QmUPtjPfzWtF2AnpK9RQ"},
			{jose.RS256, "77QmUPtjPfzWtF2AnpK9RQ"},
			{jose.PS256, "77QmUPtjPfzWtF2AnpK9RQ"},
			{jose.EdDSA, "q7nS86GgvvFaZkzALLWqJYaJIKw2wCDAVfCAsm5CrBM"},
		} {
			c := client()
			c.IDTokenAlg = test.alg
			raw, err := f.issuer.ID(tokens.ID{Client: c, Grant: grant(now), AccessToken: accessToken})
			if err != nil {
				t.Fatal(err)
			}
			if _, claims := f.read(t, test.alg, raw); claims["at_hash"] != test.want {
				t.Errorf("%s: at_hash is %v, want %s", test.alg, claims["at_hash"], test.want)
			}
		}
	})
	t.Run("2 sub of at most 255 ASCII characters", func(t *testing.T) {
		t.Parallel()
		for _, test := range []struct {
			subject string
			ok      bool
		}{
			{strings.Repeat("s", 255), true}, {strings.Repeat("s", 256), false}, {"", false}, {"zoë", false}, {"a\nb", false}, {"a b", true},
		} {
			g := grant(now)
			g.Subject = test.subject
			_, err := f.issuer.ID(tokens.ID{Client: client(), Grant: g})
			_, err2 := f.issuer.Access(tokens.Access{Client: client(), Grant: g})
			_, err3 := f.issuer.Site("https://app.example.com", *g, time.Time{})
			for _, err := range []error{err, err2, err3} {
				if (err == nil) != test.ok || err != nil && !errors.Is(err, tokens.ErrSubject) {
					t.Errorf("subject of %d characters: %v", len(test.subject), err)
				}
			}
		}
	})
	t.Run("9 algorithm of the client", func(t *testing.T) {
		t.Parallel()
		for _, alg := range []jose.Algorithm{"", jose.ES256, jose.RS256, jose.EdDSA, jose.PS256} {
			c := client()
			c.IDTokenAlg, c.AccessTokenAlg = alg, alg
			want := alg
			if want == "" {
				want = jose.ES256
			}
			raw, err := f.issuer.ID(tokens.ID{Client: c, Grant: grant(now)})
			if err != nil {
				t.Fatal(err)
			}
			f.read(t, want, raw)
			m, err := f.issuer.Access(tokens.Access{Client: c})
			if err != nil {
				t.Fatal(err)
			}
			f.read(t, want, m.Token)
		}
	})
}

func TestSiteToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	now := f.clock.Now()
	raw, err := f.issuer.Site("https://app.example.com", *grant(now), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	header, claims := f.read(t, jose.ES256, raw)
	want := map[string]any{
		"iss": issuer, "sub": "usr_1", "aud": []any{"https://app.example.com", issuer + "/_gatehouse/"}, "exp": unix(now.Add(tokens.SiteTTL)), "iat": unix(now),
		"client_id": "app", "scope": "openid accounts:read", "gid": "gra_1", "sid": "ses_1", "name": `Zoë "Z" O'Neill`,
		"auth_time": unix(now.Add(-time.Minute)), "acr": "gold", "amr": []any{"pwd", "swk"},
		"realms": map[string]any{"phone": unix(now.Add(-time.Minute)), "password": unix(now.Add(-time.Hour))},
	}
	if diff := cmp.Diff(want, claims, random); diff != "" {
		t.Error(diff)
	}
	if header.Typ != "gatehouse-session+jwt" {
		t.Errorf("typ is %q", header.Typ)
	}
	if tokens.SiteTTL >= authz.RevocationTTL {
		t.Error("a site's token outlives the log of revocations")
	}
	if _, err := f.issuer.Site("", *grant(now), time.Time{}); err == nil {
		t.Error("a token without an audience")
	}
	if _, err := f.issuer.Site("https://app.example.com", authz.Grant{Subject: "usr_1"}, time.Time{}); err == nil {
		t.Error("a token without a grant")
	}
}

func TestAssertion(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	now := f.clock.Now()
	raw, err := f.issuer.Assertion(tokens.Assertion{
		Audience: "billing", Subject: "usr_1", Name: "Zoë", ClientID: "app", Scopes: oauth.Scopes{"a", "b"}, ACR: "gold",
		AMR: []string{"pwd"}, AuthTime: now, SessionID: "ses_1", Realms: map[string]time.Time{"password": now},
		Confirmed: &tokens.Confirmed{Operation: "op_1", Device: "dev_1", Method: "POST", URI: "/a?b", Digest: "sha-256=:x:"},
	})
	if err != nil {
		t.Fatal(err)
	}
	header, claims := f.read(t, jose.ES256, raw)
	want := map[string]any{
		"iss": issuer, "sub": "usr_1", "aud": "billing", "exp": unix(now.Add(time.Minute)), "iat": unix(now), "client_id": "app",
		"scope": "a b", "sid": "ses_1", "name": "Zoë", "auth_time": unix(now), "acr": "gold", "amr": []any{"pwd"},
		"realms":       map[string]any{"password": unix(now)},
		"confirmation": map[string]any{"operation": "op_1", "device": "dev_1", "method": "POST", "uri": "/a?b", "digest": "sha-256=:x:"},
	}
	if diff := cmp.Diff(want, claims, random); diff != "" {
		t.Error(diff)
	}
	if header.Typ != "gatehouse-assertion+jwt" {
		t.Errorf("typ is %q", header.Typ)
	}
	if _, err := f.issuer.Assertion(tokens.Assertion{Subject: "usr_1"}); err == nil {
		t.Error("an assertion without an audience")
	}
}

func TestRotatedKeySignsTheNextToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first, err := f.issuer.Access(tokens.Access{Client: client()})
	if err != nil {
		t.Fatal(err)
	}
	f.read(t, jose.ES256, first.Token)
	f.keys.byAlg = newKeys(t, jose.ES256).byAlg
	second, err := f.issuer.Access(tokens.Access{Client: client()})
	if err != nil {
		t.Fatal(err)
	}
	f.read(t, jose.ES256, second.Token)
}

func TestNoTokenWithoutAKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	rs := client()
	rs.AccessTokenAlg, rs.IDTokenAlg = jose.RS256, jose.RS256
	_, err := f.issuer.Access(tokens.Access{Client: rs})
	_, err2 := f.issuer.ID(tokens.ID{Client: rs, Grant: grant(f.clock.Now())})
	f.keys.err = errors.New("not loaded")
	_, err3 := f.issuer.Site("https://a.example", *grant(f.clock.Now()), time.Time{})
	_, err4 := f.issuer.Assertion(tokens.Assertion{Audience: "a", Subject: "b"})
	for _, err := range []error{err, err2, err3, err4} {
		if !errors.Is(err, errNoKey) {
			t.Errorf("got %v", err)
		}
	}
	f.keys.err = nil
	f.keys.byAlg[jose.ES256] = jose.PrivateKey{Alg: "none", KID: "x"}
	if _, err := f.issuer.Access(tokens.Access{Client: client()}); err == nil {
		t.Error("a key outside the profile signed")
	}
}

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	k, now := newKeys(t, jose.ES256), storagetest.NewClock().Now
	for _, c := range []tokens.Config{{Keys: k, Now: now}, {Issuer: issuer, Now: now}, {Issuer: issuer, Keys: k}} {
		if _, err := tokens.New(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

// TestClaimsAreTheJSONOfTheirValues compares the appended claims with what encoding/json makes of the same values.
func TestClaimsAreTheJSONOfTheirValues(t *testing.T) {
	t.Parallel()
	f := newFixture(t, jose.EdDSA)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		a := tokens.Assertion{
			Audience: rapid.StringN(1, 20, -1).Draw(t, "aud"), Subject: rapid.StringMatching(`[ -~]{1,30}`).Draw(t, "sub"),
			Name: text.Draw(t, "name"), ClientID: text.Draw(t, "client"), ACR: text.Draw(t, "acr"),
			AMR:    rapid.SliceOf(text).Draw(t, "amr"),
			Scopes: rapid.SliceOf(rapid.StringMatching(`[!#-\[\]-~]{1,9}`)).Draw(t, "scope"),
			Realms: map[string]time.Time{},
		}
		for _, name := range rapid.SliceOf(text).Draw(t, "realms") {
			a.Realms[name] = f.clock.Now()
		}
		raw, err := f.issuer.Assertion(a)
		if err != nil {
			t.Fatal(err)
		}
		token, err := jose.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Audience string           `json:"aud"`
			Subject  string           `json:"sub"`
			Name     string           `json:"name"`
			ClientID string           `json:"client_id"`
			ACR      string           `json:"acr"`
			AMR      []string         `json:"amr"`
			Scope    string           `json:"scope"`
			Realms   map[string]int64 `json:"realms"`
		}
		if err := json.Unmarshal(token.Payload, &got); err != nil {
			t.Fatal(err)
		}
		want := []any{utf8(a.Audience), a.Subject, utf8(a.Name), utf8(a.ClientID), utf8(a.ACR), a.Scopes.String(), len(a.AMR)}
		have := []any{got.Audience, got.Subject, got.Name, got.ClientID, got.ACR, got.Scope, len(got.AMR)}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Fatal(diff)
		}
	})
}

// utf8 is what encoding/json makes of text that is not UTF-8.
func utf8(text string) string { return string([]rune(text)) }

func BenchmarkAccess(b *testing.B) {
	for _, alg := range []jose.Algorithm{jose.ES256, jose.EdDSA, jose.RS256} {
		b.Run(string(alg), func(b *testing.B) {
			f := newFixture(b, alg)
			a := tokens.Access{Client: client(), Scopes: oauth.Scopes{"accounts:read"}, Grant: grant(f.clock.Now())}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.issuer.Access(a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSignFloor is the price of the signature alone.
func BenchmarkSignFloor(b *testing.B) {
	f := newFixture(b, jose.ES256)
	s, err := jose.NewSigner(f.keys.byAlg[jose.ES256], tokens.TypAccess)
	if err != nil {
		b.Fatal(err)
	}
	claims := []byte(`{"a":"` + strings.Repeat("x", 400) + `"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Sign(claims); err != nil {
			b.Fatal(err)
		}
	}
}
