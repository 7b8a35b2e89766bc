// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"context"
	"errors"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/validation"
)

func jwks(tb testing.TB, keys ...validation.Key) []byte {
	tb.Helper()
	data, err := jose.MarshalSet(keys)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestParseKeySet(t *testing.T) {
	t.Parallel()
	first, second, rs := testKey(t, jose.ES256).Public(), keyNamed(t, "evil", jose.ES256).Public(), testKey(t, jose.RS256).Public()
	unnamed, twin := first, rs
	unnamed.KID, twin.KID = "", first.KID
	tests := []struct {
		name string
		data []byte
		want map[string]validation.Key // nil for an error
		not  []string
	}{
		{"one key answers for tokens without a name", jwks(t, first), map[string]validation.Key{first.KID: first, "": first}, []string{second.KID}},
		{"two keys do not", jwks(t, first, second), map[string]validation.Key{first.KID: first, second.KID: second}, []string{"", "x"}},
		{"a key without a name", jwks(t, unnamed, second), map[string]validation.Key{"": first, second.KID: second}, []string{first.KID}},
		{"of twins the first counts", jwks(t, first, twin), map[string]validation.Key{first.KID: first}, nil},
		{"none", []byte(`{"keys":[]}`), nil, nil},
		{"none that is usable", []byte(`{"keys":[{"kty":"EC","crv":"P-999","x":"AA","y":"AA"}]}`), nil, nil},
		{"a secret", []byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`), nil, nil},
		{"malformed", []byte(`{`), nil, nil},
		{"empty", nil, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			set, err := validation.ParseKeySet(test.data)
			if (err == nil) != (test.want != nil) {
				t.Fatal(err)
			}
			for kid, want := range test.want {
				got, err := set.Key(t.Context(), kid)
				if err != nil || jose.Thumbprint(got) != jose.Thumbprint(want) {
					t.Errorf("%q: got %q, %v", kid, jose.Thumbprint(got), err)
				}
			}
			for _, kid := range test.not {
				if _, err := set.Key(t.Context(), kid); !errors.Is(err, validation.ErrUnknownKey) {
					t.Errorf("%q: got %v", kid, err)
				}
			}
		})
	}
}

// An issuer with one key need not name it in its tokens.
func TestTokenWithoutKID(t *testing.T) {
	t.Parallel()
	k := testKey(t, jose.ES256)
	set, err := validation.ParseKeySet(jwks(t, k.Public()))
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, func(c *validation.Config) { c.Keys = set })
	nameless := k
	nameless.KID = ""
	raw := mint(t, nameless, "at+jwt", claims())
	for range 2 {
		if _, err := h.Validate(t.Context(), validation.Bearer(raw)); err != nil {
			t.Error(err)
		}
	}
	if got := h.Stats(); got.Hits != 1 {
		t.Errorf("got %+v", got)
	}
	set, err = validation.ParseKeySet(jwks(t, k.Public(), keyNamed(t, "evil", jose.ES256).Public()))
	if err != nil {
		t.Fatal(err)
	}
	p, err := newHouse(t, func(c *validation.Config) { c.Keys = set }).Validate(t.Context(), validation.Bearer(raw))
	wantRefused(t, p, err, validation.ErrUnknownKey)
}

func TestKeyFunc(t *testing.T) {
	t.Parallel()
	k := testKey(t, jose.ES256)
	source := validation.KeyFunc(func(_ context.Context, kid string) (validation.Key, bool) { return k.Public(), kid == k.KID })
	h := newHouse(t, func(c *validation.Config) { c.Keys = source })
	if _, err := h.Validate(t.Context(), validation.Bearer(access(t))); err != nil {
		t.Error(err)
	}
	p, err := h.Validate(t.Context(), validation.Bearer(mint(t, keyNamed(t, "evil", jose.ES256), "at+jwt", claims())))
	wantRefused(t, p, err, validation.ErrUnknownKey)
}

func TestIssuers(t *testing.T) {
	t.Parallel()
	const other = "https://other.example"
	ours, theirs := testKey(t, jose.ES256), keyNamed(t, "evil", jose.ES256)
	theirs.KID = ours.KID // two issuers need not know of one another
	first := newHouse(t)
	second := newHouse(t, func(c *validation.Config) { c.Issuer, c.Keys = other, newKeys(theirs) })
	both, err := validation.NewIssuers(first.Validator, second.Validator)
	if err != nil {
		t.Fatal(err)
	}
	if !both.Now().Equal(start) {
		t.Errorf("got the time %v", both.Now())
	}
	tests := []struct {
		name   string
		raw    string
		issuer string
		cause  error
	}{
		{"ours", mint(t, ours, "at+jwt", claims()), issuer, nil},
		{"theirs", mint(t, theirs, "at+jwt", claims(set("iss", other))), other, nil},
		{"RFC8725/3.8 ours with their key", mint(t, theirs, "at+jwt", claims()), "", validation.ErrSignature},
		{"RFC8725/3.8 theirs with our key", mint(t, ours, "at+jwt", claims(set("iss", other))), "", validation.ErrSignature},
		{"nobody's", mint(t, ours, "at+jwt", claims(set("iss", "https://evil.example"))), "", validation.ErrIssuer},
		{"no issuer", mint(t, ours, "at+jwt", claims(set("iss", nil))), "", validation.ErrIssuer},
		{"an issuer that is no string", mint(t, ours, "at+jwt", claims(set("iss", 1))), "", validation.ErrIssuer},
		{"malformed", "abc", "", validation.ErrMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for range 2 {
				p, err := both.Validate(t.Context(), validation.Bearer(test.raw))
				if test.cause != nil {
					wantRefused(t, p, err, test.cause)
					continue
				}
				if err != nil || p.Issuer != test.issuer {
					t.Errorf("got %v, %v", p, err)
				}
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		if _, err := validation.NewIssuers(); err == nil {
			t.Error("nobody is an authority")
		}
		if _, err := validation.NewIssuers(first.Validator, newHouse(t).Validator); err == nil {
			t.Error("two for one issuer")
		}
		huge := make([]byte, jose.MaxToken+1)
		if _, err := both.Validate(t.Context(), validation.Bearer(string(huge))); err == nil {
			t.Error("a huge token passes")
		}
	})
}

// A revocation of one issuer's token is asked for by way of several as well.
func TestIssuersAskForRevocations(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	both, err := validation.NewIssuers(newHouse(t, func(c *validation.Config) { c.Issuer = "https://other.example" }).Validator, h.Validator)
	if err != nil {
		t.Fatal(err)
	}
	raw := access(t)
	if _, err := both.Validate(t.Context(), validation.Bearer(raw)); err != nil {
		t.Fatal(err)
	}
	h.revoked.revoked.Store("tok_1", true)
	p, err := both.Validate(t.Context(), validation.Bearer(raw))
	wantRefused(t, p, err, validation.ErrRevoked)
}
