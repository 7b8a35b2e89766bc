// SPDX-License-Identifier: Apache-2.0

package intake_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/intake"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

var verifier = strings.Repeat("v", 43)

// guest stands for authenticators and login modules that nobody asks here.
type guest struct{}

func (guest) Collect(context.Context, realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return realm.Credentials{}, nil, nil
}

func (guest) Verify(context.Context, realm.Credentials) (realm.Result, error) {
	return realm.Result{}, nil
}

// hints are ID tokens and whom they are about.
type hints map[string]string

func (h hints) Subject(_ context.Context, token string) (string, error) {
	subject, ok := h[token]
	if !ok {
		return "", errors.New("not one of ours")
	}
	return subject, nil
}

// reader returns a reader of an issuer with a password, and a pin for payments and for gold.
func reader(t testing.TB) *intake.Reader {
	t.Helper()
	engine, err := realm.New(realm.Config{
		Realms: []*realm.Realm{
			{Name: "password", Authenticator: guest{}, LoginModule: guest{}, MaxAge: time.Hour},
			{Name: "pin", Authenticator: guest{}, LoginModule: guest{}, MaxAge: 5 * time.Minute},
		},
		Scopes:   map[string][]string{"read": {"password"}, "pay": {"password", "pin"}},
		Levels:   []realm.Level{{Name: "silver", Realms: []string{"password"}}, {Name: "gold", Realms: []string{"password", "pin"}}},
		Identity: []string{"password"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &intake.Reader{
		Engine: engine, Now: storagetest.NewClock().Now, Hints: hints{"of-alice": "usr_alice", "of-nobody": ""},
		DefaultScopes: oauth.Scopes{"read", "reports"},
	}
}

// client is one that may do everything; change takes some of it away.
func client(change ...func(*authz.Client)) *authz.Client {
	c := &authz.Client{
		ID: "app", Grants: []authz.GrantType{authz.GrantAuthorizationCode, authz.GrantRefreshToken},
		Scopes: oauth.Scopes{"openid", "offline_access", "read", "pay"},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

// params are those of a good request, changed by pairs of name and value.
func params(pairs ...string) oauth.Params {
	p := oauth.Params{
		"response_type": "code", "scope": "openid read", "nonce": "n", "code_challenge": oauth.Challenge(verifier), "code_challenge_method": "S256",
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		p[pairs[i]] = pairs[i+1]
	}
	return p
}

func TestWhatARequestSays(t *testing.T) {
	t.Parallel()
	r := reader(t)
	got, err := r.Read(t.Context(), client(), params(
		"login_hint", "alice", "ui_locales", "nl en", "id_token_hint", "of-alice", "acr_values", "platinum gold", "prompt", "login consent",
		"redirect_uri", "https://app.example.com/cb", "state", "s", "unknown", "x",
	))
	if err != nil {
		t.Fatal(err)
	}
	prompt, err := oauth.ParsePrompt("login consent")
	if err != nil {
		t.Fatal(err)
	}
	now := r.Now()
	want := authz.Request{
		ID: got.ID, ClientID: "app", Scopes: oauth.Scopes{"openid", "read"}, Nonce: "n", Challenge: oauth.Challenge(verifier),
		ACRValues: []string{"gold"}, Prompt: prompt, LoginHint: "alice", UILocales: "nl en", Subject: "usr_alice",
		Requirements: []realm.Requirement{
			{Realm: "password", MaxAge: time.Hour, NotBefore: now.Add(time.Millisecond)},
			{Realm: "pin", Step: 1, MaxAge: 5 * time.Minute, NotBefore: now.Add(time.Millisecond)},
		},
		CreatedAt: now, ExpiresAt: now.Add(authz.RequestTTL),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	again, err := r.Read(t.Context(), client(), params())
	if err != nil || again.ID == got.ID || !strings.HasPrefix(again.ID, "req_") {
		t.Errorf("the next request is %q after %q (%v)", again.ID, got.ID, err)
	}
}

// Where the answer goes is not read here: it is for the endpoint, which has checked it.
func TestRequestsThatAreNone(t *testing.T) {
	t.Parallel()
	machine := func(c *authz.Client) { c.Grants = []authz.GrantType{authz.GrantClientCredentials} }
	for _, tt := range []struct {
		name   string
		params oauth.Params
		client *authz.Client
		want   oauth.Code
	}{
		{"RFC6749/3.1.1 no response type", params("response_type", ""), client(), oauth.InvalidRequest},
		{"RFC9700/2.1.2 implicit", params("response_type", "token"), client(), oauth.UnsupportedResponseType},
		{"RFC6749/4.1.2.1 client without the grant", params(), client(machine), oauth.UnauthorizedClient},
		{"RFC7636/4.4.1 no challenge", params("code_challenge", ""), client(), oauth.InvalidRequest},
		{"RFC7636/7.2 plain", params("code_challenge_method", "plain"), client(), oauth.InvalidRequest},
		{"RFC6749/3.3 another client's scope", params("scope", "openid admin"), client(), oauth.InvalidScope},
		{"RFC6749/3.3 malformed scope", params("scope", "openid  read"), client(), oauth.InvalidScope},
		{"RFC6749/3.3 no default", params("scope", ""), client(func(c *authz.Client) { c.Scopes = oauth.Scopes{"openid"} }), oauth.InvalidScope},
		{"OIDC-Core/11 nothing but offline_access", params("scope", "offline_access"),
			client(func(c *authz.Client) { c.Grants = c.Grants[:1] }), oauth.InvalidScope},
		{"OIDC-Core/6 request", params("request", "eyJ"), client(), oauth.RequestNotSupported},
		{"OIDC-Core/6 request_uri", params("request_uri", "https://evil.example/x"), client(), oauth.RequestURINotSupported},
		{"OIDC-Core/3.1.2.1 prompt none with another", params("prompt", "none login"), client(), oauth.InvalidRequest},
		{"OIDC-Core/3.1.2.1 max_age is no number", params("max_age", "1h"), client(), oauth.InvalidRequest},
		{"OIDC-Core/3.1.2.1 foreign id_token_hint", params("id_token_hint", "foreign"), client(), oauth.InvalidRequest},
		{"OIDC-Core/3.1.2.1 id_token_hint about nobody", params("id_token_hint", "of-nobody"), client(), oauth.InvalidRequest},
		{"nonce that could not be stored", params("nonce", strings.Repeat("n", 1025)), client(), oauth.InvalidRequest},
		{"RFC9470/5 unknown acr for an API", params("acr_values", "platinum"), client(), oauth.UnmetAuthentication},
		{"RFC9470/5 unknown acr for a site", params("scope", "openid", "acr_values", "platinum"),
			client(func(c *authz.Client) { c.Site = true }), oauth.UnmetAuthentication},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := reader(t).Read(t.Context(), tt.client, tt.params)
			var e *oauth.Error
			if !errors.As(err, &e) || e.Code != tt.want {
				t.Errorf("the error is %v, want %s", err, tt.want)
			}
			if diff := cmp.Diff(authz.Request{}, got); diff != "" {
				t.Errorf("a request comes with the error:\n%s", diff)
			}
		})
	}
	r := reader(t)
	r.Hints = nil
	if _, err := r.Read(t.Context(), client(), params("id_token_hint", "of-alice")); err == nil {
		t.Error("a hint that nobody verifies is believed")
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		scope  string
		client *authz.Client
		want   string
	}{
		{"as asked", "openid pay", client(), "openid pay"},
		{"the client's default", "", client(func(c *authz.Client) { c.DefaultScopes = oauth.Scopes{"pay"} }), "pay"},
		{"the issuer's default that the client may ask for", "", client(), "read"},
		{"offline_access", "read offline_access", client(), "read offline_access"},
		{"offline_access without refresh tokens", "read offline_access", client(func(c *authz.Client) { c.Grants = c.Grants[:1] }), "read"},
		{"offline_access that the client may not ask for", "read offline_access",
			client(func(c *authz.Client) { c.Scopes = oauth.Scopes{"read"} }), "read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := reader(t).Read(t.Context(), tt.client, params("scope", tt.scope))
			if err != nil || got.Scopes.String() != tt.want {
				t.Errorf("the scopes are %q (%v), want %q", got.Scopes, err, tt.want)
			}
		})
	}
}

// What has to be proven, and since when.
func TestRequirements(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now()
	for _, tt := range []struct {
		name   string
		pairs  []string
		realms string
		since  time.Time
	}{
		{"scopes", []string{"scope", "pay"}, "password pin", time.Time{}},
		{"a user at least", []string{"scope", "openid"}, "password", time.Time{}},
		{"a level", []string{"acr_values", "gold"}, "password pin", time.Time{}},
		{"a realm", []string{"acr_values", "pin"}, "password pin", time.Time{}},
		{"the first that is known", []string{"acr_values", "platinum silver gold"}, "password", time.Time{}},
		{"OIDC-Core/5.5.1.1 none that is known, and none that has to be", []string{"scope", "openid", "acr_values", "platinum"}, "password", time.Time{}},
		{"OIDC-Core/3.1.2.1 prompt=login", []string{"prompt", "login"}, "password", now.Add(time.Millisecond)},
		{"OIDC-Core/3.1.2.1 prompt=select_account", []string{"prompt", "select_account"}, "password", now.Add(time.Millisecond)},
		{"OIDC-Core/3.1.2.1 prompt=consent", []string{"prompt", "consent"}, "password", time.Time{}},
		{"OIDC-Core/3.1.2.1 max_age=0", []string{"max_age", "0"}, "password", now.Add(time.Millisecond)},
		{"OIDC-Core/3.1.2.1 max_age", []string{"max_age", "60"}, "password", now.Add(-time.Minute)},
		{"both", []string{"max_age", "60", "prompt", "login"}, "password", now.Add(time.Millisecond)},
		{"a huge max_age", []string{"max_age", "2147483647"}, "password", now.Add(-2147483647 * time.Second)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := reader(t).Read(t.Context(), client(), params(tt.pairs...))
			if err != nil {
				t.Fatal(err)
			}
			var realms []string
			for _, need := range got.Requirements {
				realms = append(realms, need.Realm)
				if !need.NotBefore.Equal(tt.since) {
					t.Errorf("%s counts from %s, want %s", need.Realm, need.NotBefore, tt.since)
				}
			}
			if all := strings.Join(realms, " "); all != tt.realms {
				t.Errorf("it takes %q, want %q", all, tt.realms)
			}
		})
	}
}

// A hint is only that: one that cannot be used is left out.
func TestHints(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 257)
	got, err := reader(t).Read(t.Context(), client(), params("login_hint", long, "ui_locales", long))
	if err != nil || got.LoginHint != "" || got.UILocales != "" {
		t.Errorf("the hints are %q and %q (%v)", got.LoginHint, got.UILocales, err)
	}
	got, err = reader(t).Read(t.Context(), client(), params("login_hint", long[1:], "ui_locales", long[1:]))
	if err != nil || got.LoginHint != long[1:] || got.UILocales != long[1:] {
		t.Errorf("the hints are %q and %q (%v)", got.LoginHint, got.UILocales, err)
	}
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	limiter, err := limit.New(limit.Config{Burst: 2, Every: time.Minute, Keys: 10, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	from := func(ip string) context.Context { return httpx.WithCaller(t.Context(), httpx.Caller{ClientIP: ip}) }
	r := &intake.Reader{Limiter: limiter}
	var waits []time.Duration
	for _, ip := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1"} { // three of one party
		waits = append(waits, r.Admit(from(ip)))
	}
	clock.Advance(time.Minute)
	waits = append(waits, r.Admit(from("2001:db8::4")))
	if diff := cmp.Diff([]time.Duration{0, 0, time.Minute, 0, 0}, waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	if wait := new(intake.Reader).Admit(from("192.0.2.1")); wait != 0 {
		t.Errorf("without a limiter one waits for %s", wait)
	}
}

// Whatever the parameters are: the scopes are within the client's, the user is always among what has to be proven, and a
// request that is accepted has a challenge for its code.
func TestReadGivesNothingAway(t *testing.T) {
	t.Parallel()
	r := reader(t)
	rapid.Check(t, func(t *rapid.T) {
		p := params()
		for _, name := range []string{"scope", "acr_values", "prompt", "max_age", "id_token_hint", "code_challenge", "response_type"} {
			if rapid.Bool().Draw(t, "change "+name) {
				p[name] = rapid.SampledFrom([]string{
					"", "openid", "read pay", "offline_access", "admin", "gold", "pin gold", "login", "consent login", "none", "0", "60", "-1",
					"of-alice", "foreign", "code", oauth.Challenge(verifier), "ä",
				}).Draw(t, name)
			}
		}
		c := client(func(c *authz.Client) {
			c.Scopes = rapid.SampledFrom([]oauth.Scopes{c.Scopes, {"openid"}, {"read"}, {}}).Draw(t, "client's scopes")
		})
		got, err := r.Read(t.Context(), c, p)
		var e *oauth.Error
		switch {
		case err != nil && !errors.As(err, &e):
			t.Fatalf("the error is none of OAuth's: %v", err)
		case err != nil && e.HTTPStatus() >= 500:
			t.Fatalf("it is not our fault: %v", err)
		case err != nil:
			return
		case len(got.Scopes) == 0 || !got.Scopes.Within(c.Scopes):
			t.Fatalf("the scopes are %v of %v", got.Scopes, c.Scopes)
		case got.Challenge == "" || got.ClientID != c.ID:
			t.Fatalf("the request is %+v", got)
		case len(got.Requirements) == 0 || got.Requirements[0].Realm != "password":
			t.Fatalf("it takes %v", got.Requirements)
		}
		for _, need := range r.Engine.ForScopes(got.Scopes) {
			if !slices.ContainsFunc(got.Requirements, func(n realm.Requirement) bool { return n.Realm == need.Realm }) {
				t.Fatalf("%v are had without %s", got.Scopes, need.Realm)
			}
		}
	})
}
