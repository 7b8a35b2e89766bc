// SPDX-License-Identifier: Apache-2.0

package faces

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/account"
	"github.com/gatehouse-id/gatehouse/authz/attempt"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/authz/details"
	"github.com/gatehouse-id/gatehouse/authz/flow"
	"github.com/gatehouse-id/gatehouse/authz/intake"
	"github.com/gatehouse-id/gatehouse/authz/login"
	"github.com/gatehouse-id/gatehouse/authz/native"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// DefaultIssuer is the issuer of a world unless its options name another.
const DefaultIssuer = "https://auth.example.com"

// Fresh is how old a login may be for the account page. It is less than the password realm's own max_age.
const Fresh = 30 * time.Minute

// Options change a world before it is built.
type Options struct {
	Issuer  string
	Clients []*authz.Client
	Limiter *limit.Limiter
	// Failures bounds the refused attempts of one address: so many, and then one a minute. Zero is no bound.
	Failures int
	// Seed varies which closures run twice.
	Seed uint64
	// Realms are added to those that there are. None of them determines the user.
	Realms []*realm.Realm
	// Details are the types of authorization_details; nil is none.
	Details *details.Registry
	// Pages replaces the pages.
	Pages *web.Renderer
	// Phones and Registrations are what the account page knows of phones; nil is nothing.
	Phones        account.Phones
	Registrations account.Registrations
	// Certificates are those of devices that the account page shows; nil is none.
	Certificates account.Certificates
}

// World is an issuer in memory.
type World struct {
	Issuer   string
	Clock    *storagetest.Clock
	DB       *storagetest.FaultyDB
	Store    *authz.Store
	Clients  *authz.Clients
	Engine   *realm.Engine
	Judge    *attempt.Judge
	Sessions *session.Manager
	Pages    *web.Renderer
	Users    *Users
	Trail    *Trail
	Log      *Log
	Hints    Hints

	nodes    []http.Handler
	turn     atomic.Uint64
	failures *limit.Limiter

	mu           sync.Mutex
	applied      []authz.Revocation
	observed     []string
	beforeUpdate func()
}

func (w *World) observe(realm, outcome string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.observed = append(w.observed, realm+":"+outcome)
}

// Observed returns what metrics were told of attempts, as "realm:outcome".
func (w *World) Observed() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.observed...)
}

// BeforeUpdate has something happen once, before the next transaction that writes: between a read and the write that
// rests on it.
func (w *World) BeforeUpdate(hook func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.beforeUpdate = hook
}

// hooked is the store with [World.BeforeUpdate].
type hooked struct {
	storage.DB
	world *World
}

// Update runs the hook first.
func (h hooked) Update(ctx context.Context, fn func(storage.Tx) error) error {
	h.world.mu.Lock()
	hook := h.world.beforeUpdate
	h.world.beforeUpdate = nil
	h.world.mu.Unlock()
	if hook != nil {
		hook()
	}
	return h.DB.Update(ctx, fn)
}

// pages are built once: that parses and rehearses every template.
var pages = sync.OnceValues(func() (*web.Renderer, error) { return web.New(web.Config{}) })

