// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"testing"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// TestCIBA: an ID token that is sent to a client binds what is beside it, and one that is fetched does not speak of it.
func TestCIBA(t *testing.T) {
	t.Parallel()
	const (
		token  = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y" // OpenID Connect Core A.3
		hash   = "77QmUPtjPfzWtF2AnpK9RQ"
		edHash = "q7nS86GgvvFaZkzALLWqJYaJIKw2wCDAVfCAsm5CrBM"
		asked  = "bcr_4zh.x-Y"
	)
	f := newFixture(t, jose.ES256, jose.EdDSA)
	for _, tt := range []struct {
		name    string
		alg     jose.Algorithm
		in      tokens.ID
		at, rt  any
		request any
	}{
		{"10.3.1 all of it", jose.ES256, tokens.ID{AccessToken: "x" + token, AuthReqID: asked, RefreshToken: token}, "", hash, asked},
		{"10.3.1 by another hash", jose.EdDSA, tokens.ID{AccessToken: token, AuthReqID: asked, RefreshToken: token}, edHash, edHash, asked},
		{"10.3.1 no refresh token", jose.ES256, tokens.ID{AccessToken: token, AuthReqID: asked}, hash, nil, asked},
		{"10.1.1 fetched", jose.ES256, tokens.ID{AccessToken: token}, hash, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.in.Client, tt.in.Grant = client(), grant(f.clock.Now())
			tt.in.Client.IDTokenAlg = tt.alg
			raw, err := f.issuer.ID(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			_, claims := f.read(t, tt.alg, raw)
			if tt.at != "" && claims["at_hash"] != tt.at || claims["at_hash"] == "" {
				t.Errorf("at_hash is %v", claims["at_hash"])
			}
			if got := claims["urn:openid:params:jwt:claim:rt_hash"]; got != tt.rt {
				t.Errorf("rt_hash is %v", got)
			}
			if got := claims["urn:openid:params:jwt:claim:auth_req_id"]; got != tt.request {
				t.Errorf("auth_req_id is %v", got)
			}
		})
	}
}

// TestHintsTellOfAnApp: whoever reads a hint knows whether the person is signed in on a device of their own (RFC 10027 5).
func TestHintsTellOfAnApp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, app := range []*realm.Application{nil, {ID: "bank", Platform: "ios", Version: "2.1"}} {
		g := grant(f.clock.Now())
		g.Authn.Application = app
		raw, err := f.issuer.ID(tokens.ID{Client: client(), Grant: g})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.hints().Read(t.Context(), raw); err != nil || got.Application != (app != nil) {
			t.Errorf("of the app %v the hint says %v, %v", app, got.Application, err)
		}
	}
}
