// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/approval"
	"github.com/gatehouse-id/gatehouse/authz/details"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/formauth"
	"github.com/gatehouse-id/gatehouse/authz/realm/identitystore"
	"github.com/gatehouse-id/gatehouse/authz/revocation"
	"github.com/gatehouse-id/gatehouse/authz/server"
	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
	"github.com/gatehouse-id/gatehouse/validation"
)

const (
	issuer   = "https://auth.example.com"
	web1     = "https://web.example.com"
	api      = "https://api.example.com"
	callback = "https://app.example.com/callback"
	secret   = "a-secret-of-forty-three-characters-0123456789"
	password = "wonderland-2026"
	verifier = "verifier-verifier-verifier-verifier-verifier-0"
)

// databases is the PostgreSQL of all flows.
var databases postgres.Shared

func TestMain(m *testing.M) { os.Exit(databases.Run(m)) }

// engines are the stores that every flow runs over.
var engines = []struct {
	name string
	open func(t *testing.T, now func() time.Time) storage.DB
}{
	{"memory", func(t *testing.T, now func() time.Time) storage.DB {
		db, err := memstore.Open(memstore.Config{Now: now})
		must(t, err)
		return db
	}},
	{"badger", func(t *testing.T, now func() time.Time) storage.DB {
		db, err := badgerstore.Open(t.Context(), badgerstore.Config{Dir: t.TempDir(), Now: now, Logger: slog.New(slog.DiscardHandler)})
		must(t, err)
		return db
	}},
	{"postgres", func(t *testing.T, now func() time.Time) storage.DB {
		db, err := pgstore.Open(t.Context(), pgstore.Config{
			DSN: databases.DSN(t), Schema: postgres.Schema(t.TempDir()), Now: now, MaxConns: 6, SweepEvery: -1, AcquireTimeout: time.Minute,
		})
		must(t, err)
		return db
	}},
}

