// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
)

func TestValidateReturnsWhatTheTokenSays(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	want := &validation.Principal{
		Issuer: issuer, Subject: "usr_1", ClientID: "portal", TokenID: "tok_1", GrantID: "grt_1", SessionID: "ses_1",
		ACR: "gold", AMR: []string{"pwd", "hwk"}, Audience: []string{audience}, Scopes: validation.Scopes{"accounts:read", "payments:write"},
		AuthTime: start.Add(-10 * time.Second), IssuedAt: start, ExpiresAt: start.Add(5 * time.Minute),
		Realms: validation.Realms{{Realm: "password", At: start.Add(-time.Minute)}, {Realm: "phone", At: start.Add(-10 * time.Second)}},
	}
	raw := access(t)
	for _, round := range []string{"unknown", "known"} {
		got, err := h.Validate(t.Context(), validation.Bearer(raw))
		if err != nil {
			t.Fatalf("%s: %v", round, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(validation.Principal{})); diff != "" {
			t.Errorf("%s: %s", round, diff)
		}
	}
}

// TestRFC9068 walks through section 4, and the required claims of 2.2.
func TestRFC9068(t *testing.T) {
	t.Parallel()
	k := testKey(t, jose.ES256)
	ours := func(with ...map[string]any) string { return access(t, with...) }
	tests := []struct {
		name  string
		raw   string
		cause error // nil for a valid token
	}{
		{"2.1 typ", ours(), nil},
		{"2.1 typ with the prefix", mint(t, k, "application/at+jwt", claims()), nil},
		{"2.1 typ in another case", mint(t, k, "AT+JWT", claims()), nil},
		{"2.1 typ with the prefix in another case", mint(t, k, "Application/At+Jwt", claims()), nil},
		{"2.1 typ JWT", mint(t, k, "JWT", claims()), validation.ErrType},
		{"2.1 typ absent", mint(t, k, "", claims()), validation.ErrType},
		{"2.1 typ with another prefix", mint(t, k, "text/at+jwt", claims()), validation.ErrType},
		{"2.1 typ with a suffix", mint(t, k, "at+jwt;v=1", claims()), validation.ErrType},

		{"2.2 machine client", ours(set("sub", "portal"), set("sid", nil), set("gid", nil), set("acr", nil), set("amr", nil), set("realms", nil), set("auth_time", nil)), nil},
		{"2.2 without scope", ours(set("scope", nil)), nil},
		{"2.2 iss missing", ours(set("iss", nil)), validation.ErrIssuer},
		{"2.2 exp missing", ours(set("exp", nil)), validation.ErrClaims},
		{"2.2 aud missing", ours(set("aud", nil)), validation.ErrAudience},
		{"2.2 sub missing", ours(set("sub", nil)), validation.ErrClaims},
		{"2.2 client_id missing", ours(set("client_id", nil)), validation.ErrClaims},
		{"2.2 iat missing", ours(set("iat", nil)), validation.ErrClaims},
		{"2.2 jti missing", ours(set("jti", nil)), validation.ErrClaims},
		{"2.2 sub empty", ours(set("sub", "")), validation.ErrClaims},
		{"2.2 client_id empty", ours(set("client_id", "")), validation.ErrClaims},
		{"2.2 jti empty", ours(set("jti", "")), validation.ErrClaims},

		{"4 iss with a slash", ours(set("iss", issuer+"/")), validation.ErrIssuer},
		{"4 iss in another case", ours(set("iss", "https://AUTH.example.com")), validation.ErrIssuer},
		{"4 iss with the port", ours(set("iss", issuer+":443")), validation.ErrIssuer},
		{"4 iss of another", ours(set("iss", "https://evil.example")), validation.ErrIssuer},
		{"4 iss as a list", ours(set("iss", []string{issuer})), validation.ErrClaims},
		{"4 aud as a string", ours(set("aud", audience)), nil},
		{"4 aud among several", ours(set("aud", []string{"https://other.example", audience})), nil},
		{"4 aud of a sibling", ours(set("aud", "https://other.example")), validation.ErrAudience},
		{"4 aud with a slash", ours(set("aud", audience+"/")), validation.ErrAudience},
		{"4 aud as a prefix", ours(set("aud", audience+".evil.example")), validation.ErrAudience},
		{"4 aud empty", ours(set("aud", []string{})), validation.ErrAudience},
		{"4 aud of an empty name", ours(set("aud", "")), validation.ErrAudience},
		{"4 aud as an object", ours(set("aud", map[string]any{audience: true})), validation.ErrClaims},
		{"4 aud with a number", ours(set("aud", []any{audience, 1})), validation.ErrClaims},
		{"4 aud in a nested list", ours(set("aud", []any{[]string{audience}})), validation.ErrClaims},
		{"4 exp passed", ours(set("exp", start.Unix()-1)), validation.ErrExpired},

		{"2.2.1 acr as a number", ours(set("acr", 1)), validation.ErrClaims},
		{"2.2.1 amr as a string", ours(set("amr", "pwd")), validation.ErrClaims},
		{"2.2.3 scope malformed", ours(set("scope", "a  b")), validation.ErrClaims},
		{"2.2.3 scope as a number", ours(set("scope", 7)), validation.ErrClaims},
		{"2.2.3 scope with a quote", ours(set("scope", `a"b`)), validation.ErrClaims},
		{"sub as a number", ours(set("sub", 7)), validation.ErrClaims},
		{"sub as null", ours(map[string]any{"sub": (*string)(nil)}), validation.ErrClaims},
		{"RFC7800 cnf with a key", ours(set("cnf", map[string]any{"jkt": "x"})), validation.ErrBound},
		{"RFC9449/7.2 bound to a DPoP key", ours(set("cnf", map[string]any{"jkt": strings.Repeat("x", 43)})), validation.ErrBound},
		{"RFC8705/3 bound to a certificate", ours(set("cnf", map[string]any{"x5t#S256": "x"})), validation.ErrShown},
		{"cnf of no form", ours(set("cnf", 1)), validation.ErrBound},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, err := newHouse(t).Validate(t.Context(), validation.Bearer(test.raw))
			if test.cause == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefused(t, p, err, test.cause)
		})
	}
}

