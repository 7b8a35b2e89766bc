// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/revocation"
	"github.com/gatehouse-id/gatehouse/authz/server"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/validation"
)

const (
	issuer = "https://auth.example.com/idp" // below which everything is
	api    = "https://api.example.com"
	secret = "a-secret-of-the-machine-0123456789"
)

var errBroken = errors.New("the store is broken")

// guest asks for nothing, refuses everybody and remembers who came.
type guest struct{ came []realm.Input }

func (g *guest) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	g.came = append(g.came, in)
	return realm.Credentials{}, &realm.Challenge{Message: "hello"}, nil
}

func (*guest) Verify(context.Context, realm.Credentials) (realm.Result, error) {
	return realm.Result{Status: realm.Refused}, nil
}

// nobody is who has no profile.
type nobody struct{}

func (nobody) Profile(context.Context, string) (map[string]any, error) { return nil, errBroken }

// bench is a server and what it is made of.
type bench struct {
	t      *testing.T
	clock  *storagetest.Clock
	config server.Config
	db     *storagetest.FaultyDB
	guest  *guest
	log    *bytes.Buffer
	told   []string
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newBench(t *testing.T) *bench {
	t.Helper()
	clock := storagetest.NewClock()
	db, err := memstore.Open(memstore.Config{Now: clock.Now})
	must(t, err)
	b := &bench{t: t, clock: clock, db: storagetest.Faulty(db), guest: &guest{}, log: new(bytes.Buffer)}
	logger := slog.New(slog.NewTextHandler(b.log, nil))
	sealer, err := seal.New(seal.Key{ID: "test", Secret: []byte("thirty-two bytes of a test's key")})
	must(t, err)
	store, err := authz.NewStore(b.db, sealer, clock.Now)
	must(t, err)
	view, err := revocation.New(revocation.Config{Log: store, Now: clock.Now, Logger: logger})
	must(t, err)
	ring, err := keyset.Open(keyset.Config{
		DB: b.db, Sealer: sealer, Algs: []jose.Algorithm{jose.ES256}, RotateEvery: 30 * 24 * time.Hour, Retain: 48 * time.Hour,
		Now: clock.Now, Logger: logger,
	})
	must(t, err)
	trail, err := audit.New(audit.Config{DB: b.db, Now: clock.Now, Logger: logger})
	must(t, err)
	engine, err := realm.New(realm.Config{
		Realms:   []*realm.Realm{{Name: "door", Authenticator: b.guest, LoginModule: b.guest, MaxAge: time.Hour}},
		Identity: []string{"door"}, Scopes: map[string][]string{"read": {"door"}},
		Levels: []realm.Level{{Name: "gold", Realms: []string{"door"}}},
	})
	must(t, err)
	pages, err := web.New(web.Config{Base: authz.BasePath(issuer)})
	must(t, err)
	sites := authz.Sites{Allowed: func(string) bool { return false }, Scopes: oauth.Scopes{"read"}, Audience: []string{api}}
	clients, err := authz.NewClients(sites,
		&authz.Client{
			ID: "machine", Auth: authz.AuthClientSecretBasic, SecretHashes: []string{randid.Hash(secret)}, AccessTTL: 5 * time.Minute,
			Grants: []authz.GrantType{authz.GrantClientCredentials}, Scopes: oauth.Scopes{"read"}, Audience: []string{api},
		},
		&authz.Client{
			ID: "phone", Auth: authz.AuthNone, Native: true, FirstParty: true, Grants: []authz.GrantType{authz.GrantAuthorizationCode},
			Scopes: oauth.Scopes{"read"}, Audience: []string{api}, AccessTTL: 5 * time.Minute,
		})
	must(t, err)
	b.config = server.Config{
		Issuer: issuer, Audience: []string{api}, Store: store, View: view, Ring: ring, Clients: clients, Engine: engine, Pages: pages,
		Trail: trail, Profiles: nobody{}, Scopes: oauth.Scopes{"read"}, DefaultScopes: oauth.Scopes{"read"}, Now: clock.Now, Logger: logger,
		ClientIP: func(*http.Request) string { return "192.0.2.1" },
		Observe:  server.Observer{Endpoint: func(name, status string) { b.told = append(b.told, name+" "+status) }},
	}
	return b
}

func (b *bench) start() *server.Server {
	b.t.Helper()
	s, err := server.New(b.config)
	must(b.t, err)
	must(b.t, s.Start(b.t.Context()))
	return s
}

// ask sends a request; a form makes it a POST of one.
func (b *bench) ask(s *server.Server, path string, form url.Values, as string) *httptest.ResponseRecorder {
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	r := httptest.NewRequestWithContext(b.t.Context(), method, "https://auth.example.com"+path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if as != "" {
		r.SetBasicAuth(as, secret)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// Each part that is required is missed by itself.
func TestNewMissesEachPart(t *testing.T) {
	t.Parallel()
	optional := []string{
		"Scopes", "DefaultScopes", "ScopeTexts", "SessionIdle", "SessionLifetime", "RefreshGrace", "CacheBytes", "Proxied", "Applications", "Published", "Observe",
		"Phones", "Registrations", "MaxStaleness", "Certificates", "Details", "Backchannel", "NonceKey", "DemandNonces", "SharedProofs", "Registration", "MutualTLS", "Asked",
	}
	b := newBench(t)
	all := reflect.TypeOf(b.config)
	for i := range all.NumField() {
		c := b.config
		reflect.ValueOf(&c).Elem().Field(i).SetZero()
		_, err := server.New(c)
		if name := all.Field(i).Name; (err == nil) != slices.Contains(optional, name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// Nothing is served by a server that could not read its keys or what is revoked.
func TestStartFails(t *testing.T) {
	t.Parallel()
	var said []string
	for n := 1; ; n++ {
		b := newBench(t)
		s, err := server.New(b.config)
		must(t, err)
		b.db.Inject(storagetest.Fault{Op: storagetest.OnView, Nth: n, Err: errBroken})
		err = s.Start(t.Context())
		if err == nil { // it reads no more than that
			break
		}
		if !errors.Is(err, errBroken) {
			t.Errorf("Start = %v", err)
		}
		what, _, _ := strings.Cut(err.Error(), ":")
		said = append(said, what)
	}
	if got := strings.Join(slices.Compact(said), ", "); got != "loading the signing keys, loading the revocations" {
		t.Errorf("what fails is: %s", got)
	}
}

// Everything stands below the issuer's path but what is well known, and each request is observed under the name of its endpoint.
func TestPaths(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.start()
	for _, tt := range []struct {
		path   string
		status int
		told   string
	}{
		{"/idp/jwks", http.StatusOK, "jwks 200"},
		{"/idp/token", http.StatusMethodNotAllowed, "token 405"},
		{"/.well-known/oauth-authorization-server/idp", http.StatusOK, "metadata 200"},
		{"/idp/static/nothing", http.StatusNotFound, "static 404"},
		{"/jwks", http.StatusNotFound, ""},
		{"/idp", http.StatusNotFound, ""},
		{"/idp/", http.StatusNotFound, ""},
		{"/idp//jwks", http.StatusNotFound, ""},
		{"/IDP/jwks", http.StatusNotFound, ""},
	} {
		b.told = nil
		got := b.ask(s, tt.path, nil, "")
		if got.Code != tt.status || strings.Join(b.told, ",") != tt.told || s.Serves(tt.path) != (tt.told != "") {
			t.Errorf("%s is %d, told as %q, served: %t; want %d %q", tt.path, got.Code, b.told, s.Serves(tt.path), tt.status, tt.told)
		}
	}
}

// A machine's token is what the validators, the operator and the gate take it for, until it is too old.
func TestATokenOfAMachine(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.start()
	got := b.ask(s, "/idp/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}, "machine")
	var issued struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(got.Body.Bytes(), &issued); err != nil || got.Code != http.StatusOK {
		t.Fatalf("%d %s", got.Code, got.Body)
	}
	p, err := s.AccessValidator().Inspect(t.Context(), issued.Token)
	if err != nil || p.Subject != "machine" || !p.Scopes.Has("read") {
		t.Fatalf("the token is of %+v, %v", p, err)
	}
	other, err := s.Validator([]string{"https://elsewhere.example.com"})
	must(t, err)
	if _, err := other.Inspect(t.Context(), issued.Token); err == nil {
		t.Error("another audience takes the token")
	}
	if found := s.Inspect(t.Context(), issued.Token); !found.Active || found.Kind != "access token" || found.Claims["sub"] != "machine" {
		t.Errorf("the operator sees %+v", found)
	}
	assertion, err := s.Assertion(p, "https://upstream")
	must(t, err)
	if found := s.Inspect(t.Context(), assertion); found.Active || found.Kind != "assertion" || found.Claims["aud"] != "https://upstream" {
		t.Errorf("of the assertion the operator sees %+v", found)
	}
	if _, err := s.AccessValidator().Inspect(t.Context(), assertion); err == nil {
		t.Error("an assertion passes for an access token")
	}
	if access, _ := s.Stats(); access.Hits+access.Misses == 0 {
		t.Errorf("the cache says %+v", access)
	}
}

// What a route asks is completed with what it means; a level that there is not is none.
func TestRule(t *testing.T) {
	t.Parallel()
	s := newBench(t).start()
	rule, err := s.Rule(validation.Policy{AllScopes: validation.Scopes{"read"}, AnyScope: validation.Scopes{"read", "free"}, ACRValues: []string{"gold", "door"}})
	must(t, err)
	door := []validation.Requirement{{Realm: "door", MaxAge: time.Hour}}
	want := &validation.Policy{
		AllScopes: validation.Scopes{"read"}, AnyScope: validation.Scopes{"read", "free"}, ACRValues: []string{"gold", "door"}, Requirements: door,
		AnyRequirements: map[string][]validation.Requirement{"read": door, "free": nil},
		Levels:          map[string][]validation.Requirement{"gold": door, "door": door},
	}
	if diff := cmp.Diff(want, rule.Policy); diff != "" {
		t.Errorf("what people prove (-want +got):\n%s", diff)
	}
	if rule.Bare.Requirements != nil || rule.Bare.Levels != nil || rule.Bare.AnyRequirements != nil {
		t.Errorf("a machine proves %+v", rule.Bare)
	}
	if _, err := s.Rule(validation.Policy{ACRValues: []string{"gold", "platinum"}}); err == nil || !strings.Contains(err.Error(), "platinum") {
		t.Errorf("a level that there is not: %v", err)
	}
}

// Realms are told where a request comes from by those whom the operator trusts, and by no header.
func TestCaller(t *testing.T) {
	t.Parallel()
	for _, proxied := range []bool{false, true} {
		b := newBench(t)
		if proxied {
			b.config.Proxied = func(*http.Request) bool { return true }
		}
		s := b.start()
		got := b.ask(s, "/idp/authorize-challenge", url.Values{
			"client_id": {"phone"}, "scope": {"read"}, "response_type": {"code"}, "code_challenge_method": {"S256"},
			"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},
		}, "")
		if len(b.guest.came) == 0 {
			t.Fatalf("no realm was asked: %d %s", got.Code, got.Body)
		}
		if in := b.guest.came[0]; in.ClientIP != "192.0.2.1" || in.Proxied != proxied || !in.Native {
			t.Errorf("the realm is told %+v, want proxied: %t", in, proxied)
		}
	}
}

// A token is judged without the log of revocations for so long and no longer, and again as soon as the log is read.
func TestStaleness(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.MaxStaleness = time.Minute
	s := b.start()
	issued := b.ask(s, "/idp/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}, "machine")
	var has struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(issued.Body.Bytes(), &has); err != nil || has.Token == "" {
		t.Fatalf("no token: %d %s", issued.Code, issued.Body)
	}
	judge := func(want error) {
		t.Helper()
		if _, err := s.AccessValidator().Validate(t.Context(), validation.Bearer(has.Token)); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("it is judged with %v, want %v", err, want)
		}
	}
	judge(nil)
	b.clock.Advance(time.Minute)
	judge(nil)
	b.clock.Advance(time.Second)
	judge(server.ErrBlind)
	must(t, b.config.View.Refresh(t.Context()))
	judge(nil)
}

// A server looks after its keys each minute, says when it cannot, and stops when it is told to.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		s := b.start()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.Run(ctx); close(ended) }()
		b.db.Inject(storagetest.Fault{Op: storagetest.OnView, Err: errBroken})
		<-time.After(90 * time.Second) // in a bubble, where no time passes outside
		cancel()
		<-ended
		if !strings.Contains(b.log.String(), "looking after the signing keys") {
			t.Errorf("nobody is told that the keys cannot be read:\n%s", b.log)
		}
	})
}
