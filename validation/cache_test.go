// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
)

// The second look at a token is served from memory: same principal, no second verification.
func TestKnownTokenIsRemembered(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	raw := access(t)
	first, err := h.Validate(t.Context(), validation.Bearer(raw))
	if err != nil {
		t.Fatal(err)
	}
	second, err := h.Validate(t.Context(), validation.Bearer(raw))
	if err != nil {
		t.Fatal(err)
	}
	third, err := h.Validate(t.Context(), validation.Bearer(raw))
	if err != nil || second != third {
		t.Errorf("known tokens do not share a principal: %p, %p, %v", second, third, err)
	}
	if first.TokenID != second.TokenID {
		t.Errorf("got %q and %q", first.TokenID, second.TokenID)
	}
	if got := h.Stats(); got.Hits != 2 || got.Misses != 1 || got.Entries != 1 || got.Bytes == 0 {
		t.Errorf("got %+v", got)
	}
}

// Everything that may change is judged anew for a known token.
func TestKnownTokenIsJudgedAnew(t *testing.T) {
	t.Parallel()
	other := keyNamed(t, "evil", jose.ES256)
	tests := []struct {
		name      string
		change    func(*house)
		cause     error
		status    int
		forgotten bool
	}{
		{"the clock passes exp", func(h *house) { h.clock.advance(5 * time.Minute) }, validation.ErrExpired, 401, true},
		{"the clock is set back before iat", func(h *house) { h.clock.advance(-time.Minute) }, validation.ErrEarly, 401, false},
		{"it is revoked", func(h *house) { h.revoked.revoked.Store("tok_1", true) }, validation.ErrRevoked, 401, false},
		{"the key is gone", func(h *house) { h.keys.change(func(s validation.KeySet) { clear(s) }) }, validation.ErrUnknownKey, 401, true},
		{
			"the key is another one under the same name",
			func(h *house) {
				h.keys.change(func(s validation.KeySet) {
					for kid, key := range s {
						key.Key = other.Public().Key
						s[kid] = key
					}
				})
			}, validation.ErrSignature, 401, true,
		},
		{"the issuer cannot be asked", func(h *house) { h.keys.fail(errors.New("down")) }, nil, 503, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			raw := access(t)
			for range 2 {
				if _, err := h.Validate(t.Context(), validation.Bearer(raw)); err != nil {
					t.Fatal(err)
				}
			}
			test.change(h)
			for range 2 {
				p, err := h.Validate(t.Context(), validation.Bearer(raw))
				if test.status == 503 {
					wantCode(t, err, oauth.TemporarilyUnavailable, 503)
					continue
				}
				wantRefused(t, p, err, test.cause)
			}
			if left := h.Stats().Entries; test.forgotten && left != 0 {
				t.Errorf("%d entries are left", left)
			}
		})
	}
}

// The same RSA key under another algorithm is another key (RFC 8725 3.1).
func TestKeyThatChangesItsAlgorithm(t *testing.T) {
	t.Parallel()
	k := testKey(t, jose.RS256)
	source := newKeys(k)
	h := newHouse(t, func(c *validation.Config) { c.Keys = source })
	raw := mint(t, k, "at+jwt", claims())
	if _, err := h.Validate(t.Context(), validation.Bearer(raw)); err != nil {
		t.Fatal(err)
	}
	source.change(func(s validation.KeySet) {
		key := s[k.KID]
		key.Alg = jose.PS256
		s[k.KID] = key
	})
	p, err := h.Validate(t.Context(), validation.Bearer(raw))
	wantRefused(t, p, err, validation.ErrSignature)
}

// A token that is not valid yet is not remembered: only what was valid once is.
func TestEarlyTokenIsNotRemembered(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	raw := access(t, set("nbf", start.Unix()+60))
	p, err := h.Validate(t.Context(), validation.Bearer(raw))
	wantRefused(t, p, err, validation.ErrEarly)
	if got := h.Stats().Entries; got != 0 {
		t.Errorf("%d entries", got)
	}
	h.clock.advance(time.Minute)
	if _, err := h.Validate(t.Context(), validation.Bearer(raw)); err != nil {
		t.Error(err)
	}
}

