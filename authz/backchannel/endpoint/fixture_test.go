// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backchannel"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/endpoint"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/notice"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/reading"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/terms"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/authz/grants"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const (
	issuer = "https://auth.example.com"
	secret = "s3cret"
	alice  = "usr_alice"
	// notified is a client_notification_token.
	notified = "8d67dc78-7faa-4d41-aabd-67707b374255"
)

// guest stands for the guests of a realm: nobody tries it here.
type guest struct {
	realm.Authenticator
	realm.LoginModule
}

// phone is a phone whose person does what the test says.
type phone struct {
	clock *storagetest.Clock

	mu        sync.Mutex
	questions []backchannel.Question
	answers   map[string]backchannel.Answer // by operation
	cancelled []string
	looks     int
	unasked   string // the reason why nobody is asked
	failing   error
}

func (p *phone) Ask(_ context.Context, q backchannel.Question) (backchannel.Asked, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.questions = append(p.questions, q)
	if p.failing != nil {
		return backchannel.Asked{}, p.failing
	}
	asked := backchannel.Asked{Number: "42"}
	if q.NoNumber {
		asked.Number = ""
	}
	if q.Subject == "" || p.unasked != "" {
		asked.Reason = p.unasked
		return asked, backchannel.ErrUnasked
	}
	asked.Operation = "op_" + q.Request
	p.answers[asked.Operation] = backchannel.Answer{State: backchannel.Waiting}
	return asked, nil
}

func (p *phone) Status(_ context.Context, operation, request, _ string) (backchannel.Answer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looks++
	if p.failing != nil {
		return backchannel.Answer{}, p.failing
	}
	if operation == "" {
		return backchannel.Answer{}, errors.New("nothing is looked for")
	}
	a, there := p.answers[operation]
	if !there {
		return backchannel.Answer{State: backchannel.Failed, Reason: "gone"}, nil
	}
	if operation != "op_"+request {
		return backchannel.Answer{}, errors.New("the operation is another request's")
	}
	return a, nil
}

func (p *phone) Cancel(_ context.Context, operation, _ string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancelled = append(p.cancelled, operation)
	return nil
}

// answer lets the person answer the last question.
func (p *phone) answer(a backchannel.Answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.State == backchannel.Approved && a.Subject == "" {
		a.Subject, a.Name, a.AMR, a.Device, a.At = alice, "Alice", []string{"pop", "pin", "mfa"}, "dev_1", p.clock.Now()
	}
	p.answers["op_"+p.questions[len(p.questions)-1].Request] = a
}

func (p *phone) approve() { p.answer(backchannel.Answer{State: backchannel.Approved}) }

func (p *phone) last(t *testing.T) backchannel.Question {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.questions) == 0 {
		t.Fatal("nobody was asked")
	}
	return p.questions[len(p.questions)-1]
}

// people knows Alice, by her login name, her address and her id.
type people struct{}

func (people) Find(_ context.Context, h reading.Hint) (string, error) {
	switch h {
	case reading.Hint{Kind: reading.ByLogin, Value: "alice"}, reading.Hint{Kind: reading.BySubject, Value: alice},
		reading.Hint{Kind: reading.ByEmail, Value: "alice@example.com"}, reading.Hint{Kind: reading.ByLogin, Value: alice}:
		return alice, nil
	case reading.Hint{Kind: reading.ByLogin, Value: "broken"}:
		return "", storage.ErrUnavailable
	}
	return "", nil
}

func (people) Spelling(h reading.Hint) string { return strings.ToLower(strings.TrimSpace(h.Value)) }

// codes knows Alice's.
type codes struct{}

func (codes) Verify(_ context.Context, subject string, _ reading.Hint, code string) (bool, error) {
	return subject == alice && code == "hush", nil
}

// ring is two keys: the issuer's, and the clients'.
type ring struct{ own, client jose.PrivateKey }

var keys = sync.OnceValues(func() (r ring, err error) {
	if r.own, err = jose.GenerateKey(jose.ES256); err == nil {
		r.client, err = jose.GenerateKey(jose.ES256)
	}
	return r, err
})