// each runs a flow over every store, in parallel. The security model may be changed.
func each(t *testing.T, run func(t *testing.T, w *world), model ...func(*world, *realm.Config)) {
	t.Parallel()
	for i, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			clock := storagetest.NewClock()
			db := e.open(t, clock.Now)
			t.Cleanup(func() { must(t, db.Close()) })
			run(t, newWorld(t, clock, storagetest.Twice(db, uint64(i)+1), model...))
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is an issuer of two nodes, a web site and an API in front of an upstream that says who is asking.
type world struct {
	clock *storagetest.Clock
	db    storage.DB
	store *authz.Store
	users *identity.Store
	nodes []*node
	turn  atomic.Uint64
	alice identity.User
	model []func(*world, *realm.Config)
	// building is the node that is being built, for security models that ask it.
	building *node
	// mobile is how people are asked on their phones, where they are.
	mobile string
	// details are the types of authorization_details, and bound what of a request at the API has to be as it was approved.
	details *details.Registry
	bound   []*approval.Rule
	// paid is how many calls that must happen once have reached the application.
	paid atomic.Int64
}

// node is one process.
type node struct {
	server  *server.Server
	view    *revocation.View
	apps    *mobileauth.Registry
	rules   map[string]*site.Rule
	phones  *phones.Phones // nil where nobody is asked
	account *phones.Account
}

var pages = sync.OnceValues(func() (*web.Renderer, error) { return web.New(web.Config{}) })

// newWorld returns a world, whose security model may be changed before it is built.
func newWorld(t *testing.T, clock *storagetest.Clock, db storage.DB, model ...func(*world, *realm.Config)) *world {
	t.Helper()
	w := &world{clock: clock, db: db, model: model}
	sealer, err := seal.New(seal.Key{ID: "test", Secret: []byte("thirty-two bytes of a test's key")})
	must(t, err)
	w.store, err = authz.NewStore(db, sealer, clock.Now)
	must(t, err)
	hasher, err := identity.NewHasher(identity.HasherConfig{Params: identity.Params{Memory: 64, Time: 1, Threads: 1}})
	must(t, err)
	w.users, err = identity.New(identity.Config{
		DB: db, Hasher: hasher, Now: clock.Now,
		OnRevoke: []func(storage.Tx, identity.User) error{
			func(tx storage.Tx, u identity.User) error { return w.store.RevokeSubject(tx, u.ID) },
		},
	})
	must(t, err)
	w.alice, err = w.users.Add(t.Context(), identity.NewUser{
		Profile:  identity.Profile{Logins: []string{"alice"}, Attributes: map[string]string{"name": "Alice", "email": "alice@example.com"}},
		Password: password,
	})
	must(t, err)
	for range 2 {
		w.nodes = append(w.nodes, w.newNode(t, db, sealer))
	}
	return w
}

func (w *world) newNode(t *testing.T, db storage.DB, sealer storage.Sealer) *node {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	n := &node{rules: map[string]*site.Rule{}}
	w.building = n
	var err error
	n.apps, err = mobileauth.New(mobileauth.Config{DB: db, Now: w.clock.Now, Logger: logger, Applications: []mobileauth.Application{bank}})
	must(t, err)
	must(t, n.apps.Refresh(t.Context()))
	n.view, err = revocation.New(revocation.Config{Log: w.store, Now: w.clock.Now, Logger: logger})
	must(t, err)
	ring, err := keyset.Open(keyset.Config{
		DB: db, Sealer: sealer, Algs: []jose.Algorithm{jose.ES256, jose.RS256}, RotateEvery: 30 * 24 * time.Hour,
		Retain: 48 * time.Hour, Now: w.clock.Now, Logger: logger,
	})
	must(t, err)
	trail, err := audit.New(audit.Config{DB: db, Now: w.clock.Now, Logger: logger})
	must(t, err)
	renderer, err := pages()
	must(t, err)
	n.server, err = server.New(server.Config{
		Issuer: issuer, Audience: []string{api}, Store: w.store, View: n.view, Ring: ring, Clients: clients(t), Engine: w.engine(t),
		Pages: renderer, Trail: trail, Profiles: &identitystore.Profiles{Users: w.users}, Scopes: scopes,
		DefaultScopes: oauth.Scopes{"read"}, RefreshGrace: 10 * time.Second, Now: w.clock.Now, Logger: logger,
		ClientIP: func(r *http.Request) string { return "192.0.2.1" }, Applications: n.apps, Details: w.details,
		Published: published{ring, n}, NonceKey: func() ([]byte, error) { return []byte("thirty-two bytes of another key."), nil },
		Registration: w.registration(db), SharedProofs: true,
	})
	must(t, err)
	must(t, n.server.Start(t.Context()))
	if w.mobile != "" {
		n.phones = w.newPhones(t, n, phones.Parts{DB: db, Sealer: sealer, Ring: ring, Trail: trail, Logger: logger})
	}
	for host, policy := range map[string]validation.Policy{
		web1: {AllScopes: oauth.Scopes{"read"}}, web1 + "/pay": {AllScopes: oauth.Scopes{"pay"}}, api: {AllScopes: oauth.Scopes{"read"}},
		api + "/pay": {AllScopes: oauth.Scopes{"pay"}}, api + "/gold": {ACRValues: []string{"gold"}},
	} {
		rule, err := n.server.Rule(policy)
		must(t, err)
		rule.Tokens, rule.Session = n.server.AccessValidator(), strings.HasPrefix(host, web1)
		rule.DPoP = &validation.DPoP{
			Proofs: n.server.Proofs(), Address: func(r *http.Request) string { return "https://" + r.Host + r.URL.EscapedPath() },
		}
		n.rules[host] = rule
	}
	bound, err := n.server.Rule(validation.Policy{})
	must(t, err)
	bound.Tokens = n.server.AccessValidator()
	bound.Approve = func(r *http.Request, who *validation.Principal) error {
		return approval.Admit(r, w.bound, who, w.store)
	}
	n.rules[api+"/transfers"] = bound
	return n
}

var scopes = oauth.Scopes{"openid", "profile", "email", "offline_access", "read", "pay"}

// engine has a password, and a second factor that is told by the same store of users: whoever knows the word.
func (w *world) engine(t *testing.T) *realm.Engine {
	t.Helper()
	form, err := formauth.New(formauth.Config{})
	must(t, err)
	word, err := formauth.New(formauth.Config{Fields: []realm.Field{{Name: "word", Label: "Word", Type: "text", Required: true}}})
	must(t, err)
	config := realm.Config{
		Realms: []*realm.Realm{
			{Name: "password", Authenticator: form, LoginModule: &identitystore.Module{Users: w.users}, MaxAge: 8 * time.Hour, Audit: true},
			{Name: "word", Authenticator: word, LoginModule: word2{}, MaxAge: 5 * time.Minute, Audit: true},
		},
		Scopes:   map[string][]string{"read": {"password"}, "pay": {"password", "word"}},
		Levels:   []realm.Level{{Name: "gold", Realms: []string{"password", "word"}}},
		Identity: []string{"password"},
	}
	for _, change := range w.model {
		change(w, &config)
	}
	engine, err := realm.New(config)
	must(t, err)
	return engine
}

type word2 struct{}

func (word2) Verify(_ context.Context, c realm.Credentials) (realm.Result, error) {
	if c.Values["word"] != "please" {
		return realm.Result{Status: realm.Refused, Reason: "wrong word"}, nil
	}
	return realm.Result{Status: realm.Accepted, Identity: realm.Identity{Subject: c.Subject, AMR: []string{"kba"}}}, nil
}

func clients(t *testing.T) *authz.Clients {
	t.Helper()
	app := authz.Client{
		ID: "app", Name: "The app", Auth: authz.AuthClientSecretBasic, SecretHashes: []string{randid.Hash(secret)},
		RedirectURIs: []string{callback}, PostLogoutRedirectURIs: []string{"https://app.example.com/bye"},
		Grants: []authz.GrantType{authz.GrantAuthorizationCode, authz.GrantRefreshToken}, Scopes: scopes, Audience: []string{api},
		DetailTypes: []string{"payment", "accounts"},
		FirstParty:  true, AccessTTL: 5 * time.Minute, RefreshTTL: 30 * 24 * time.Hour, RefreshIdleTTL: 14 * 24 * time.Hour,
	}
	other := app
	other.ID, other.Name, other.FirstParty = "other", "Somebody else's app", false
	public := app
	public.ID, public.Auth, public.SecretHashes = "public", authz.AuthNone, nil
	phone := public
	phone.ID, phone.Native, phone.Scopes = "phone", true, slices.Concat(scopes, slices.Sorted(maps.Keys(pairs())))
	machine := app
	machine.ID, machine.Grants, machine.RedirectURIs = "machine", []authz.GrantType{authz.GrantClientCredentials}, nil
	machine.PostLogoutRedirectURIs, machine.Scopes, machine.Introspect = nil, oauth.Scopes{"read"}, true
	machine.DetailTypes = nil
	sites := authz.Sites{Allowed: func(o string) bool { return o == web1 }, Scopes: scopes, Audience: []string{api}}
	registry, err := authz.NewClients(sites, &app, &other, &public, &phone, &machine)
	must(t, err)
	return registry
}

// next is the node whose turn it is.
func (w *world) next() *node { return w.nodes[w.turn.Add(1)%uint64(len(w.nodes))] }

// settle lets every node read the log of revocations, as it does by itself twice a second.
func (w *world) settle(t *testing.T) {
	t.Helper()
	for _, n := range w.nodes {
		must(t, n.view.Refresh(t.Context()))
	}
}

// RoundTrip sends a request to the node whose turn it is: to the issuer, or to a site.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	in := r.Clone(r.Context())
	in.RequestURI, in.Host, in.RemoteAddr = r.URL.RequestURI(), r.URL.Host, "192.0.2.1:1"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	n := w.next()
	origin := r.URL.Scheme + "://" + r.URL.Host
	switch {
	case origin == issuer:
		n.server.ServeHTTP(recorder, in)
	case origin == web1 && strings.HasPrefix(r.URL.Path, authz.PathSite):
		if err := n.server.Gate().ServeOwn(recorder, in, origin); err != nil {
			n.server.RenderError(recorder, in, err)
		}
	case origin == web1 || origin == api:
		n.protect(recorder, in, origin)
		if in.Method == http.MethodPost && recorder.Code == http.StatusOK && in.URL.Path == "/payments" {
			w.paid.Add(1)
		}
	default:
		_, _ = fmt.Fprint(recorder, "the application") // a recorder takes everything
	}
	response := recorder.Result()
	response.Request = r
	return response, nil
}

