// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const (
	alice    = "usr_alice"
	bob      = "usr_bob"
	app      = "app"
	other    = "other"
	redirect = "https://app.example.com/cb"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 Appendix B

	grantTTL   = 30 * 24 * time.Hour
	familyTTL  = 20 * 24 * time.Hour
	familyIdle = 10 * 24 * time.Hour
	sessionTTL = 8 * time.Hour
	idleTTL    = time.Hour
	grace      = 10 * time.Second
)

var scopes = oauth.Scopes{"openid", "accounts:read", "payments:write"}

// world is one store of records and the words in which the tests speak of it. Its helpers end the test when the store errs.
type world struct {
	testing.TB
	clock *storagetest.Clock
	raw   storage.DB // without faults
	db    *storagetest.FaultyDB
	store *authz.Store
	// interrupt, when set, happens once: after the next transition was called and before it runs its closure.
	interrupt func()
}

// interrupted is the store of a world as its records see it.
type interrupted struct {
	storage.DB
	w *world
}

func (i interrupted) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if f := i.w.interrupt; f != nil {
		i.w.interrupt = nil
		f()
	}
	return i.DB.Update(ctx, fn)
}

// engines are the stores the tests run over; the first two are in memory.
var engines = []struct {
	name string
	open func(t testing.TB, now func() time.Time) storage.DB
}{
	{"memory", openMemory},
	{"closures run twice", func(t testing.TB, now func() time.Time) storage.DB {
		return storagetest.Twice(openMemory(t, now), uint64(len(t.Name())))
	}},
	{"badger", func(t testing.TB, now func() time.Time) storage.DB {
		db, err := badgerstore.Open(t.Context(), badgerstore.Config{Dir: t.TempDir(), Now: now, GCEvery: -1, SweepEvery: -1})
		if err != nil {
			t.Fatalf("opening the store: %v", err)
		}
		return db
	}},
}

func openMemory(t testing.TB, now func() time.Time) storage.DB {
	db, err := memstore.Open(memstore.Config{Now: now})
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	return db
}

// inMemory runs a test over the store in memory, once as it is and once with closures that run twice at random.
func inMemory(t *testing.T, test func(*world)) {
	t.Helper()
	over(t, 2, test)
}

// everywhere runs a test over every engine.
func everywhere(t *testing.T, test func(*world)) {
	t.Helper()
	over(t, len(engines), test)
}

func over(t *testing.T, n int, test func(*world)) {
	t.Helper()
	for _, engine := range engines[:n] {
		t.Run(engine.name, func(t *testing.T) {
			t.Parallel()
			clock := storagetest.NewClock()
			w := newWorld(t, clock, engine.open(t, clock.Now))
			test(w)
		})
	}
}

func newWorld(t testing.TB, clock *storagetest.Clock, db storage.DB) *world {
	t.Helper()
	w := &world{TB: t, clock: clock, raw: db, db: storagetest.Faulty(db)}
	t.Cleanup(func() { w.ok(db.Close()) })
	w.store = w.node(clock.Now)
	return w
}

// node returns a store over the same records with a clock of its own, as another process has.
func (w *world) node(now func() time.Time) *authz.Store {
	w.Helper()
	return w.records(interrupted{w.db, w}, now)
}

// over returns a store of the same records that goes through db.
func (w *world) over(db storage.DB) *authz.Store {
	w.Helper()
	return w.records(db, w.clock.Now)
}

func (w *world) records(db storage.DB, now func() time.Time) *authz.Store {
	w.Helper()
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	w.ok(err)
	store, err := authz.NewStore(db, sealer, now)
	w.ok(err)
	return store
}

// solo returns a world in memory for tests that look at one moment only.
func solo(t testing.TB) *world {
	t.Helper()
	clock := storagetest.NewClock()
	return newWorld(t, clock, openMemory(t, clock.Now))
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("unexpected error: %v", err)
	}
}

// wantError checks an error by identity.
func (w *world) wantError(what string, got, want error) {
	w.Helper()
	if !errors.Is(got, want) {
		w.Errorf("%s: error is %v, want %v", what, got, want)
	}
}