func (r ring) Signer() (jose.PrivateKey, error)                   { return r.own, nil }
func (r ring) SignerFor(jose.Algorithm) (jose.PrivateKey, error)  { return r.own, nil }
func (r ring) Key(context.Context, string) (jose.PublicKey, bool) { return r.own.Public(), true }

// world is an issuer with clients of every kind.
type world struct {
	*testing.T
	clock   *storagetest.Clock
	db      *storagetest.FaultyDB
	commits atomic.Int64
	store   *authz.Store
	asked   *backchannel.Store
	phone   *phone
	ring    ring
	outbox  *outbox.Outbox
	notices *notice.Sender
	issuing *tokens.Issuer
	terms   map[string]*terms.Terms
	tellers *httptest.Server // the notification endpoint of every client

	ask, token http.Handler

	mu    sync.Mutex
	told  []told
	reply int
	heard chan struct{} // has something for each call of the notification endpoint
}

// counting counts what is committed.
type counting struct {
	storage.DB
	commits *atomic.Int64
}

func (c *counting) Update(ctx context.Context, fn func(storage.Tx) error) error {
	err := c.DB.Update(ctx, fn)
	if err == nil {
		c.commits.Add(1)
	}
	return err
}

// told is one call of the notification endpoint.
type told struct {
	header http.Header
	body   string
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, clock: storagetest.NewClock(), reply: http.StatusNoContent, heard: make(chan struct{}, 1000)}
	db, err := memstore.Open(memstore.Config{Now: w.clock.Now})
	check(t, err)
	w.db = storagetest.Faulty(&counting{db, &w.commits})
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	check(t, err)
	w.store, err = authz.NewStore(w.db, sealer, w.clock.Now)
	check(t, err)
	w.ring, err = keys()
	check(t, err)
	trail, err := audit.New(audit.Config{DB: w.db, Logger: slog.New(slog.DiscardHandler), Now: w.clock.Now})
	check(t, err)
	w.outbox, err = outbox.New(outbox.Config{DB: w.db, Sealer: sealer, Now: w.clock.Now, Logger: slog.New(slog.DiscardHandler)})
	check(t, err)
	w.phone = &phone{clock: w.clock, answers: map[string]backchannel.Answer{}}
	w.tellers = httptest.NewServer(http.HandlerFunc(w.hear))
	t.Cleanup(w.tellers.Close)
	engine := newEngine(t)
	w.asked, err = backchannel.NewStore(backchannel.Config{
		DB: w.outbox.Waking(w.db), Sealer: sealer, Grants: w.store, Engine: engine, Phone: w.phone, Outbox: w.outbox, Trail: trail,
		Revoke: func(...authz.Revocation) {},
	})
	check(t, err)
	w.issuing, err = tokens.New(tokens.Config{Issuer: issuer, Keys: w.ring, Now: w.clock.Now})
	check(t, err)
	registry, err := authz.NewClients(authz.Sites{}, w.clients()...)
	check(t, err)
	auth := &clientauth.Authenticator{Clients: registry, Store: w.store, Issuer: issuer, Now: w.clock.Now}
	w.ask, err = endpoint.New(endpoint.Config{
		Clients: auth, Store: w.asked, People: people{}, Codes: codes{}, Now: w.store.Now, Logger: slog.New(slog.DiscardHandler),
		Reader: &reading.Reader{
			Issuer: issuer, Engine: engine, Realms: []string{"phone", "other_phone"}, Terms: w.terms, Once: w.store, Now: w.clock.Now,
			Hints: &tokens.Hints{Issuer: issuer, Key: w.ring.Key},
		},
		ScopeText: func(scope string) string { return "may " + scope },
	})
	check(t, err)
	face, err := grants.New(grants.Config{
		Clients: auth, Store: w.store, Tokens: w.issuing, Trail: trail, Now: w.clock.Now, Logger: slog.New(slog.DiscardHandler),
		Revoke: func(...authz.Revocation) {}, Backchannel: endpoint.Grant{Store: w.asked},
	})
	check(t, err)
	w.token = face
	w.notices, err = notice.New(notice.Config{
		Store: w.asked, Clients: registry.Find, Terms: w.terms, Tokens: face, Key: w.ring.Signer, Now: w.store.Now,
	})
	check(t, err)
	return w
}