// A key that comes back is believed again, and a revocation that is lifted lets the token live: what is remembered is that
// the token is sound, not that it may pass or may not.
func TestDecisionsAreNotRemembered(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	raw := access(t)
	must := func(want bool) {
		t.Helper()
		if _, err := h.Validate(t.Context(), validation.Bearer(raw)); (err == nil) != want {
			t.Errorf("got %v", err)
		}
	}
	must(true)
	h.revoked.revoked.Store("tok_1", true)
	must(false)
	h.revoked.revoked.Delete("tok_1")
	must(true)
	public := testKey(t, jose.ES256).Public()
	h.keys.change(func(s validation.KeySet) { delete(s, public.KID) })
	must(false)
	if got := h.Stats().Entries; got != 0 {
		t.Errorf("a token outlives its key: %d entries", got)
	}
	h.keys.change(func(s validation.KeySet) { s[public.KID] = public })
	must(true)
	h.clock.advance(time.Hour)
	must(false)
	if got := h.Stats().Entries; got != 0 {
		t.Errorf("a token outlives its exp: %d entries", got)
	}
}

// A token revoked before it is first seen is refused from the start, and stays so.
func TestRevokedBeforeItIsSeen(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.revoked.revoked.Store("tok_1", true)
	for range 3 {
		p, err := h.Validate(t.Context(), validation.Bearer(access(t)))
		wantRefused(t, p, err, validation.ErrRevoked)
	}
}