// protect is a site in front of an upstream that says who is asking.
func (n *node) protect(w http.ResponseWriter, r *http.Request, origin string) {
	rule, ok := n.rules[origin+r.URL.Path]
	if !ok {
		rule = n.rules[origin]
	}
	d := n.server.Gate().Decide(w, r, origin, rule)
	switch {
	case d.Done:
	case d.Err != nil:
		w.Header()["Www-Authenticate"] = d.Challenges
		httpx.Announce(w.Header(), d.Err)
		w.WriteHeader(d.Err.HTTPStatus())
	default:
		_, _ = fmt.Fprintf(w, "hello %s %s", d.Principal.Subject, d.Principal.ACR) // nobody is left to tell
	}
}

// browser is a person's: it keeps cookies, follows redirects and fills in forms, and stops at the application.
type browser struct {
	t      *testing.T
	client *http.Client
}

func (w *world) browser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	must(t, err)
	return &browser{t, &http.Client{Transport: w, Jar: jar}}
}

// page is where a browser has come to.
type page struct {
	url    *url.URL
	status int
	body   string
}

func (b *browser) do(method, target string, form url.Values) page {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, target, body)
	must(b.t, err)
	r.Header.Set("Accept", "text/html")
	r.Header.Set(deviceField, knownDevice)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	response, err := b.client.Do(r)
	must(b.t, err)
	text, err := io.ReadAll(response.Body)
	must(b.t, err)
	return page{response.Request.URL, response.StatusCode, string(text)}
}