// newEngine returns realms of which two are phones. One determines the user and comes second; "gold" needs more than a phone.
func newEngine(t testing.TB, change ...func(*realm.Config)) *realm.Engine {
	t.Helper()
	of := func(name string, age time.Duration) *realm.Realm {
		return &realm.Realm{Name: name, Authenticator: guest{}, LoginModule: guest{}, MaxAge: age}
	}
	config := realm.Config{
		Realms: []*realm.Realm{of("password", time.Hour), of("phone", 5*time.Minute), of("other_phone", time.Minute), of("extra", time.Hour)},
		Scopes: map[string][]string{
			"accounts:read": {"phone"}, "payments:write": {"password", "phone"}, "vault": {"extra"}, "fresh": {"other_phone"},
		},
		Levels:   []realm.Level{{Name: "silver", Realms: []string{"phone"}}, {Name: "gold", Realms: []string{"password", "phone"}}},
		Identity: []string{"password", "phone", "other_phone"},
	}
	for _, f := range change {
		f(&config)
	}
	engine, err := realm.New(config)
	check(t, err)
	return engine
}

// clients are one for each mode and each requirement. Each has terms but the last ones.
func (w *world) clients() (all []*authz.Client) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	w.terms = map[string]*terms.Terms{
		"poll": {Mode: terms.Poll}, "party": {Mode: terms.Poll}, "coded": {Mode: terms.Poll, UserCode: true},
		"plain": {Mode: terms.Poll, NoNumber: true}, "teller": {Mode: terms.Poll, TellUnknown: true},
		"ping": {Mode: terms.Ping, Endpoint: w.tellers.URL, Allow: loopback}, "push": {Mode: terms.Push, Endpoint: w.tellers.URL, Allow: loopback},
		"signer": {Mode: terms.Poll, Signed: jose.ES256}, "free": {Mode: terms.Poll, HintIssuers: map[string][]jose.PublicKey{
			"https://hints.example.com": {w.ring.own.Public()},
		}},
	}
	for _, id := range []string{"poll", "party", "coded", "plain", "teller", "ping", "push", "signer", "free", "web", "unregistered"} {
		c := &authz.Client{
			ID: id, Name: "Name of " + id, Auth: authz.AuthClientSecretBasic, SecretHashes: []string{randid.Hash(secret)},
			Grants: []authz.GrantType{authz.GrantCIBA, authz.GrantRefreshToken}, FirstParty: id != "party",
			Scopes:   oauth.Scopes{"openid", "profile", "offline_access", "accounts:read", "payments:write", "vault", "fresh"},
			Audience: []string{"https://api.example.com"}, AccessTTL: 5 * time.Minute, RefreshTTL: time.Hour, RefreshIdleTTL: time.Hour,
		}
		switch id {
		case "signer", "free":
			c.Auth, c.SecretHashes, c.Keys = authz.AuthPrivateKeyJWT, nil, []jose.PublicKey{w.ring.client.Public()}
		case "web":
			c.Grants, c.RedirectURIs = []authz.GrantType{authz.GrantAuthorizationCode}, []string{"https://web.example.com/cb"}
		}
		all = append(all, c)
	}
	return all
}

func (w *world) hear(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what was read is compared
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, told{r.Header.Clone(), string(body)})
	if w.reply == http.StatusFound {
		rw.Header().Set("Location", w.tellers.URL+"/elsewhere")
	}
	rw.WriteHeader(w.reply)
	w.heard <- struct{}{}
}

// run has the outbox deliver until the test ends.
func (w *world) run() {
	ctx, cancel := context.WithCancel(w.Context())
	stop := w.notices.Handle(w.outbox)
	var loop sync.WaitGroup
	loop.Go(func() { w.outbox.Run(ctx) })
	w.Cleanup(func() {
		cancel()
		loop.Wait()
		stop()
	})
}

