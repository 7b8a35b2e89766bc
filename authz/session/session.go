// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Defaults of [Config].
const (
	DefaultLifetime = 24 * time.Hour
	DefaultIdle     = 8 * time.Hour
)

// maxUserAgent bounds what is kept of a browser's description of itself.
const maxUserAgent = 256

// ErrNobody says that a proof that names no user was given where nobody is signed in. It is a [storage.ErrNotFound].
var ErrNobody = fmt.Errorf("nobody is signed in: %w", storage.ErrNotFound)

// Config describes a [Manager]. Store and Issuer are required.
type Config struct {
	Store  *authz.Store
	Issuer string
	// Lifetime is how long a session lasts after its last login. Default: [DefaultLifetime].
	Lifetime time.Duration
	// Idle is how long it lasts without being used. Default: [DefaultIdle].
	Idle time.Duration
	// Apply is told of the revocations that a login makes by ending the browser's session of another user, so that this
	// node's gates know before the answer is sent. Nil tells nobody.
	Apply func(...authz.Revocation)
}

// Manager reads and writes the cookies of one issuer. It keeps nothing in memory and is safe for concurrent use.
type Manager struct {
	store    *authz.Store
	base     string
	jar      jar
	lifetime time.Duration
	idle     time.Duration
	apply    func(...authz.Revocation)
}

// New returns a manager. It reads and writes nothing yet.
func New(c Config) (*Manager, error) {
	if c.Store == nil {
		return nil, errors.New("building the session manager: a store is required")
	}
	if err := oauth.CheckIssuer(c.Issuer); err != nil {
		return nil, fmt.Errorf("building the session manager: issuer %q: %w", c.Issuer, err)
	}
	if c.Lifetime < 0 || c.Idle < 0 {
		return nil, errors.New("building the session manager: a lifetime is negative")
	}
	m := &Manager{store: c.Store, base: authz.BasePath(c.Issuer), jar: newJar(c.Issuer), lifetime: c.Lifetime, idle: c.Idle, apply: c.Apply}
	if m.lifetime == 0 {
		m.lifetime = DefaultLifetime
	}
	if m.idle == 0 {
		m.idle = min(DefaultIdle, m.lifetime)
	}
	if m.apply == nil {
		m.apply = func(...authz.Revocation) {}
	}
	return m, nil
}

// Current returns the live session that the request's cookie names; false when there is none. A malformed cookie, a wrong
// secret and an ended session are the same: nobody is signed in.
func (m *Manager) Current(r *http.Request) (authz.Session, bool, error) {
	handle, ok := m.handle(r)
	if !ok {
		return authz.Session{}, false, nil
	}
	s, err := m.store.SessionByHandle(r.Context(), handle)
	if errors.Is(err, storage.ErrNotFound) {
		return authz.Session{}, false, nil
	}
	return s, err == nil, err
}

// handle returns what the request's cookie holds; nothing and false when that is malformed.
func (m *Manager) handle(r *http.Request) (authz.Handle, bool) {
	handle, ok := authz.ParseSessionHandle(m.jar.value(r, m.jar.session))
	if !ok {
		return authz.Handle{}, false
	}
	return handle, true
}

// Visit returns the open request with the given id that this browser began, together with its session, as [Manager.Current] does, and
// the moment. It refuses with [authz.ErrRequestEnded] or [ErrOtherBrowser].
func (m *Manager) Visit(r *http.Request, id string) (authz.Visit, error) {
	if !PlausibleRequest(id) {
		return authz.Visit{}, authz.ErrRequestEnded
	}
	handle, _ := m.handle(r)
	v, err := m.store.Visit(r.Context(), id, handle.ID)
	switch {
	case err != nil:
		return authz.Visit{}, fmt.Errorf("reading the request: %w", err)
	case v.Request.ID == "":
		return authz.Visit{}, authz.ErrRequestEnded
	case !v.Request.BelongsTo(m.Browser(r).Hash()):
		return authz.Visit{}, ErrOtherBrowser
	case v.Session.ID == "" || !handle.Opens(v.Session.SecretHash):
		v.Session = authz.Session{}
		return v, nil
	}
	if v.Session, err = m.store.Touch(r.Context(), v.Session); err != nil && !authz.Gone(err) {
		return authz.Visit{}, fmt.Errorf("touching the session: %w", err)
	}
	return v, nil
}

// PlausibleRequest reports whether a text could be a request's id, so that nothing else becomes a key of the store.
func PlausibleRequest(id string) bool {
	return strings.HasPrefix(id, "req_") && len(id) <= 64
}

// Login is what establishes a session.
type Login struct {
	Proof realm.Proof
	// Earlier are proofs from before anybody was known. They name nobody, and go into the session with the other.
	Earlier realm.Proofs
	// Began is the moment at which the proof began to be judged, or any before it: see [authz.Store.Moment].
	Began authz.Moment
	// Within puts the login on the audit trail.
	Within authz.Within
}

// proofs returns all of them.
func (l *Login) proofs() realm.Proofs {
	all := maps.Clone(l.Earlier)
	if all == nil {
		all = realm.Proofs{}
	}
	all[l.Proof.Realm] = l.Proof
	return all
}