// A claim that differs from one we read by case only is refused: another reader may take it for that.
func TestClaimsInAnotherCase(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, name := range []string{"EXP", "Aud", "Scope", "CNF", "realmS"} {
		p, err := h.Validate(t.Context(), validation.Bearer(access(t, set(name, "x"))))
		if p != nil || !errors.Is(err, validation.ErrClaims) {
			t.Errorf("%s: got %v, %v", name, p, err)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	const second, minute = time.Second, time.Minute
	now := start.Unix()
	tests := []struct {
		name   string
		claims string // what follows the usual claims
		leeway time.Duration
		at     time.Duration // after start
		cause  error
	}{
		{name: "exp ahead", claims: `"exp":1767225900`, at: 299 * second},
		{name: "exp now", claims: `"exp":1767225900`, at: 300 * second, cause: validation.ErrExpired},
		{name: "exp just now", claims: `"exp":1767225900`, at: 300*second - 1, cause: nil},
		{name: "exp with a fraction, before", claims: `"exp":1767225900.5`, at: 300*second + 400*time.Millisecond},
		{name: "exp with a fraction, after", claims: `"exp":1767225900.5`, at: 300*second + 600*time.Millisecond, cause: validation.ErrExpired},
		{name: "exp with an exponent", claims: `"exp":1.7672259e9`, at: 299 * second},
		{name: "exp within the leeway", claims: `"exp":1767225900`, leeway: minute, at: 359 * second},
		{name: "exp beyond the leeway", claims: `"exp":1767225900`, leeway: minute, at: 360 * second, cause: validation.ErrExpired},
		{name: "exp 1e300 does not wrap around", claims: `"exp":1e300`, at: 0},
		{name: "exp 1e400 is beyond float64", claims: `"exp":1e400`, at: 0},
		{name: "exp of the largest int64", claims: `"exp":9223372036854775807`, at: 0},
		{name: "exp of more than the largest uint64", claims: `"exp":18446744073709551617`, at: 0},
		{name: "exp of many digits", claims: `"exp":` + strings.Repeat("9", 400), at: 0},
		{name: "exp negative", claims: `"exp":-1`, cause: validation.ErrExpired},
		{name: "exp -1e300 does not wrap around", claims: `"exp":-1e300`, cause: validation.ErrClaims},
		{name: "exp -1e400", claims: `"exp":-1e400`, cause: validation.ErrClaims},
		{name: "exp of the smallest int64", claims: `"exp":-9223372036854775808`, cause: validation.ErrClaims},
		{name: "exp zero", claims: `"exp":0`, cause: validation.ErrExpired},
		{name: "exp in milliseconds is far away, not wrong", claims: `"exp":1767225900000`, at: 0},
		{name: "exp as a string", claims: `"exp":"1767225900"`, cause: validation.ErrClaims},
		{name: "exp as null", claims: `"exp":null`, cause: validation.ErrClaims},
		{name: "exp as a boolean", claims: `"exp":true`, cause: validation.ErrClaims},
		{name: "exp as a list", claims: `"exp":[1767225900]`, cause: validation.ErrClaims},
		{name: "exp as an object", claims: `"exp":{}`, cause: validation.ErrClaims},

		{name: "nbf passed", claims: `"exp":1767225900,"nbf":1767225600`},
		{name: "nbf ahead", claims: `"exp":1767225900,"nbf":1767225660`, cause: validation.ErrEarly},
		{name: "FAPI2/5.3.2.1 nbf 10 seconds ahead", claims: `"exp":1767225900,"nbf":1767225610`},
		{name: "nbf 11 seconds ahead", claims: `"exp":1767225900,"nbf":1767225611`, cause: validation.ErrEarly},
		{name: "nbf within a leeway", claims: `"exp":1767225900,"nbf":1767225660`, leeway: minute},
		{name: "nbf reached later", claims: `"exp":1767225900,"nbf":1767225660`, at: 50 * second},
		{name: "nbf 1e300", claims: `"exp":1767225900,"nbf":1e300`, cause: validation.ErrEarly},
		{name: "nbf -1e300", claims: `"exp":1767225900,"nbf":-1e300`},
		{name: "nbf as a string", claims: `"exp":1767225900,"nbf":"0"`, cause: validation.ErrClaims},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(c *validation.Config) { c.Leeway = test.leeway })
			h.clock.advance(test.at)
			raw := mint(t, testKey(t, jose.ES256), "at+jwt",
				`{"iss":"`+issuer+`","sub":"u","aud":"`+audience+`","iat":1767225600,"jti":"t","client_id":"c",`+test.claims+`}`)
			p, err := h.Validate(t.Context(), validation.Bearer(raw))
			if test.cause != nil {
				wantRefused(t, p, err, test.cause)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.ExpiresAt.Before(start) || p.ExpiresAt.Year() > 9999 {
				t.Errorf("expires at %v", p.ExpiresAt)
			}
		})
	}
	t.Run("iat ahead", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		if _, err := h.Validate(t.Context(), validation.Bearer(access(t, set("iat", now+10)))); err != nil {
			t.Errorf("10 seconds: %v", err)
		}
		p, err := h.Validate(t.Context(), validation.Bearer(access(t, set("iat", now+11))))
		wantRefused(t, p, err, validation.ErrEarly)
	})
}

