// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// What a request asked for is what its code and its grant say, with the proofs that it counts and no others.
func TestNewCompletion(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now()
	proof := func(name, subject string, age time.Duration) realm.Proof {
		return realm.Proof{Realm: name, Subject: subject, Name: "Alice", Time: now.Add(-age)}
	}
	request := authz.NewRequest(now)
	request.ClientID, request.RedirectURI, request.Nonce, request.Challenge = app, redirect, "n", oauth.Challenge(verifier)
	request.Scopes, request.ACRValues = oauth.Scopes{"openid", "offline_access"}, []string{"silver"}
	request.Requirements = []realm.Requirement{
		{Realm: "password", MaxAge: time.Hour, NotBefore: now.Add(-time.Minute)}, {Realm: "phone", MaxAge: time.Hour, NotBefore: now.Add(-time.Minute)},
	}
	request.Proven = realm.Proofs{"app": proof("app", "", time.Second)}
	client := &authz.Client{ID: app, AccessTTL: time.Minute}
	session := authz.Session{ID: "ses_1", Subject: alice, ExpiresAt: now.Add(sessionTTL), Proofs: realm.Proofs{
		"password": proof("password", alice, time.Minute), "phone": proof("phone", "", time.Second), "card": proof("card", alice, time.Hour),
	}}
	code, got, ok := authz.NewCompletion(newEngine(t), &request, client, &session, now)
	if !ok {
		t.Fatal("the request is not met")
	}
	want := authz.Completion{
		Grant: authz.Grant{
			ID: got.Grant.ID, ClientID: app, Subject: alice, SessionID: "ses_1", Offline: true, Scopes: request.Scopes,
			Authn: realm.Authentication{
				Subject: alice, Name: "Alice", ACR: "silver", AuthTime: now.Add(-time.Second),
				Realms: map[string]time.Time{"password": now.Add(-time.Minute), "phone": now.Add(-time.Second), "app": now.Add(-time.Second)},
			},
			CreatedAt: now, ExpiresAt: now.Add(authz.CodeTTL + time.Minute),
		},
		Code: authz.Code{
			Hash: randid.Hash(code), ClientID: app, RedirectURI: redirect, Challenge: oauth.Challenge(verifier), Nonce: "n", GrantID: got.Grant.ID,
			CreatedAt: now, ExpiresAt: now.Add(authz.CodeTTL),
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("completion (-want +got):\n%s", diff)
	}

	for _, tt := range []struct {
		name   string
		change func(r *authz.Request, s *authz.Session)
	}{
		{"a realm was never proven", func(_ *authz.Request, s *authz.Session) { s.Proofs = realm.Proofs{"password": s.Proofs["password"]} }},
		{"a proof is too old for the request", func(r *authz.Request, _ *authz.Session) {
			r.Requirements = []realm.Requirement{{Realm: "password", MaxAge: time.Hour, NotBefore: now}}
		}},
		{"a proof is too old for its realm", func(r *authz.Request, _ *authz.Session) {
			r.Requirements = []realm.Requirement{{Realm: "password", MaxAge: time.Second}}
		}},
		{"the request is about another", func(r *authz.Request, _ *authz.Session) { r.Subject = bob }},
		{"nobody is known", func(_ *authz.Request, s *authz.Session) { *s = authz.Session{} }},
		{"what it requires says nothing of who it is", func(r *authz.Request, s *authz.Session) {
			r.Requirements, s.Proofs = r.Requirements[1:], realm.Proofs{"phone": s.Proofs["phone"]}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, s := request, session
			tt.change(&r, &s)
			code, got, ok := authz.NewCompletion(newEngine(t), &r, client, &s, now)
			if diff := cmp.Diff(authz.Completion{}, got); ok || code != "" || diff != "" {
				t.Errorf("there is a code: %v, %q\n%s", ok, code, diff)
			}
		})
	}
}

// A grant lives as long as anything that can come from it.
func TestLifetimeOfAGrant(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now()
	request := authz.NewRequest(now)
	request.Requirements = []realm.Requirement{{Realm: "password", MaxAge: time.Hour}}
	session := authz.Session{Subject: alice, ExpiresAt: now.Add(sessionTTL), Proofs: realm.Proofs{
		"password": {Realm: "password", Subject: alice, Time: now},
	}}
	refresh := []authz.GrantType{authz.GrantAuthorizationCode, authz.GrantRefreshToken}
	for _, tt := range []struct {
		name   string
		client authz.Client
		want   time.Duration
	}{
		{"access tokens alone", authz.Client{AccessTTL: time.Minute, RefreshTTL: time.Hour}, time.Minute},
		{"refresh tokens", authz.Client{AccessTTL: time.Minute, RefreshTTL: time.Hour, Grants: refresh}, time.Hour + time.Minute},
		{"a site, which lives in the session", authz.Client{AccessTTL: time.Minute, Site: true}, sessionTTL - authz.CodeTTL},
		{"a site whose tokens outlive the session", authz.Client{AccessTTL: 24 * time.Hour, Site: true}, 24 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, c, ok := authz.NewCompletion(newEngine(t), &request, &tt.client, &session, now)
			if !ok {
				t.Fatal("the request is not met")
			}
			equal(t, "lifetime", c.Grant.ExpiresAt.Sub(now), authz.CodeTTL+tt.want)
		})
	}
}