// Establish puts a proof into the browser's session and writes its new cookie. A user who was signed in keeps the session
// and gets a new secret; anybody else gets a new session, which counts from the moment at which proving began, and the one
// that the browser had ends with it. [ErrNobody] is returned for a proof that names no user when nobody is signed in, which
// also is the case when the session ended meanwhile; [authz.ErrOvertaken] when the user was revoked since that moment.
func (m *Manager) Establish(w http.ResponseWriter, r *http.Request, login Login) (authz.Session, error) {
	proof := login.Proof
	current, live, err := m.Current(r)
	if err != nil {
		return authz.Session{}, fmt.Errorf("reading the session: %w", err)
	}
	handle := authz.Handle{ID: current.ID, Secret: randid.Secret()}
	if live && (proof.Subject == "" || proof.Subject == current.Subject) {
		raised, err := m.raise(r.Context(), handle, login)
		if err == nil {
			m.jar.set(w, m.jar.session, handle.String())
			return raised, nil
		}
		if !errors.Is(err, storage.ErrNotFound) {
			return authz.Session{}, fmt.Errorf("raising the session: %w", err)
		}
	}
	if proof.Subject == "" {
		return authz.Session{}, ErrNobody
	}
	handle = authz.NewSessionHandle()
	opened := m.draft(r, handle, login)
	if err := m.open(r.Context(), current.ID, opened, login.Within); err != nil {
		return authz.Session{}, fmt.Errorf("opening a session: %w", err)
	}
	m.jar.set(w, m.jar.session, handle.String())
	return opened, nil
}

// raise begins a new term when the proof names the user: that was a login, not a further check.
func (m *Manager) raise(ctx context.Context, handle authz.Handle, login Login) (authz.Session, error) {
	change := authz.Raise{
		SessionID: handle.ID, Proof: login.Proof, Earlier: login.Earlier, SecretHash: handle.Hash(), Within: login.Within,
	}
	if login.Proof.Subject != "" {
		change.ExpiresAt = m.store.Now().Add(m.lifetime)
	}
	return m.store.RaiseSession(ctx, change)
}

// TakeOver puts the browser of a request into the session that an app offers to it, and writes its cookie. Whatever session it had
// before ends, and whoever had a cookie of this one has none any more. [storage.ErrNotFound] means that the offer is gone.
func (m *Manager) TakeOver(w http.ResponseWriter, r *http.Request, request string) (authz.Session, error) {
	current, _, err := m.Current(r)
	if err != nil {
		return authz.Session{}, fmt.Errorf("reading the session: %w", err)
	}
	handle := authz.NewSessionHandle()
	taken, ended, err := m.store.TakeOver(r.Context(), authz.Takeover{
		RequestID: request, Browser: m.Browser(r).Hash(), SecretHash: handle.Hash(), Current: current.ID,
	})
	m.apply(ended...)
	if err != nil {
		return authz.Session{}, fmt.Errorf("taking a session over: %w", err)
	}
	handle.ID = taken.ID
	m.jar.set(w, m.jar.session, handle.String())
	return taken, nil
}

// Draw describes the session that begins with a login without a browser, as that of a native app: there is no cookie for it,
// and nobody knows its secret.
func (m *Manager) Draw(r *http.Request, login Login) authz.Session {
	return m.draft(r, authz.NewSessionHandle(), login)
}

// Prove puts a proof of a native app where it belongs, as [authz.Store.ProveNative] does. Where that ends the session of another
// user, the gates are told.
func (m *Manager) Prove(ctx context.Context, proof authz.NativeProof) (authz.Session, error) {
	proven, ended, err := m.store.ProveNative(ctx, proof)
	m.apply(ended...)
	return proven, err
}

// draft describes the session that begins with a login.
func (m *Manager) draft(r *http.Request, handle authz.Handle, login Login) authz.Session {
	now := m.store.Now()
	return authz.Session{
		ID:         handle.ID,
		SecretHash: handle.Hash(),
		Subject:    login.Proof.Subject,
		Name:       login.Proof.Name,
		Proofs:     login.proofs(),
		UserAgent:  userAgent(r),
		ClientIP:   httpx.CallerOf(r.Context()).ClientIP,
		CreatedAt:  login.Began.At,
		Cutoffs:    login.Began.Cutoffs,
		SeenAt:     now,
		ExpiresAt:  now.Add(m.lifetime),
		IdleTTL:    authz.Seconds(m.idle / time.Second),
	}
}

// open inserts a session and ends the one named old, if there is one.
func (m *Manager) open(ctx context.Context, old string, s authz.Session, within authz.Within) error {
	if old == "" {
		return m.store.OpenSession(ctx, s, within)
	}
	ended, err := m.store.ReplaceSession(ctx, old, s, within)
	m.apply(ended...)
	return err
}

// Clear takes the session cookie from the browser. Ending the session is a transition of the store.
func (m *Manager) Clear(w http.ResponseWriter) { m.jar.clear(w, m.jar.session) }

// userAgent returns a printable beginning of the header: it is shown on the account page and kept in the store.
func userAgent(r *http.Request) string {
	text := r.UserAgent()
	if len(text) > maxUserAgent {
		text = text[:maxUserAgent]
	}
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c > 0x7e {
			return -1
		}
		return c
	}, text)
}
