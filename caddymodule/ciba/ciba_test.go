// SPDX-License-Identifier: Apache-2.0

package ciba_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/reading"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/terms"
	"github.com/gatehouse-id/gatehouse/caddymodule/channels"
	"github.com/gatehouse-id/gatehouse/caddymodule/ciba"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func parse(text string) (*ciba.Config, error) {
	var c *ciba.Config
	d := caddyfile.NewTestDispenser(text)
	d.Next()
	err := ciba.Parse(&c)(d)
	return c, err
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := parse(`backchannel push {
		notify https://client.example.com/cb
		allow 10.0.0.0/8 192.0.2.1
		signed ES256
		user_code
		no_number
		tell_unknown
		login_hint_issuer https://a.example.com a.jwks
		login_hint_issuer https://b.example.com b.jwks
	}`)
	must(t, err)
	want := &ciba.Config{
		Mode: "push", Notify: "https://client.example.com/cb", Allow: []string{"10.0.0.0/8", "192.0.2.1"}, Signed: "ES256", UserCode: true, NoNumber: true,
		TellUnknown: true, HintIssuers: map[string]string{"https://a.example.com": "a.jwks", "https://b.example.com": "b.jwks"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{
		"backchannel", "backchannel ping {\n notify\n}", "backchannel ping {\n notify a b\n}",
		"backchannel ping {\n notify a\n notify b\n}", "backchannel poll {\n no_number yes\n}", "backchannel poll {\n colour red\n}",
		"backchannel poll {\n login_hint_issuer a\n}", "backchannel poll {\n login_hint_issuer a b\n login_hint_issuer a c\n}",
	} {
		if _, err := parse(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// mobile has a type that asks over push, one that sends codes and one that is scanned.
func mobile() *phones.Config {
	messages := map[string]string{"en": "Sign in"}
	return &phones.Config{Config: channels.Config{Types: []channels.Type{
		{Name: "push_pin", Method: "push_pin", Messages: messages},
		{Name: "code", Method: "sms", Messages: map[string]string{"en": "{code}"}}, {Name: "scan", Method: "otp", Messages: messages},
	}}}
}

// desk is a client that asks.
func desk(keys ...jose.PublicKey) *authz.Client {
	c := &authz.Client{
		ID: "desk", Auth: authz.AuthClientSecretBasic, SecretHashes: []string{randid.Hash("secret")}, Grants: []authz.GrantType{authz.GrantCIBA},
		Scopes: oauth.Scopes{"openid"}, Audience: []string{"a"}, AccessTTL: time.Minute,
	}
	if len(keys) > 0 {
		c.Auth, c.SecretHashes, c.Keys = authz.AuthPrivateKeyJWT, nil, keys
	}
	return c
}

func newUsers(t *testing.T, clock *storagetest.Clock) (*identity.Store, *identity.Hasher) {
	t.Helper()
	db, err := memstore.Open(memstore.Config{Now: clock.Now})
	must(t, err)
	hasher, err := identity.NewHasher(identity.HasherConfig{Params: identity.Params{Memory: 8, Time: 1, Threads: 1}})
	must(t, err)
	users, err := identity.New(identity.Config{DB: db, Hasher: hasher, Now: clock.Now})
	must(t, err)
	return users, hasher
}

// realms are what a configuration says about the realms of the tests.
var realms = map[string][2]string{
	"phone": {`{"type":"mobile","mobile_type":"push_pin"}`}, "code": {`{"type":"mobile","mobile_type":"code"}`},
	"scan": {`{"type":"mobile","mobile_type":"scan"}`}, "gone": {`{"type":"mobile","mobile_type":"gone"}`},
	"password": {`{"type":"form"}`, `{"type":"identity_store"}`}, "odd": {`{"type":"mobile","mobile_type":"push_pin"}`, `{"type":"header"}`},
}

// side is the back channel of one client, and why there is none.
func side(t *testing.T, client *authz.Client, c *ciba.Config, change func(*ciba.Parts)) (*ciba.Side, error) {
	t.Helper()
	var w ciba.Wishes
	for name, parts := range realms {
		var module json.RawMessage
		if parts[1] != "" {
			module = json.RawMessage(parts[1])
		}
		w.Realm(name, json.RawMessage(parts[0]), module)
	}
	if w.Client(client.ID, c) != (c != nil) {
		t.Error("it does not say whether a client asks")
	}
	clients, err := authz.NewClients(authz.Sites{}, client)
	must(t, err)
	clock := storagetest.NewClock()
	users, hasher := newUsers(t, clock)
	p := ciba.Parts{Users: users, Hasher: hasher, Clients: clients, Identity: []string{"password", "code", "phone"}, Mobile: mobile(), Read: func(string) ([]byte, error) {
		return nil, errors.New("there is no such file")
	}}
	if change != nil {
		change(&p)
	}
	return w.Side(p)
}

// What a configuration may say, and what it may not: each mistake is told, with the client's name.
func TestSide(t *testing.T) {
	t.Parallel()
	key, err := jose.GenerateKey(jose.ES256)
	must(t, err)
	set, err := jose.MarshalSet([]jose.PublicKey{key.Public()})
	must(t, err)
	reads := func(p *ciba.Parts) { p.Read = func(string) ([]byte, error) { return set, nil } }
	for _, tt := range []struct {
		name   string
		client *authz.Client
		config ciba.Config
		change func(*ciba.Parts)
		want   string // in the error; empty is none
	}{
		{"poll", desk(), ciba.Config{Mode: "poll"}, nil, ""},
		{"ping", desk(), ciba.Config{Mode: "ping", Notify: "https://client.example.com/cb"}, nil, ""},
		{"push on a loopback host", desk(), ciba.Config{Mode: "push", Notify: "http://127.0.0.1:1/", Allow: []string{"127.0.0.1"}}, nil, ""},
		{"signed", desk(key.Public()), ciba.Config{Mode: "poll", Signed: "ES256"}, nil, ""},
		{"hints of a friend", desk(), ciba.Config{Mode: "poll", HintIssuers: map[string]string{"https://a": "a.jwks"}}, reads, ""},

		{"no such mode", desk(), ciba.Config{Mode: "pull"}, nil, "pull"},
		{"ping to nowhere", desk(), ciba.Config{Mode: "ping"}, nil, "notification endpoint"},
		{"ping without TLS", desk(), ciba.Config{Mode: "ping", Notify: "http://client.example.com/cb"}, nil, "https"},
		{"ping on a loopback host that nobody allowed", desk(), ciba.Config{Mode: "ping", Notify: "http://127.0.0.1:1/"}, nil, "https"},
		{"a network that is none", desk(), ciba.Config{Mode: "ping", Notify: "https://x/", Allow: []string{"here"}}, nil, "allow"},
		{"signed without keys", desk(), ciba.Config{Mode: "poll", Signed: "ES256"}, nil, "keys"},
		{"signed by a MAC", desk(key.Public()), ciba.Config{Mode: "poll", Signed: "HS256"}, nil, "HS256"},
		{"a file that is not there", desk(), ciba.Config{Mode: "poll", HintIssuers: map[string]string{"https://a": "a.jwks"}}, nil, "no such file"},
		{"no phones", desk(), ciba.Config{Mode: "poll"}, func(p *ciba.Parts) { p.Mobile = nil }, "mobile needs a type"},
		{"no realm that determines the user", desk(), ciba.Config{Mode: "poll"}, func(p *ciba.Parts) { p.Identity = []string{"password"} }, "user_identity"},
		{"only what is scanned, sent or gone", desk(), ciba.Config{Mode: "poll"}, func(p *ciba.Parts) { p.Identity = []string{"scan", "code", "gone", "odd"} }, "user_identity"},
		{"no number where one is asked", desk(), ciba.Config{Mode: "poll", NoNumber: true}, func(p *ciba.Parts) { p.Mobile.LeastNumberMatch = 6 }, "number_match"},
		{"no openid", func() *authz.Client { c := desk(); c.Scopes = oauth.Scopes{"transfers"}; return c }(), ciba.Config{Mode: "poll"}, nil, "openid"},
		{"no client", desk(), ciba.Config{Mode: "poll"}, func(p *ciba.Parts) {
			var err error
			if p.Clients, err = authz.NewClients(authz.Sites{}); err != nil {
				t.Error(err)
			}
		}, "no such client"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := side(t, tt.client, &tt.config, tt.change)
			if tt.want == "" {
				must(t, err)
				server := s.Server(nil, nil, nil)
				if cmp.Diff([]string{"phone"}, server.Realms) != "" || server.Terms["desk"].Mode != terms.Mode(tt.config.Mode) || len(s.Hooks()) != 1 {
					t.Errorf("it is %+v", server)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), `client "desk"`) {
				t.Errorf("it is told %v", err)
			}
		})
	}
}

// Files of keys are read when there are users, that is when the configuration is going to run.
func TestCheckingReadsNoFiles(t *testing.T) {
	t.Parallel()
	c := &ciba.Config{Mode: "poll", Signed: "ES256", HintIssuers: map[string]string{"https://a": "a.jwks"}}
	if _, err := side(t, desk(), c, func(p *ciba.Parts) { p.Users = nil }); err != nil {
		t.Errorf("without users it reads: %v", err)
	}
}

// Section 7.1.2: the right code of the right user, and after too many wrong ones none for a while. Nobody's is wrong, and so is one whose
// hash has another cost.
func TestCodes(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	users, hasher := newUsers(t, clock)
	s, err := side(t, desk(), &ciba.Config{Mode: "poll", UserCode: true}, func(p *ciba.Parts) { p.Users, p.Hasher = users, hasher })
	must(t, err)
	codes := s.Server(nil, nil, nil).Codes
	hash := func(code string) string {
		t.Helper()
		h, err := hasher.Hash(t.Context(), code)
		must(t, err)
		return h
	}
	add := func(login, hash string) string {
		t.Helper()
		u, err := users.Add(t.Context(), identity.NewUser{Profile: identity.Profile{
			Logins: []string{login}, Attributes: map[string]string{ciba.AttributeCode: hash},
		}})
		must(t, err)
		return u.ID
	}
	alice, bob, odd := add("alice", hash("hush")), add("bob", hash("tush")), add("odd", "$argon2id$v=19$m=16,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	plain, none := add("plain", "hush"), add("none", hash("x"))
	_, err = users.Update(t.Context(), none, 1, identity.Profile{Logins: []string{"none"}})
	must(t, err)
	locked := add("locked", hash("hush"))
	_, err = users.Lock(t.Context(), locked, "test")
	must(t, err)
	verify := func(subject, code string) bool {
		t.Helper()
		right, err := codes.Verify(t.Context(), subject, reading.Hint{Kind: reading.ByLogin, Value: "hint"}, code)
		must(t, err)
		return right
	}
	for _, tt := range []struct {
		name, subject, code string
		want                bool
	}{
		{"right", alice, "hush", true}, {"another's", alice, "tush", false}, {"right of another", bob, "tush", true}, {"empty", alice, "", false},
		{"of nobody", "", "hush", false}, {"of one who has none", none, "x", false}, {"its hash", alice, hash("hush"), false},
		{"of another cost", odd, "hush", false}, {"not hashed", plain, "hush", false}, {"of one who is locked", locked, "hush", false},
	} {
		if got := verify(tt.subject, tt.code); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	for range 20 {
		verify(alice, "guess")
	}
	if verify(alice, "hush") {
		t.Error("it can be guessed on and on")
	}
	if !verify(bob, "tush") {
		t.Error("guessing at one keeps another out")
	}
	clock.Advance(20 * time.Minute)
	if !verify(alice, "hush") {
		t.Error("guessing keeps her out for good")
	}
}

// TestWhomAHintNames: somebody is asked who alone has the name, whatever kind of name it is.
func TestWhomAHintNames(t *testing.T) {
	t.Parallel()
	users, hasher := newUsers(t, storagetest.NewClock())
	s, err := side(t, desk(), &ciba.Config{Mode: "poll"}, func(p *ciba.Parts) { p.Users, p.Hasher = users, hasher })
	must(t, err)
	ids := map[string]string{}
	for name, profile := range map[string]identity.Profile{
		"alice": {Logins: []string{"alice"}, ExternalRef: "c-1"}, "mallory": {Logins: []string{"c-2"}}, "bob": {Logins: []string{"bob"}, ExternalRef: "c-2"},
		"same": {Logins: []string{"same"}, ExternalRef: "same"},
	} {
		u, err := users.Add(t.Context(), identity.NewUser{Profile: profile})
		must(t, err)
		ids[name] = u.ID
	}
	for hint, want := range map[string]string{
		"alice": "alice", "c-1": "alice", ids["bob"]: "bob", "same": "same", "nobody": "", "c-2": "", // a login of one, the reference of another
	} {
		got, err := s.Server(nil, nil, nil).People.Find(t.Context(), reading.Hint{Kind: reading.ByLogin, Value: hint})
		if err != nil || got != ids[want] {
			t.Errorf("%s names %q, want %s (%v)", hint, got, want, err)
		}
	}
}

// TestSpelling: all spellings of a name are one, known or not, and whatever kind of name it is said to be.
func TestSpelling(t *testing.T) {
	t.Parallel()
	s, err := side(t, desk(), &ciba.Config{Mode: "poll"}, nil)
	must(t, err)
	people := s.Server(nil, nil, nil).People
	for _, tt := range []struct {
		want  string
		hints []reading.Hint
	}{
		{"alice", []reading.Hint{
			{Kind: reading.ByLogin, Value: "alice"}, {Kind: reading.ByLogin, Value: " ALICE "}, {Kind: reading.ByLogin, Value: "\uff21lice"}, {Kind: reading.BySubject, Value: "alice"},
		}},
		{"alice@example.com", []reading.Hint{
			{Kind: reading.ByEmail, Value: "Alice@Example.COM"}, {Kind: reading.ByLogin, Value: "alice@example.com"},
		}},
		{"+31612345678", []reading.Hint{{Kind: reading.ByPhone, Value: "+31612345678"}, {Kind: reading.ByPhone, Value: "+31 6 1234 5678"}}},
		{"alic\u00e9", []reading.Hint{{Kind: reading.ByLogin, Value: "alice\u0301"}, {Kind: reading.ByLogin, Value: "ALIC\u00c9"}}},
		{"a\x00", []reading.Hint{{Kind: reading.ByLogin, Value: "a\x00"}}},
		{"12", []reading.Hint{{Kind: reading.ByPhone, Value: "12"}}},
	} {
		for _, hint := range tt.hints {
			if got := people.Spelling(hint); got != tt.want {
				t.Errorf("%+v is counted as %q, want %q", hint, got, tt.want)
			}
		}
	}
}

// TestScopesThatAPhoneShows: a client of somebody else's may not be allowed more at once, nor anything else, than a phone can show.
func TestScopesThatAPhoneShows(t *testing.T) {
	t.Parallel()
	many := func(n int) oauth.Scopes {
		scopes := oauth.Scopes{"openid"}
		for i := range n {
			scopes = append(scopes, fmt.Sprint("scope", i))
		}
		return scopes
	}
	for _, tt := range []struct {
		name   string
		scopes oauth.Scopes
		text   string
		first  bool
		want   string
	}{
		{"as many as are shown", many(20), "", false, ""},
		{"one more", many(21), "", false, "21 scopes"},
		{"one more of the operator's own", many(21), "", true, ""},
		{"a long text", many(1), strings.Repeat("x", 140), false, ""},
		{"too long a text", many(1), strings.Repeat("x", 141), false, `scope "scope0"`},
		{"too long a text of the operator's own", many(1), strings.Repeat("x", 141), true, ""},
		{"a text that hides something", many(1), "Read\u202eyour mail", false, `scope "scope0"`},
		{"too long a name", append(many(0), strings.Repeat("x", 141)), "", false, "longer than 140"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := desk()
			client.Scopes, client.FirstParty = tt.scopes, tt.first
			_, err := side(t, client, &ciba.Config{Mode: "poll"}, func(p *ciba.Parts) { p.ScopeTexts = map[string]string{"scope0": tt.text} })
			if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), `client "desk"`)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// Without a client that is registered for codes nobody knows any.
func TestNoCodes(t *testing.T) {
	t.Parallel()
	s, err := side(t, desk(), &ciba.Config{Mode: "poll"}, nil)
	must(t, err)
	if s.Server(nil, nil, nil).Codes != nil {
		t.Error("codes are known that nobody sends")
	}
}

// Where no client asks there is nothing, and nothing of it does anything.
func TestNoSide(t *testing.T) {
	t.Parallel()
	s, err := side(t, desk(), nil, nil)
	must(t, err)
	if s.Server(nil, nil, nil) != nil || s.Hooks() != nil {
		t.Error("there is a back channel that nobody asked for")
	}
	s.Use(nil)
}