// New returns a world.
func New(t testing.TB, o Options) *World {
	t.Helper()
	w := &World{
		Issuer: o.Issuer, Clock: storagetest.NewClock(), Log: &Log{},
		Hints: Hints{"token-of-alice": Alice, "token-of-bob": Bob},
	}
	if w.Issuer == "" {
		w.Issuer = DefaultIssuer
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := memstore.Open(memstore.Config{Now: w.Clock.Now})
	must(err)
	w.Trail = &Trail{t: t, db: db}
	w.DB = storagetest.Faulty(storagetest.Twice(db, o.Seed))
	sealer, err := seal.New(seal.Key{ID: "test", Secret: []byte("thirty-two bytes of a test's key")})
	must(err)
	newStore := func() (*authz.Store, error) { return authz.NewStore(hooked{w.DB, w}, sealer, w.Clock.Now) }
	w.Store, err = newStore()
	must(err)
	w.Users = &Users{store: w.Store}
	security := model(w.Users)
	security.Realms = append(security.Realms, o.Realms...)
	w.Engine, err = realm.New(security)
	must(err)
	sites := authz.Sites{
		Allowed: func(origin string) bool { return origin == Site },
		Scopes:  oauth.Scopes{"openid", "accounts:read", "payments:write"}, Audience: []string{w.Issuer},
	}
	w.Clients, err = authz.NewClients(sites, append(clients(), o.Clients...)...)
	must(err)
	if w.Pages = o.Pages; w.Pages == nil {
		w.Pages, err = pages()
		must(err)
	}
	if o.Failures > 0 {
		w.failures, err = limit.New(limit.Config{Burst: o.Failures, Every: time.Minute, Keys: 100, Now: w.Clock.Now})
		must(err)
	}
	for range 2 {
		store, err := newStore()
		must(err)
		must(w.mount(store, o))
	}
	return w
}

// mount adds one server over the store.
func (w *World) mount(store *authz.Store, o Options) error {
	sessions, err := session.New(session.Config{Store: store, Issuer: w.Issuer, Apply: w.apply})
	if err != nil {
		return err
	}
	w.Sessions = sessions
	logger := slog.New(slog.NewTextHandler(w.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	texts := map[string]string{"accounts:read": "See your accounts"}
	reader := &intake.Reader{
		Engine: w.Engine, Now: store.Now, Hints: w.Hints, DefaultScopes: oauth.Scopes{"accounts:read", "reports"},
		Limiter: o.Limiter, Details: o.Details,
	}
	judge, err := attempt.New(attempt.Config{
		Engine: w.Engine, Trail: w.Trail, States: store, Now: store.Now, Observe: w.observe, Limiter: w.failures,
	})
	if err != nil {
		return err
	}
	w.Judge = judge
	clients := &clientauth.Authenticator{Clients: w.Clients, Store: store, Issuer: w.Issuer, Now: store.Now}
	f, err := flow.New(flow.Config{
		Issuer: w.Issuer, Store: store, Clients: w.Clients, ClientAuth: clients, Intake: reader, Sessions: sessions, Pages: w.Pages,
		Trail: w.Trail, Logger: logger, ScopeTexts: texts,
	})
	if err != nil {
		return err
	}
	l, err := login.New(login.Config{
		Issuer: w.Issuer, Store: store, Clients: w.Clients, Judge: judge, Sessions: sessions, Pages: w.Pages, Logger: logger,
	})
	if err != nil {
		return err
	}
	a, err := account.New(account.Config{
		Issuer: w.Issuer, Store: store, Clients: w.Clients, Engine: w.Engine, Sessions: sessions, Pages: w.Pages,
		Trail: w.Trail, Logger: logger, Apply: w.apply, ScopeTexts: texts, Limiter: o.Limiter, Fresh: Fresh,
		Phones: o.Phones, Registrations: o.Registrations, Certificates: o.Certificates,
	})
	if err != nil {
		return err
	}
	n, err := native.New(native.Config{
		Store: store, Clients: clients, Intake: reader, Judge: judge, Sessions: sessions, Texts: w.Pages, Logger: logger,
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	base := authz.BasePath(w.Issuer)
	challenge := map[string]http.Handler{authz.PathChallenge: n}
	for _, routes := range []map[string]http.Handler{f.Routes(), l.Routes(), a.Routes(), challenge} {
		for path, handler := range routes {
			mux.Handle(base+path, handler)
		}
	}
	w.nodes = append(w.nodes, mux)
	return nil
}

func (w *World) apply(made ...authz.Revocation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.applied = append(w.applied, made...)
}

// Applied returns the revocations that the gates were told of.
func (w *World) Applied() []authz.Revocation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.applied
}

// Params are the parameters of an authorization request by the client "portal", changed by pairs of name and value. An
// empty value takes the parameter out.
func Params(pairs ...string) map[string]string {
	p := map[string]string{
		"client_id": "portal", "redirect_uri": "https://portal.example.com/callback", "response_type": "code",
		"scope": "openid accounts:read", "state": "st+a te&=%", "nonce": "n-1",
		"code_challenge": oauth.Challenge(Verifier), "code_challenge_method": "S256",
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			delete(p, pairs[i])
			continue
		}
		p[pairs[i]] = pairs[i+1]
	}
	return p
}

// Verifier is the PKCE verifier of [Params].
var Verifier = strings.Repeat("v", 43)

// Site is the origin of a protected site.
const Site = "https://site.example.com"

func clients() []*authz.Client {
	web := func(id string, uris ...string) *authz.Client {
		return &authz.Client{
			ID: id, Auth: authz.AuthClientSecretBasic, SecretHashes: []string{randid.Hash("secret")}, RedirectURIs: uris,
			Grants: []authz.GrantType{authz.GrantAuthorizationCode, authz.GrantRefreshToken},
			Scopes: oauth.Scopes{
				"openid", "profile", "email", "offline_access", "accounts:read", "payments:write", "riddles", "riddle-first",
				"device-first",
			},
			DetailTypes: []string{"payment_initiation", "account_information"},
			Audience:    []string{"https://api.example.com"}, AccessTTL: 5 * time.Minute,
			RefreshTTL: 24 * time.Hour, RefreshIdleTTL: time.Hour,
		}
	}
	portal := web("portal", "https://portal.example.com/callback", "https://portal.example.com/other?x=1")
	portal.FirstParty, portal.Name = true, "The Portal"
	third := web("third", "https://third.example.org/cb")
	third.Name = "Third <Party>"
	installed := web("native", "http://127.0.0.1/cb", "com.example.native:/cb", "https://native.example.org/cb")
	own := web("own-app", "com.example.own:/cb")
	own.FirstParty = true
	for _, c := range []*authz.Client{installed, own} {
		c.Auth, c.SecretHashes = authz.AuthNone, nil
	}
	plain := web("plain", "https://plain.example.org/cb")
	plain.Grants, plain.DefaultScopes = []authz.GrantType{authz.GrantAuthorizationCode}, oauth.Scopes{"openid"}
	machine := web("machine", "https://machine.example.org/cb")
	machine.Grants = []authz.GrantType{authz.GrantClientCredentials}
	narrow := web("narrow", "https://narrow.example.org/cb")
	narrow.Scopes = oauth.Scopes{"openid"}
	mobile := web("mobile", "com.example.mobile:/cb")
	mobile.FirstParty, mobile.Native, mobile.Auth, mobile.SecretHashes = true, true, authz.AuthNone, nil
	tablet := *mobile
	tablet.ID = "tablet"
	till := *mobile
	till.ID, till.Auth, till.SecretHashes = "till", authz.AuthClientSecretBasic, portal.SecretHashes
	return []*authz.Client{portal, third, installed, own, plain, machine, narrow, mobile, &tablet, &till}
}

// Hints are ID tokens and whom they are about.
type Hints map[string]string

// Subject looks the token up.
func (h Hints) Subject(_ context.Context, token string) (string, error) {
	subject, ok := h[token]
	if !ok {
		return "", errors.New("not one of ours")
	}
	return subject, nil
}

// Log is what was logged.
type Log struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write appends a line.
func (l *Log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(line)
}

// String returns everything logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// ServeHTTP serves a request as a server would that knows where it comes from.
func (w *World) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	ip := r.Header.Get("Test-Client-IP")
	if ip == "" {
		ip = "192.0.2.7"
	}
	caller := httpx.Caller{ClientIP: ip, RequestID: "rid-test"}
	node := w.nodes[w.turn.Add(1)%uint64(len(w.nodes))]
	node.ServeHTTP(rw, r.WithContext(httpx.WithCaller(r.Context(), caller)))
}
