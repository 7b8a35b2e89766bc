// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/validation"
)

// benchPolicy asks for something of every kind.
func benchPolicy() *validation.Policy {
	return &validation.Policy{
		Audience: []string{audience}, AllScopes: validation.Scopes{"accounts:read", "payments:write"}, ACRValues: []string{"gold"},
		Levels: levels(), Requirements: []validation.Requirement{need("phone", time.Hour)}, MaxAge: age(time.Hour),
	}
}

// benchHouse is a validator by the wall clock, with tokens of 900 bytes that are known to it.
func benchHouse(b *testing.B, tokens int) (*validation.Validator, []string) {
	b.Helper()
	k := testKey(b, jose.EdDSA)
	signer, err := jose.NewSigner(k, "at+jwt")
	if err != nil {
		b.Fatal(err)
	}
	// The clock runs, since reading it is part of the price, and stands at the tokens' time.
	began := time.Now()
	v, err := validation.New(validation.Config{
		Issuer: issuer, Audience: []string{audience}, Keys: validation.KeySet{k.KID: k.Public()}, Revocations: new(revocations),
		Now: func() time.Time { return start.Add(time.Since(began) / 1000) },
	})
	if err != nil {
		b.Fatal(err)
	}
	raws := make([]string, tokens)
	for i := range raws {
		raws[i] = long(b, signer, i)
		if _, err := v.Validate(b.Context(), validation.Bearer(raws[i])); err != nil {
			b.Fatal(err)
		}
	}
	return v, raws
}

// BenchmarkKnown is the price of a request with a known token of 900 bytes, policy included: at most 1 µs and 2
// allocations.
func BenchmarkKnown(b *testing.B) {
	policy := benchPolicy()
	for _, tokens := range []int{1, 1000, 20_000} {
		v, raws := benchHouse(b, tokens)
		check := func(b *testing.B, n int) {
			p, err := v.Validate(b.Context(), validation.Bearer(raws[n%len(raws)]))
			if err == nil {
				err = policy.Check(p, v.Now())
			}
			if err != nil {
				b.Error(err)
			}
		}
		b.Run(fmt.Sprintf("tokens=%d", tokens), func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				check(b, n)
			}
		})
		b.Run(fmt.Sprintf("tokens=%d/parallel", tokens), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for n := 0; pb.Next(); n++ {
					check(b, n)
				}
			})
		})
	}
}

// TestKnownTokenAllocatesNothing holds what the benchmark shows.
func TestKnownTokenAllocatesNothing(t *testing.T) {
	h, policy := newHouse(t), benchPolicy()
	raw := access(t)
	check := func() {
		p, err := h.Validate(t.Context(), validation.Bearer(raw))
		if err == nil {
			err = policy.Check(p, h.Now())
		}
		if err != nil {
			t.Error(err)
		}
	}
	check()
	// The race detector makes pools forget, and the test's set of revocations boxes what it is asked for.
	if n := testing.AllocsPerRun(1000, check); n > 2 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkUnseen is the price of a token that is seen for the first time: little more than its signature.
func BenchmarkUnseen(b *testing.B) {
	for _, alg := range []jose.Algorithm{jose.ES256, jose.RS256, jose.EdDSA} {
		k := testKey(b, alg)
		raw := mint(b, k, "at+jwt", claims())
		h := newHouse(b, func(c *validation.Config) { c.Keys, c.CacheBytes = newKeys(k), -1 })
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Validate(b.Context(), validation.Bearer(raw)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(string(alg)+"/signature alone", func(b *testing.B) {
			token, err := jose.Parse(raw)
			if err != nil {
				b.Fatal(err)
			}
			public := k.Public()
			b.ReportAllocs()
			for b.Loop() {
				if err := token.Verify(public); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRefused is what a flood of bad tokens costs.
func BenchmarkRefused(b *testing.B) {
	h := newHouse(b)
	good := access(b)
	for name, raw := range map[string]string{
		"garbage": "abc", "unknown key": mint(b, keyNamed(b, "evil", jose.ES256), "at+jwt", claims()),
		"bad signature": good[:len(good)-6] + "AAAAAA",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Validate(b.Context(), validation.Bearer(raw)); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

func BenchmarkFromRequest(b *testing.B) {
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "https://api.example.com/accounts?page=2", nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, err := validation.FromRequest(r); !ok || err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPolicy(b *testing.B) {
	h, policy := newHouse(b), benchPolicy()
	p, err := h.Validate(b.Context(), validation.Bearer(access(b)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := policy.Check(p, start); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDPoP is the price of a request with a known token that is bound to a key and a proof that is not known: at least 0.9 of the
// rate of the one ES256 check that it cannot do without, which "floor" measures with the same key.
func BenchmarkDPoP(b *testing.B) {
	p := newPresenter(b)
	requests := make([]*http.Request, 2000)
	for i := range requests {
		requests[i] = p.usual(b)
	}
	b.Run("floor", func(b *testing.B) {
		key, err := jose.GenerateKey(jose.ES256)
		if err != nil {
			b.Fatal(err)
		}
		private, ok := key.Signer.(*ecdsa.PrivateKey)
		if !ok {
			b.Fatal("the key is of another kind")
		}
		digest := sha256.Sum256([]byte("a proof"))
		signature, err := ecdsa.SignASN1(rand.Reader, private, digest[:])
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if !ecdsa.VerifyASN1(&private.PublicKey, digest[:], signature) {
				b.Fatal("the signature is wrong")
			}
		}
	})
	b.Run("request", func(b *testing.B) {
		b.ReportAllocs()
		at := p.at
		for n := 0; b.Loop(); n++ {
			if n%len(requests) == 0 { // another memory, to which the proofs are new
				b.StopTimer()
				at = newPresenter(b).at
				b.StartTimer()
			}
			c, _, err := at.FromRequest(requests[n%len(requests)])
			if err == nil {
				_, err = p.Validate(b.Context(), c)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
