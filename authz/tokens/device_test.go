// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/validation"
)

// TestTokensNameTheDevices: what is minted from a grant says on which devices it rests, and the gate reads it.
func TestTokensNameTheDevices(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		devices []string
		want    any
	}{
		{"none", nil, nil},
		{"one", []string{"dev_1"}, "dev_1"},
		{"two", []string{"dev_1", `the "other"`}, []any{"dev_1", `the "other"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			g := grant(f.clock.Now())
			g.Authn.Devices = tt.devices
			if len(tt.devices) == 1 {
				g.Authn.Attestation = "tee"
			}
			access, err := f.issuer.Access(tokens.Access{Client: client(), Grant: g})
			if err != nil {
				t.Fatal(err)
			}
			id, err := f.issuer.ID(tokens.ID{Client: client(), Grant: g})
			if err != nil {
				t.Fatal(err)
			}
			site, err := f.issuer.Site("https://app.example.com", *g, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			for name, raw := range map[string]string{"access token": access.Token, "ID token": id, "site": site} {
				_, claims := f.read(t, jose.ES256, raw)
				if diff := cmp.Diff(tt.want, claims["device"]); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
				if claims["attestation"] != map[bool]any{true: "tee"}[len(tt.devices) == 1] {
					t.Errorf("%s: the attestation is %v", name, claims["attestation"])
				}
			}
			v, err := validation.New(validation.Config{
				Issuer: issuer, Audience: client().Audience, Now: f.clock.Now,
				Keys: validation.KeySet{f.keys.byAlg[jose.ES256].KID: f.keys.byAlg[jose.ES256].Public()},
			})
			if err != nil {
				t.Fatal(err)
			}
			p, err := v.Inspect(t.Context(), access.Token)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.devices, p.Devices); diff != "" {
				t.Errorf("what is minted reads otherwise: %s", diff)
			}
		})
	}
}

// TestTokensTellWhatTheClientHasShown: an instance's access token has the grade of its key, apart from that of its user's device.
func TestTokensTellWhatTheClientHasShown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	g := grant(f.clock.Now())
	g.Authn.Attestation = "software"
	for grade, want := range map[string]any{"": nil, "hardware": "hardware"} {
		c := client()
		c.Attestation = grade
		access, err := f.issuer.Access(tokens.Access{Client: c, Grant: g})
		if err != nil {
			t.Fatal(err)
		}
		_, claims := f.read(t, jose.ES256, access.Token)
		if claims["client_attestation"] != want || claims["attestation"] != "software" {
			t.Errorf("%q: %v", grade, claims)
		}
	}
}
