// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const issuer = "https://auth.example.com"

// world is a session manager over a store in memory, and what it told the gates.
type world struct {
	*session.Manager
	clock   *storagetest.Clock
	store   *authz.Store
	faults  *storagetest.FaultyDB
	revoked []authz.Revocation
	// beforeUpdate runs once, before the next transaction that writes.
	beforeUpdate func()
}

// hooked lets something happen between a read and the write that rests on it.
type hooked struct {
	storage.DB
	world *world
}

func (h *hooked) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if hook := h.world.beforeUpdate; hook != nil {
		h.world.beforeUpdate = nil
		hook()
	}
	return h.DB.Update(ctx, fn)
}

func newWorld(t *testing.T, change func(*session.Config)) *world {
	t.Helper()
	w := &world{clock: storagetest.NewClock()}
	db, err := memstore.Open(memstore.Config{Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	w.faults = storagetest.Faulty(storagetest.Twice(db, 1))
	w.store = newStore(t, &hooked{DB: w.faults, world: w}, w.clock)
	config := session.Config{
		Store: w.store, Issuer: issuer,
		Apply: func(made ...authz.Revocation) { w.revoked = append(w.revoked, made...) },
	}
	if change != nil {
		change(&config)
	}
	if w.Manager, err = session.New(config); err != nil {
		t.Fatal(err)
	}
	return w
}

func newStore(t *testing.T, db storage.DB, clock *storagetest.Clock) *authz.Store {
	t.Helper()
	sealer, err := seal.New(seal.Key{ID: "test", Secret: []byte("a key of thirty-two bytes, 123456")[:32]})
	if err != nil {
		t.Fatal(err)
	}
	store, err := authz.NewStore(db, sealer, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// visit is a request that carries the given cookies.
func visit(t *testing.T, cookies ...*http.Cookie) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, issuer+"/login", nil)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r.WithContext(httpx.WithCaller(r.Context(), httpx.Caller{ClientIP: "192.0.2.7"}))
}

// login establishes a proof and returns the session and the cookie that names it.
func (w *world) login(t *testing.T, proof realm.Proof, cookies ...*http.Cookie) (authz.Session, *http.Cookie) {
	t.Helper()
	rec := httptest.NewRecorder()
	s, err := w.Establish(rec, visit(t, cookies...), w.now(t, proof))
	if err != nil {
		t.Fatal(err)
	}
	set := rec.Result().Cookies()
	if len(set) != 1 {
		t.Fatalf("Establish set %d cookies, want the session cookie", len(set))
	}
	return s, set[0]
}

// current returns the id of the session that the cookies name, or nothing.
func (w *world) current(t *testing.T, cookies ...*http.Cookie) string {
	t.Helper()
	s, ok, err := w.Current(visit(t, cookies...))
	if err != nil {
		t.Fatal(err)
	}
	if ok != (s.ID != "") {
		t.Fatalf("Current reports %v with session %q", ok, s.ID)
	}
	return s.ID
}

// now is a login that begins at this moment.
func (w *world) now(t *testing.T, proof realm.Proof) session.Login {
	t.Helper()
	m, err := w.store.Moment(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return session.Login{Proof: proof, Began: m}
}

func (w *world) proof(name, subject string) realm.Proof {
	return realm.Proof{Realm: name, Subject: subject, Name: strings.ToUpper(subject), AMR: []string{"pwd"}, Time: w.clock.Now()}
}

// browser gives a browser its cookie.
func (w *world) browser(t *testing.T) (session.Browser, *http.Cookie) {
	t.Helper()
	rec := httptest.NewRecorder()
	b := w.EnsureBrowser(rec, visit(t))
	set := rec.Result().Cookies()
	if len(set) != 1 {
		t.Fatalf("EnsureBrowser set %d cookies, want 1", len(set))
	}
	return b, set[0]
}