// auth_time and the times in realms are read with the same care.
func TestTimesOfProofs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tests := []struct {
		name   string
		claim  map[string]any
		auth   time.Time
		realms validation.Realms
	}{
		{"absent", map[string]any{"auth_time": nil, "realms": nil}, time.Time{}, nil},
		{"fraction", map[string]any{"auth_time": 1767225600.25, "realms": nil}, start.Add(250 * time.Millisecond), nil},
		{"negative fraction", map[string]any{"auth_time": -1.5, "realms": nil}, time.Unix(-2, 500_000_000).UTC(), nil},
		{"a realm", map[string]any{"auth_time": nil, "realms": map[string]any{"phone": 1767225600}}, time.Time{}, validation.Realms{{Realm: "phone", At: start}}},
		{"realms as a list", map[string]any{"auth_time": nil, "realms": []string{"phone"}}, time.Time{}, nil},
		{"realms with booleans", map[string]any{"auth_time": nil, "realms": map[string]any{"phone": true}}, time.Time{}, nil},
		{"realms with one string", map[string]any{"auth_time": nil, "realms": map[string]any{"a": 1, "phone": "1"}}, time.Time{}, nil},
		{"no realms", map[string]any{"auth_time": nil, "realms": map[string]any{}}, time.Time{}, nil},
		{"foreign sid and gid", map[string]any{"auth_time": nil, "realms": nil, "sid": 7, "gid": []int{1}}, time.Time{}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, err := h.Validate(t.Context(), validation.Bearer(access(t, test.claim)))
			if err != nil {
				t.Fatal(err)
			}
			if !p.AuthTime.Equal(test.auth) || !cmp.Equal(p.Realms, test.realms) {
				t.Errorf("got %v, %v", p.AuthTime, p.Realms)
			}
		})
	}
}