func (b *browser) get(target string) page { b.t.Helper(); return b.do(http.MethodGet, target, nil) }

var (
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
	action = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
)

// submit sends the form of a page with what a person adds.
func (b *browser) submit(p page, pairs ...string) page {
	b.t.Helper()
	form := url.Values{}
	for _, field := range hidden.FindAllStringSubmatch(p.body, -1) {
		form.Set(field[1], field[2])
	}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	to := action.FindStringSubmatch(p.body)
	if to == nil {
		b.t.Fatalf("there is no form at %s (%d):\n%s", p.url, p.status, p.body)
	}
	target, err := p.url.Parse(to[1])
	must(b.t, err)
	return b.do(http.MethodPost, target.String(), form)
}

func (b *browser) login(p page) page {
	b.t.Helper()
	return b.submit(p, "username", "alice", "password", password)
}

// authorize begins at an application.
func authorize(client string, more ...string) string {
	query := url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {callback}, "scope": {"openid read"}, "state": {"s"},
		"nonce": {"n"}, "code_challenge": {oauth.Challenge(verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(more); i += 2 {
		query.Set(more[i], more[i+1])
	}
	return issuer + "/authorize?" + query.Encode()
}

// answer is a JSON answer.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (a answer) text(name string) string { text, _ := a.body[name].(string); return text }

// form sends a form of an application, with its secret unless it is public. The parameter ":proof" is a header.
func (w *world) form(t *testing.T, path, client string, pairs ...string) answer {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	proof := form.Get(":proof")
	form.Del(":proof")
	public := client == "public" || client == "phone"
	if public {
		form.Set("client_id", client)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+path, strings.NewReader(form.Encode()))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set(deviceField, knownDevice)
	if proof != "" {
		r.Header.Set("DPoP", proof)
	}
	if !public {
		r.SetBasicAuth(client, secret)
	}
	return w.send(t, r)
}

// call sends a request with a bearer token.
func (w *world) call(t *testing.T, target, token string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	return w.send(t, r)
}

func (w *world) send(t *testing.T, r *http.Request) answer {
	t.Helper()
	response, err := w.RoundTrip(r)
	must(t, err)
	text, err := io.ReadAll(response.Body)
	must(t, err)
	a := answer{status: response.StatusCode, header: response.Header}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		must(t, json.Unmarshal(text, &a.body))
	}
	return a
}

// redeem exchanges the code that a browser has come back with.
func (w *world) redeem(t *testing.T, client string, p page) answer {
	t.Helper()
	return w.form(t, "/token", client, "grant_type", "authorization_code", "code", p.url.Query().Get("code"),
		"redirect_uri", callback, "code_verifier", verifier)
}

func (w *world) refresh(t *testing.T, client, token string, more ...string) answer {
	t.Helper()
	return w.form(t, "/token", client, append([]string{"grant_type", "refresh_token", "refresh_token", token}, more...)...)
}