// ended is what the mobile side does when the last question has ended: it has the request looked at.
func (w *world) ended() {
	w.Helper()
	request := w.phone.last(w.T).Request
	item, err := backchannel.Item(request, "op_"+request+".ended", w.clock.Now())
	check(w.T, err)
	check(w.T, w.outbox.Waking(w.db).Update(w.Context(), func(tx storage.Tx) error { return w.outbox.Append(tx, item) }))
}

// hears returns the next call of the notification endpoint.
func (w *world) hears() told {
	w.Helper()
	select {
	case <-w.heard:
	case <-w.Context().Done():
		w.Fatal("the client is told nothing")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told[len(w.told)-1]
}

// answer is what either endpoint says.
type answer struct {
	status      int
	header      http.Header
	raw         string
	AuthReqID   string `json:"auth_req_id"`
	ExpiresIn   int    `json:"expires_in"`
	Interval    int    `json:"interval"`
	Number      string `json:"number"`
	Access      string `json:"access_token"`
	Refresh     string `json:"refresh_token"`
	ID          string `json:"id_token"`
	Scope       string `json:"scope"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// post sends a form as a client; parameters come in pairs, and one with an empty value is left out.
func (w *world) post(h http.Handler, client string, form url.Values) (a answer) {
	w.Helper()
	r := httptest.NewRequestWithContext(w.Context(), http.MethodPost, "/", nil)
	switch client {
	case "":
	case "signer", "free":
		form.Set("client_assertion_type", clientauth.AssertionType)
		form.Set("client_assertion", w.sign(map[string]any{
			"iss": client, "sub": client, "aud": issuer, "exp": w.clock.Now().Add(time.Minute).Unix(), "jti": randid.New("j"),
		}))
	default:
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(client+":"+secret)))
	}
	r.Body = io.NopCloser(strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r = r.WithContext(httpx.WithCaller(r.Context(), httpx.Caller{ClientIP: "192.0.2.1", RequestID: "rq_1"}))
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	a = answer{status: recorder.Code, header: recorder.Header(), raw: recorder.Body.String()}
	if err := json.Unmarshal(recorder.Body.Bytes(), &a); err != nil {
		w.Fatalf("%d, not JSON: %q", a.status, a.raw)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		w.Errorf("the answer may be kept: %v", a.header)
	}
	return a
}

func (w *world) sign(claims map[string]any) string {
	w.Helper()
	payload, err := json.Marshal(claims)
	check(w.T, err)
	token, err := jose.Sign(w.ring.client, "JWT", payload)
	check(w.T, err)
	return token
}

func values(pairs ...string) url.Values {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			form.Del(pairs[i])
		}
	}
	return form
}

// begin asks Alice for a client, whose usual parameters the pairs replace.
func (w *world) begin(client string, pairs ...string) answer {
	w.Helper()
	return w.post(w.ask, client, values(append([]string{
		"scope", "openid accounts:read", "login_hint", "alice", "client_notification_token", notified, "binding_message", "W4SCT",
	}, pairs...)...))
}

// fetch polls.
func (w *world) fetch(client, id string) answer {
	w.Helper()
	return w.post(w.token, client, values("grant_type", string(authz.GrantCIBA), "auth_req_id", id))
}

// wait lets the interval pass.
func (w *world) wait() { w.clock.Advance(backchannel.Interval) }

func (w *world) claims(token string) map[string]any {
	w.Helper()
	parsed, err := jose.Parse(token)
	check(w.T, err)
	check(w.T, parsed.Verify(w.ring.own.Public()))
	var claims map[string]any
	check(w.T, parsed.Claims(&claims))
	return claims
}

func (a answer) ok(t *testing.T) answer {
	t.Helper()
	if a.status != http.StatusOK || a.Error != "" {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	return a
}

func (a answer) refused(t *testing.T, status int, code string) {
	t.Helper()
	if a.status != status || a.Error != code || a.Access+a.AuthReqID+a.ID+a.Refresh != "" {
		t.Fatalf("%d %s, want %d %s", a.status, a.raw, status, code)
	}
}

// Guards.
var (
	_ backchannel.Phone = (*phone)(nil)
	_ endpoint.People   = people{}
	_ endpoint.Codes    = codes{}
	_ tokens.Keys       = ring{}
)