func TestForeignIssuer(t *testing.T) {
	t.Parallel()
	k := testKey(t, jose.RS256)
	foreign := func(c *validation.Config) {
		c.Typ, c.Keys, c.ScopeClaim = validation.TypJWT, newKeys(k), "scp"
	}
	minimal := map[string]any{"iss": issuer, "sub": "u", "aud": audience, "exp": start.Unix() + 300}
	with := func(change map[string]any) map[string]any {
		all := map[string]any{}
		for _, m := range []map[string]any{minimal, change} {
			for name, value := range m {
				all[name] = value
			}
		}
		return all
	}
	tests := []struct {
		name   string
		raw    string
		cause  error
		client string
		scopes validation.Scopes
	}{
		{name: "typ JWT", raw: mint(t, k, "JWT", minimal)},
		{name: "typ jwt", raw: mint(t, k, "jwt", minimal)},
		{name: "typ application/JWT", raw: mint(t, k, "application/JWT", minimal)},
		{name: "no typ", raw: mint(t, k, "", minimal)},
		{name: "scopes in a string", raw: mint(t, k, "JWT", with(set("scp", "a b"))), scopes: validation.Scopes{"a", "b"}},
		{name: "scopes in a list", raw: mint(t, k, "JWT", with(set("scp", []string{"a", "b"}))), scopes: validation.Scopes{"a", "b"}},
		{name: "scopes under the usual name do not count", raw: mint(t, k, "JWT", with(set("scope", "admin")))},
		{name: "authorized party", raw: mint(t, k, "JWT", with(set("azp", "spa"))), client: "spa"},
		{name: "client before authorized party", raw: mint(t, k, "JWT", with(map[string]any{"azp": "spa", "client_id": "c"})), client: "c"},
		{name: "typ at+jwt", raw: mint(t, k, "at+jwt", minimal), cause: validation.ErrType},
		{name: "typ logout+jwt", raw: mint(t, k, "logout+jwt", minimal), cause: validation.ErrType},
		{name: "ID token by nonce", raw: mint(t, k, "JWT", with(set("nonce", "n"))), cause: validation.ErrType},
		{name: "ID token by at_hash", raw: mint(t, k, "", with(set("at_hash", "h"))), cause: validation.ErrType},
		{name: "ID token by c_hash", raw: mint(t, k, "", with(set("c_hash", "h"))), cause: validation.ErrType},
		{name: "ID token by s_hash", raw: mint(t, k, "", with(set("s_hash", "h"))), cause: validation.ErrType},
		{name: "logout token by events", raw: mint(t, k, "JWT", with(set("events", map[string]any{}))), cause: validation.ErrType},
		{name: "introspection response", raw: mint(t, k, "JWT", with(set("token_introspection", map[string]any{}))), cause: validation.ErrType},
		{name: "no sub", raw: mint(t, k, "JWT", with(set("sub", ""))), cause: validation.ErrClaims},
		{name: "scopes malformed", raw: mint(t, k, "JWT", with(set("scp", []any{"a", 1}))), cause: validation.ErrClaims},
		{name: "scope with a space in a list", raw: mint(t, k, "JWT", with(set("scp", []string{"a  b"}))), cause: validation.ErrClaims},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, err := newHouse(t, foreign).Validate(t.Context(), validation.Bearer(test.raw))
			if test.cause != nil {
				wantRefused(t, p, err, test.cause)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.ClientID != test.client || !cmp.Equal(p.Scopes, test.scopes, cmpopts.EquateEmpty()) {
				t.Errorf("got client %q and scopes %v", p.ClientID, p.Scopes)
			}
		})
	}
}

