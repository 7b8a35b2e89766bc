// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// guest is an authenticator and a login module that nobody asks here.
type guest struct{}

func (guest) Collect(context.Context, realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return realm.Credentials{}, nil, nil
}

func (guest) Verify(context.Context, realm.Credentials) (realm.Result, error) {
	return realm.Result{}, nil
}

// engine has the realms password and card, which determine the user, phone and app; silver is password and phone.
func engine(t testing.TB) *realm.Engine {
	t.Helper()
	define := func(name string) *realm.Realm {
		return &realm.Realm{Name: name, Authenticator: guest{}, LoginModule: guest{}, MaxAge: time.Hour}
	}
	made, err := realm.New(realm.Config{
		Realms:   []*realm.Realm{define("password"), define("card"), define("phone"), define("app")},
		Levels:   []realm.Level{{Name: "silver", Realms: []string{"password", "phone"}}},
		Identity: []string{"password", "card"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// What a request asked for is what its code and its grant say, with the proofs that it counts and no others.
func TestNewCompletion(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now()
	proof := func(name, subject string, age time.Duration) realm.Proof {
		return realm.Proof{Realm: name, Subject: subject, Name: "Alice", Time: now.Add(-age)}
	}
	request := authz.NewRequest(now)
	request.ClientID, request.RedirectURI, request.Nonce, request.Challenge = "portal", "https://portal.example.com/callback", "n", oauth.Challenge(strings.Repeat("v", 43))
	request.Scopes, request.ACRValues = oauth.Scopes{"openid", "offline_access"}, []string{"silver"}
	request.Requirements = []realm.Requirement{
		{Realm: "password", MaxAge: time.Hour, NotBefore: now.Add(-time.Minute)}, {Realm: "phone", MaxAge: time.Hour, NotBefore: now.Add(-time.Minute)},
	}
	request.Proven = realm.Proofs{"app": proof("app", "", time.Second)}
	client := &authz.Client{ID: "portal", AccessTTL: time.Minute}
	known := authz.Session{ID: "ses_1", Subject: "usr_alice", ExpiresAt: now.Add(session.DefaultLifetime), Proofs: realm.Proofs{
		"password": proof("password", "usr_alice", time.Minute), "phone": proof("phone", "", time.Second), "card": proof("card", "usr_alice", time.Hour),
	}}
	code, got, ok := session.NewCompletion(engine(t), &request, client, &known, now)
	if !ok {
		t.Fatal("the request is not met")
	}
	want := authz.Completion{
		Grant: authz.Grant{
			ID: got.Grant.ID, ClientID: "portal", Subject: "usr_alice", SessionID: "ses_1", Offline: true, Scopes: request.Scopes,
			Authn: realm.Authentication{
				Subject: "usr_alice", Name: "Alice", ACR: "silver", AuthTime: now.Add(-time.Second),
				Realms: map[string]time.Time{"password": now.Add(-time.Minute), "phone": now.Add(-time.Second), "app": now.Add(-time.Second)},
			},
			CreatedAt: now, ExpiresAt: now.Add(authz.CodeTTL + time.Minute),
		},
		Code: authz.Code{
			Hash: randid.Hash(code), ClientID: "portal", RedirectURI: request.RedirectURI, Challenge: oauth.Challenge(strings.Repeat("v", 43)), Nonce: "n", GrantID: got.Grant.ID,
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
		{"the request is about another", func(r *authz.Request, _ *authz.Session) { r.Subject = "usr_bob" }},
		{"nobody is known", func(_ *authz.Request, s *authz.Session) { *s = authz.Session{} }},
		{"what it requires says nothing of who it is", func(r *authz.Request, s *authz.Session) {
			r.Requirements, s.Proofs = r.Requirements[1:], realm.Proofs{"phone": s.Proofs["phone"]}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, s := request, known
			tt.change(&r, &s)
			code, got, ok := session.NewCompletion(engine(t), &r, client, &s, now)
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
	known := authz.Session{Subject: "usr_alice", ExpiresAt: now.Add(session.DefaultLifetime), Proofs: realm.Proofs{
		"password": {Realm: "password", Subject: "usr_alice", Time: now},
	}}
	refresh := []authz.GrantType{authz.GrantAuthorizationCode, authz.GrantRefreshToken}
	for _, tt := range []struct {
		name   string
		client authz.Client
		want   time.Duration
	}{
		{"access tokens alone", authz.Client{AccessTTL: time.Minute, RefreshTTL: time.Hour}, time.Minute},
		{"refresh tokens", authz.Client{AccessTTL: time.Minute, RefreshTTL: time.Hour, Grants: refresh}, time.Hour + time.Minute},
		{"a site, which lives in the session", authz.Client{AccessTTL: time.Minute, Site: true}, session.DefaultLifetime - authz.CodeTTL},
		{"a site whose tokens outlive the session", authz.Client{AccessTTL: 24 * time.Hour, Site: true}, 24 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, c, ok := session.NewCompletion(engine(t), &request, &tt.client, &known, now)
			if !ok {
				t.Fatal("the request is not met")
			}
			if got, want := c.Grant.ExpiresAt.Sub(now), authz.CodeTTL+tt.want; got != want {
				t.Errorf("the grant lives %s, want %s", got, want)
			}
		})
	}
}