// A policy is evaluated for each request, whatever another route decided about the same token (gateways 4 #8).
func TestPolicyIsNotRemembered(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	raw := access(t, set("scope", "accounts:read"))
	read, write := &validation.Policy{AllScopes: validation.Scopes{"accounts:read"}}, &validation.Policy{AllScopes: validation.Scopes{"payments:write"}}
	for range 3 {
		p, err := h.Validate(t.Context(), validation.Bearer(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := read.Check(p, h.Now()); err != nil {
			t.Errorf("read: %v", err)
		}
		wantCode(t, write.Check(p, h.Now()), oauth.InsufficientScope, 403)
	}
}

// A key with the same content from a source that builds it anew each time is the same key.
func TestKeyFromAnotherSnapshot(t *testing.T) {
	t.Parallel()
	for _, alg := range []jose.Algorithm{jose.ES256, jose.EdDSA, jose.RS256} {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			k := testKey(t, alg)
			source := newKeys(k)
			h := newHouse(t, func(c *validation.Config) { c.Keys = source })
			raw := mint(t, k, "at+jwt", claims())
			jwks, err := jose.MarshalSet([]jose.PublicKey{k.Public()})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := h.Validate(t.Context(), validation.Bearer(raw)); err != nil {
					t.Fatal(err)
				}
				fresh, err := validation.ParseKeySet(jwks)
				if err != nil {
					t.Fatal(err)
				}
				source.change(func(s validation.KeySet) { s[k.KID] = fresh[k.KID] })
			}
			if got := h.Stats(); got.Misses != 1 || got.Hits != 2 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestNoCache(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *validation.Config) { c.CacheBytes = -1 })
	raw := access(t)
	for range 3 {
		if _, err := h.Validate(t.Context(), validation.Bearer(raw)); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.Stats(); got.Entries != 0 || got.Hits != 0 || got.Misses != 3 {
		t.Errorf("got %+v", got)
	}
}

// A token that an ended key signed is not accepted by way of the memory of another validator.
func TestValidatorsShareNothing(t *testing.T) {
	t.Parallel()
	first, second := newHouse(t), newHouse(t, func(c *validation.Config) { c.Keys = newKeys() })
	raw := access(t)
	if _, err := first.Validate(t.Context(), validation.Bearer(raw)); err != nil {
		t.Fatal(err)
	}
	p, err := second.Validate(t.Context(), validation.Bearer(raw))
	wantRefused(t, p, err, validation.ErrUnknownKey)
}

// long mints a token of 900 bytes.
func long(tb testing.TB, signer *jose.Signer, n int) string {
	tb.Helper()
	payload := fmt.Sprintf(`{"iss":%q,"sub":"usr_%026d","aud":[%q],"exp":%d,"iat":%d,"jti":"tok_%026d","client_id":"portal",`+
		`"scope":"openid accounts:read payments:write","auth_time":%d,"acr":"gold","amr":["pwd","hwk"],"sid":"ses_%026d",`+
		`"gid":"grt_%026d","realms":{"password":%d,"phone":%d},"x":"`, issuer, n, audience, start.Unix()+300, start.Unix(), n,
		start.Unix()-10, n, n, start.Unix()-60, start.Unix()-10)
	raw, err := signer.Sign([]byte(payload + strings.Repeat("x", 524-len(payload)) + `"}`))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// TestMemoryOf100000Tokens: 100,000 different tokens of 900 bytes stay under 150 MB in a cache that holds them all, and
// under its limit in one that does not.
func TestMemoryOf100000Tokens(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes many signatures")
	}
	k := testKey(t, jose.EdDSA) // the cheapest to sign
	signer, err := jose.NewSigner(k, "at+jwt")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		limit, want int64
		tokens      int
		all         bool
	}{
		{limit: 142_000_000, want: 150_000_000, tokens: 100_000, all: true},
		{limit: 0, want: validation.DefaultCacheBytes * 11 / 10, tokens: 60_000},
	} {
		if raceEnabled {
			test.tokens /= 20
		}
		before := heap()
		h := newHouse(t, func(c *validation.Config) { c.Keys, c.CacheBytes = newKeys(k), test.limit })
		for i := range test.tokens {
			raw := long(t, signer, i)
			if len(raw) < 895 || len(raw) > 905 {
				t.Fatalf("a token of %d bytes", len(raw))
			}
			if _, err := h.Validate(t.Context(), validation.Bearer(raw)); err != nil {
				t.Fatal(err)
			}
		}
		got, stats := heap()-before, h.Stats()
		t.Logf("limit %d: %d tokens of 900 bytes: %d entries, %.1f MB by account, %.1f MB on the heap",
			test.limit, test.tokens, stats.Entries, float64(stats.Bytes)/1e6, float64(got)/1e6)
		if test.all && stats.Entries != test.tokens {
			t.Errorf("%d of %d tokens are known", stats.Entries, test.tokens)
		}
		if got > test.want {
			t.Errorf("%d bytes on the heap, want at most %d", got, test.want)
		}
		runtime.KeepAlive(h)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Requests, rotations, revocations and the clock all at once, for the race detector; what must hold at any moment is
// checked at each.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *validation.Config) { c.CacheBytes = 1 << 20 })
	policy := &validation.Policy{AllScopes: validation.Scopes{"accounts:read"}, Requirements: []validation.Requirement{{Realm: "phone", MaxAge: time.Hour}}}
	var raws []string
	for i := range 50 {
		raws = append(raws, access(t, set("jti", fmt.Sprintf("tok_%d", i)), set("exp", start.Unix()+3600)))
	}
	bad := raws[0][:len(raws[0])-4] + "AAAA"
	h.revoked.revoked.Store("tok_7", true)
	public := testKey(t, jose.ES256).Public()
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 300 {
				n := (i*7 + worker) % len(raws)
				p, err := h.Validate(t.Context(), validation.Bearer(raws[n]))
				switch {
				case n == 7 && err == nil:
					t.Error("a revoked token passes")
				case n != 7 && err != nil && !errors.Is(err, validation.ErrUnknownKey):
					t.Errorf("token %d: %v", n, err)
				case err == nil:
					if p.TokenID != fmt.Sprintf("tok_%d", n) {
						t.Errorf("token %d is taken for %s", n, p.TokenID)
					}
					if err := policy.Check(p, h.Now()); err != nil {
						t.Error(err)
					}
				}
				if _, err := h.Validate(t.Context(), validation.Bearer(bad)); err == nil {
					t.Error("a bad token passes")
				}
			}
		})
	}
	group.Go(func() {
		for i := range 200 {
			h.keys.change(func(s validation.KeySet) {
				if i%10 == 0 {
					delete(s, public.KID)
				} else {
					s[public.KID] = public
				}
			})
			h.clock.advance(time.Second)
			_ = h.Stats()
		}
	})
	group.Wait()
}