// second drops what came beside an error.
func second[T any](_ T, err error) error { return err }

// equal compares two comparable values.
func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// after moves the clock.
func (w *world) after(d time.Duration) { w.clock.Advance(d) }

// sign opens a session of a user and returns it with its cookie.
func (w *world) sign(subject string) (authz.Session, authz.Handle) {
	w.Helper()
	session, handle := w.draft(subject)
	w.ok(w.store.OpenSession(w.Context(), session, nil))
	return session, handle
}

// moment returns the present one, whatever fails.
func (w *world) moment() authz.Moment {
	w.Helper()
	m, err := w.over(w.raw).Moment(w.Context())
	w.ok(err)
	return m
}

// draft returns a session that is not stored yet, of a login that begins now.
func (w *world) draft(subject string) (authz.Session, authz.Handle) {
	w.Helper()
	now := w.store.Now()
	handle := authz.NewSessionHandle()
	return authz.Session{
		ID: handle.ID, SecretHash: randid.Hash(handle.Secret), Subject: subject, Name: strings.TrimPrefix(subject, "usr_"),
		Proofs:    realm.Proofs{"password": {Realm: "password", Subject: subject, AMR: []string{"pwd"}, Time: now}},
		UserAgent: "a browser", ClientIP: "192.0.2.1",
		CreatedAt: now, Cutoffs: w.moment().Cutoffs, SeenAt: now, ExpiresAt: now.Add(sessionTTL), IdleTTL: authz.Seconds(idleTTL / time.Second),
	}, handle
}

// completion returns what ends an authorization of the app in a session: a code and its record in a grant.
func (w *world) completion(session authz.Session, change ...func(*authz.Completion)) (string, authz.Completion) {
	now := w.store.Now()
	code, record := authz.NewCode(now)
	c := authz.Completion{Grant: authz.NewGrant(now, grantTTL), Code: record}
	c.Grant.ClientID, c.Grant.Subject, c.Grant.SessionID, c.Grant.Scopes = app, session.Subject, session.ID, scopes
	c.Grant.Authn = realm.Authentication{
		Subject: session.Subject, ACR: "password", AMR: []string{"pwd"}, AuthTime: now, Realms: map[string]time.Time{"password": now},
	}
	for _, f := range change {
		f(&c)
	}
	c.Code.ClientID, c.Code.RedirectURI, c.Code.GrantID = c.Grant.ClientID, redirect, c.Grant.ID
	c.Code.Challenge, c.Code.Nonce = oauth.Challenge(verifier), "n"
	return code, c
}

func offline(c *authz.Completion) { c.Grant.Offline = true }

func of(client string) func(*authz.Completion) {
	return func(c *authz.Completion) { c.Grant.ClientID = client }
}

// authorize ends an authorization with a code.
func (w *world) authorize(session authz.Session, change ...func(*authz.Completion)) (code string, grant authz.Grant) {
	w.Helper()
	code, c := w.completion(session, change...)
	w.ok(second(w.store.Complete(w.Context(), c)))
	return code, c.Grant
}

// authorized is a code for a session of alice that nobody asks about, and its grant.
func (w *world) authorized(change ...func(*authz.Completion)) (code string, grant authz.Grant) {
	w.Helper()
	session, _ := w.sign(alice)
	return w.authorize(session, change...)
}

// redemption is the right presentation of a code by the app, with a refresh family.
func (w *world) redemption(code string) authz.Redemption {
	family := authz.NewFamily(w.store.Now(), familyTTL, familyIdle)
	return authz.Redemption{Code: code, ClientID: app, RedirectURI: redirect, Verifier: verifier, Family: &family}
}

// redeem presents a code and checks the outcome.
func (w *world) redeem(in authz.Redemption, want authz.RedeemOutcome) authz.RedeemResult {
	w.Helper()
	result, err := w.store.Redeem(w.Context(), in)
	w.ok(err)
	equal(w, "outcome of the redemption", result.Outcome, want)
	return result
}