// A type of one's own, such as that of session tokens, is as strict about the type and asks for fewer claims.
func TestTypOfItsOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *validation.Config) { c.Typ = "gatehouse-session+jwt" })
	k := testKey(t, jose.ES256)
	if _, err := h.Validate(t.Context(), validation.Bearer(mint(t, k, "gatehouse-session+jwt", claims(set("client_id", nil), set("jti", nil))))); err != nil {
		t.Error(err)
	}
	p, err := h.Validate(t.Context(), validation.Bearer(access(t)))
	wantRefused(t, p, err, validation.ErrType)
	p, err = h.Validate(t.Context(), validation.Bearer(mint(t, k, "", claims())))
	wantRefused(t, p, err, validation.ErrType)
}

func TestAlgorithms(t *testing.T) {
	t.Parallel()
	all := []jose.Algorithm{jose.ES256, jose.EdDSA, jose.RS256, jose.PS256}
	var private []jose.PrivateKey
	for _, alg := range all {
		private = append(private, testKey(t, alg))
	}
	for _, alg := range all {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			raw := mint(t, testKey(t, alg), "at+jwt", claims())
			h := newHouse(t, func(c *validation.Config) { c.Keys = newKeys(private...) })
			for range 2 {
				if _, err := h.Validate(t.Context(), validation.Bearer(raw)); err != nil {
					t.Errorf("by default: %v", err)
				}
			}
			for _, only := range all {
				source := newKeys(private...)
				h := newHouse(t, func(c *validation.Config) { c.Keys, c.Algs = source, []jose.Algorithm{only} })
				p, err := h.Validate(t.Context(), validation.Bearer(raw))
				if only == alg {
					if err != nil {
						t.Errorf("where it is the only one: %v", err)
					}
					continue
				}
				wantRefused(t, p, err, validation.ErrSignature)
				if source.asked.Load() != 0 {
					t.Errorf("a key was looked for on behalf of %s where only %s is accepted", alg, only)
				}
			}
		})
	}
}

func TestKeySourceDown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.keys.fail(errors.New("dialing 10.0.0.1"))
	_, err := h.Validate(t.Context(), validation.Bearer(access(t)))
	e := wantCode(t, err, oauth.TemporarilyUnavailable, 503)
	if strings.Contains(e.Description, "10.0.0.1") {
		t.Errorf("the cause is published: %s", e.Description)
	}
	h.keys.fail(nil)
	if _, err := h.Validate(t.Context(), validation.Bearer(access(t))); err != nil {
		t.Errorf("when it is back: %v", err)
	}
	h.keys.fail(errors.New("down again"))
	_, err = h.Validate(t.Context(), validation.Bearer(access(t)))
	wantCode(t, err, oauth.TemporarilyUnavailable, 503)
}

func TestNewRefusesWhatIsNotConfigured(t *testing.T) {
	t.Parallel()
	sound := validation.Config{Issuer: issuer, Audience: []string{audience}, Keys: newKeys(), Now: newClock().Now}
	tests := []struct {
		name   string
		change func(*validation.Config)
	}{
		{"issuer", func(c *validation.Config) { c.Issuer = "" }},
		{"audience", func(c *validation.Config) { c.Audience = nil }},
		{"empty audience", func(c *validation.Config) { c.Audience = []string{audience, ""} }},
		{"keys", func(c *validation.Config) { c.Keys = nil }},
		{"clock", func(c *validation.Config) { c.Now = nil }},
		{"negative leeway", func(c *validation.Config) { c.Leeway = -1 }},
		{"leeway", func(c *validation.Config) { c.Leeway = validation.MaxLeeway + 1 }},
		{"algorithm none", func(c *validation.Config) { c.Algs = []jose.Algorithm{"none"} }},
		{"algorithm HS256", func(c *validation.Config) { c.Algs = []jose.Algorithm{jose.ES256, "HS256"} }},
	}
	if _, err := validation.New(sound); err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := sound
			test.change(&c)
			if v, err := validation.New(c); err == nil || v != nil {
				t.Errorf("got %v, %v", v, err)
			}
		})
	}
}
