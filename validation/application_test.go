// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/validation"
)

// versions refuses what is of a version that is switched off, and otherwise what is revoked.
type versions struct {
	revoked revocations
	off     map[string]bool
}

func (v *versions) Revoked(p *validation.Principal) bool {
	return p.Application != nil && v.off[p.Application.Version] || v.revoked.Revoked(p)
}

func (v *versions) Cause(p *validation.Principal) error {
	if v.revoked.Revoked(p) {
		return validation.ErrRevoked
	}
	return validation.ErrVersion
}

func app(version string) map[string]any {
	return set("application", map[string]any{"id": "bank", "platform": "ios", "version": version})
}

func TestApplicationOfAToken(t *testing.T) {
	t.Parallel()
	whole := &validation.Application{ID: "bank", Platform: "ios", Version: "2.1"}
	for _, test := range []struct {
		name  string
		claim any
		want  *validation.Application
	}{
		{"whole", map[string]any{"id": "bank", "platform": "ios", "version": "2.1"}, whole},
		{"with more", map[string]any{"id": "bank", "platform": "ios", "version": "2.1", "build": 7, "x": map[string]any{"id": "y"}}, whole},
		{"absent", nil, nil},
		{"a text", "bank", nil},
		{"a list", []string{"bank", "ios", "2.1"}, nil},
		{"without an id", map[string]any{"platform": "ios", "version": "2.1"}, nil},
		{"without a platform", map[string]any{"id": "bank", "version": "2.1"}, nil},
		{"without a version", map[string]any{"id": "bank", "platform": "ios"}, nil},
		{"with a number", map[string]any{"id": "bank", "platform": "ios", "version": 2.1}, nil},
		{"empty", map[string]any{}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, err := newHouse(t).Validate(t.Context(), validation.Bearer(access(t, set("application", test.claim))))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, p.Application); diff != "" {
				t.Error(diff)
			}
		})
	}
	_, err := newHouse(t).Validate(t.Context(), validation.Bearer(access(t, set("Application", map[string]any{"id": "bank"}))))
	wantRefused(t, nil, err, validation.ErrClaims)
}

// TestSwitchedOffVersion: a token that is known is refused the next time, says why, and is good again when the version is.
func TestSwitchedOffVersion(t *testing.T) {
	t.Parallel()
	v := &versions{off: map[string]bool{}}
	h := newHouse(t, func(c *validation.Config) { c.Revocations = v })
	raw, other, none := access(t, app("1.0")), access(t, app("2.0"), set("jti", "tok_2")), access(t, set("jti", "tok_3"))
	passes := func(token string, want bool) {
		t.Helper()
		p, err := h.Validate(t.Context(), validation.Bearer(token))
		if want && err != nil {
			t.Fatal(err)
		}
		if !want {
			wantRefused(t, p, err, validation.ErrVersion)
			if text := validation.ChallengeFor(err).String(); !strings.Contains(text, `error_description="this version of the app is not accepted any more"`) {
				t.Errorf("the challenge is %s", text)
			}
		}
	}
	passes(raw, true)
	v.off["1.0"] = true
	passes(raw, false)
	passes(other, true)
	passes(none, true)
	delete(v.off, "1.0")
	passes(raw, true)
	v.off["1.0"] = true
	v.revoked.revoked.Store("tok_1", true)
	p, err := h.Validate(t.Context(), validation.Bearer(raw))
	wantRefused(t, p, err, validation.ErrRevoked)
}

func applicationHouse(tb testing.TB) (*validation.Validator, string) {
	tb.Helper()
	h := newHouse(tb, func(c *validation.Config) { c.Revocations = &versions{off: map[string]bool{"1.0": true}} })
	raw := access(tb, app("2.0"))
	if _, err := h.Validate(tb.Context(), validation.Bearer(raw)); err != nil {
		tb.Fatal(err)
	}
	return h.Validator, raw
}

func TestKnownTokenOfAnAppAllocatesNothing(t *testing.T) {
	v, raw := applicationHouse(t)
	check := func() {
		if p, err := v.Validate(t.Context(), validation.Bearer(raw)); err != nil || p.Application.ID != "bank" {
			t.Error(err)
		}
	}
	// The race detector makes pools forget, and the test's set of revocations boxes what it is asked for.
	if n := testing.AllocsPerRun(1000, check); n > 1 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkKnownOfAnApp is BenchmarkKnown for a token that names an app, whose version is looked at each time.
func BenchmarkKnownOfAnApp(b *testing.B) {
	k := testKey(b, jose.EdDSA)
	v, err := validation.New(validation.Config{
		Issuer: issuer, Audience: []string{audience}, Keys: validation.KeySet{k.KID: k.Public()},
		Revocations: appsOnly{"1.0": true}, Now: func() time.Time { return start },
	})
	if err != nil {
		b.Fatal(err)
	}
	raw := mint(b, k, "at+jwt", claims(app("2.0")))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Validate(b.Context(), validation.Bearer(raw)); err != nil {
			b.Fatal(err)
		}
	}
}

// appsOnly are versions that are switched off.
type appsOnly map[string]bool

func (a appsOnly) Revoked(p *validation.Principal) bool { return a[p.Application.Version] }