// line begins a line of refresh tokens: it logs in, authorizes and redeems, and returns the grant and the first token.
func (w *world) line(session authz.Session, change ...func(*authz.Completion)) (authz.Grant, string) {
	w.Helper()
	code, grant := w.authorize(session, change...)
	in := w.redemption(code)
	in.ClientID = grant.ClientID
	w.redeem(in, authz.Redeemed)
	return grant, in.Family.Token()
}

// started is a line in a session of alice that nobody asks about.
func (w *world) started(change ...func(*authz.Completion)) (authz.Grant, string) {
	w.Helper()
	session, _ := w.sign(alice)
	return w.line(session, change...)
}

// refresh presents a refresh token of the app and checks the outcome.
func (w *world) refresh(token string, want authz.RefreshOutcome, change ...func(*authz.Renewal)) authz.RefreshResult {
	w.Helper()
	in := authz.Renewal{Token: token, ClientID: app, Grace: grace}
	for _, f := range change {
		f(&in)
	}
	result, err := w.store.Refresh(w.Context(), in)
	w.ok(err)
	equal(w, "outcome of the refresh", result.Outcome, want)
	return result
}

// wantActive checks whether a grant is active.
func (w *world) wantActive(grant authz.Grant, want bool) {
	w.Helper()
	_, err := w.store.Grant(w.Context(), grant.ID)
	if want {
		w.ok(err)
		return
	}
	w.wantError("reading an ended grant", err, storage.ErrNotFound)
}

// wantRevoked checks a list of revocations of one kind by their targets.
func (w *world) wantRevoked(got []authz.Revocation, kind authz.Kind, targets ...string) {
	w.Helper()
	if len(got) != len(targets) {
		w.Fatalf("revocations are %+v, want %d of kind %s", got, len(targets), kind)
	}
	for i, r := range got {
		equal(w, "kind of the revocation", r.Kind, kind)
		equal(w, "target of the revocation", r.Target, targets[i])
	}
}

// log returns the whole log of revocations.
func (w *world) log() []authz.Revocation {
	w.Helper()
	all, err := w.store.RevocationsSince(w.Context(), time.Time{})
	w.ok(err)
	return all
}

// crowd is how many goroutines race for one thing.
const crowd = 50

// race lets a crowd do the same at once and returns what the winners returned: everybody who got neither nothing nor an
// error. An error ends the test.
func race[T comparable](w *world, do func(i int) (T, error)) []T {
	w.Helper()
	var (
		nothing T
		start   = make(chan struct{})
		group   sync.WaitGroup
		results = make([]T, crowd)
		errs    = make([]error, crowd)
	)
	for i := range crowd {
		group.Go(func() {
			<-start
			results[i], errs[i] = do(i)
		})
	}
	close(start)
	group.Wait()
	w.ok(errors.Join(errs...))
	return slices.DeleteFunc(results, func(r T) bool { return r == nothing })
}

// guest is an authenticator and a login module that nobody asks here.
type guest struct{}

func (guest) Collect(context.Context, realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return realm.Credentials{}, nil, nil
}

func (guest) Verify(context.Context, realm.Credentials) (realm.Result, error) {
	return realm.Result{}, nil
}

// newEngine has the realms password and card, which determine the user, phone and app; silver is password and phone, gold
// is all but the card.
func newEngine(t testing.TB) *realm.Engine {
	t.Helper()
	define := func(name string, age time.Duration) *realm.Realm {
		return &realm.Realm{Name: name, Authenticator: guest{}, LoginModule: guest{}, MaxAge: age}
	}
	engine, err := realm.New(realm.Config{
		Realms: []*realm.Realm{
			define("password", 8*time.Hour), define("card", time.Hour), define("phone", 5*time.Minute), define("app", time.Hour),
		},
		Levels: []realm.Level{
			{Name: "silver", Realms: []string{"password", "phone"}},
			{Name: "gold", Realms: []string{"password", "phone", "app"}},
		},
		Identity: []string{"password", "card"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return engine
}
