// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/validation"
)

const (
	// Interval is how often [Table.Run] looks at the requests under way.
	Interval = 500 * time.Millisecond
	// Checked is how long it is believed, of a request that rests on a session, that the session still lives.
	Checked = 5 * time.Minute
	// Patience is how long beyond that a store is waited for that cannot be asked.
	Patience = 30 * time.Second

	shards = 16
)

// Why a request was ended, for metrics.
const (
	Revoked = "revoked" // its token, or what that rests on
	Expired = "expired" // its token, or a proof in it that the route wants to be recent
	Ended   = "session" // its session went idle or reached its end
	Closed  = "closed"  // nothing is left to judge it by
)

// Terms say by what the requests of one rule are judged. They are built once and not changed.
type Terms struct {
	// Dead knows which tokens are revoked. It is asked about tokens of Issuer alone: others may use the same names for others.
	Dead   validation.Revocations
	Issuer string
	// Alive returns [storage.ErrNotFound] for a session that has ended. To be asked does not count as a use of the session. Nil
	// leaves sessions to their revocation.
	Alive func(ctx context.Context, session string) error
	// Windowless leaves a request alone whose token expires or whose proofs become too old: only a revocation ends it.
	Windowless bool
}

// Watch is what a request was let through by.
type Watch struct {
	Principal *validation.Principal
	Policy    *validation.Policy
	// Session is set when it rests on a session's cookie and not on a bearer token.
	Session bool
}

// Entry is the place of one request in a table. Its zero value is ready; it serves one request and is not copied.
type Entry struct {
	watch  Watch
	terms  *Terms
	w      http.ResponseWriter
	cancel context.CancelFunc // nil where the connection's deadlines reach whoever waits

	shard      *shard
	prev, next *Entry
	until      int64 // Unix microseconds; zero before it was looked at
	checked    int64 // when the session was believed to live, in Unix microseconds
	ended      bool
}

type shard struct {
	mu     sync.Mutex
	first  *Entry
	closed bool
}

// Table knows the requests under way. It is safe for concurrent use.
type Table struct {
	now     func() time.Time
	observe func(reason string)
	wake    chan struct{}
	turn    atomic.Uint32
	shards  [shards]shard
}

// New returns an empty table. Observe is told why a request was ended; nil tells nobody.
func New(now func() time.Time, observe func(reason string)) (*Table, error) {
	if now == nil {
		return nil, errors.New("building the table of streams: a clock is required")
	}
	if observe == nil {
		observe = func(string) {}
	}
	return &Table{now: now, observe: observe, wake: make(chan struct{}, 1)}, nil
}

// Enter remembers a request that is passed on, and returns it as it is to be passed on. Whoever enters leaves, in any case.
func (t *Table) Enter(e *Entry, w http.ResponseWriter, r *http.Request, watch Watch, terms *Terms) *http.Request {
	e.watch, e.terms, e.w = watch, terms, w
	if r.ProtoMajor >= 3 { // a deadline fails what is written; who waits for the upstream meanwhile is reached by the context alone
		var ctx context.Context
		ctx, e.cancel = context.WithCancel(r.Context())
		r = r.WithContext(ctx)
	}
	s := &t.shards[t.turn.Add(1)%shards]
	s.mu.Lock()
	e.shard, e.next = s, s.first
	if s.first != nil {
		s.first.prev = e
	}
	s.first = e
	if s.closed {
		t.endLocked(e, Closed)
	}
	s.mu.Unlock()
	return r
}

// Leave forgets a request that is over. It reports whether it was ended here.
func (t *Table) Leave(e *Entry) bool {
	s := e.shard
	s.mu.Lock()
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		s.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	}
	e.prev, e.next, e.shard = nil, nil, nil
	ended := e.ended
	s.mu.Unlock()
	if e.cancel != nil {
		e.cancel()
	}
	return ended
}

// failLocked fails everything that is read from the caller's connection and written to it, from now on, also where a handler
// has taken the connection over: whoever copies between it and an upstream closes both. It is called again for as long as the
// request stays, since a handler may have set deadlines of its own.
func (e *Entry) failLocked() {
	e.ended = true
	if e.cancel != nil {
		e.cancel()
	}
	past := time.Unix(1, 0)
	connection := http.NewResponseController(e.w)
	_ = connection.SetWriteDeadline(past) // a connection without deadlines has nobody at its other end
	_ = connection.SetReadDeadline(past)
}

// Wake has [Table.Run] look at the requests at once.
func (t *Table) Wake() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Run looks at the requests under way, every [Interval] and whenever it is woken, until ctx ends. Then it ends them all:
// nobody judges them any more.
func (t *Table) Run(ctx context.Context) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			t.close()
			return
		case <-ticker.C:
		case <-t.wake:
		}
		t.Sweep(ctx)
	}
}

func (t *Table) close() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		s.closed = true
		for e := s.first; e != nil; e = e.next {
			t.endLocked(e, Closed)
		}
		s.mu.Unlock()
	}
}

func (t *Table) endLocked(e *Entry, reason string) {
	if !e.ended {
		t.observe(reason)
	}
	e.failLocked()
}

// Sweep judges every request under way, and ends those that would not be let through any more.
func (t *Table) Sweep(ctx context.Context) {
	now := t.now()
	var doubtful []doubt
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for e := s.first; e != nil; e = e.next {
			if reason := e.judgeLocked(now); reason != "" {
				t.endLocked(e, reason)
			} else if e.doubtfulLocked(now) {
				doubtful = append(doubtful, doubt{e, s, e.watch.Principal.SessionID, e.terms.Alive})
			}
		}
		s.mu.Unlock()
	}
	for _, d := range doubtful {
		t.checkSession(ctx, d, now)
	}
}

// judgeLocked returns why a request is to be ended; empty when it may go on.
func (e *Entry) judgeLocked(now time.Time) string {
	p := e.watch.Principal
	switch {
	case e.ended:
		return Closed // the reason has been told
	case e.terms.Dead != nil && p.Issuer == e.terms.Issuer && e.terms.Dead.Revoked(p):
		return Revoked
	case e.terms.Windowless:
		return ""
	}
	if e.until == 0 {
		e.until = window(e.watch)
	}
	if now.UnixMicro() >= e.until {
		return Expired
	}
	return ""
}

// window returns the first moment at which the gate would not let the request through any more, as far as time alone decides.
func window(w Watch) int64 {
	until := int64(math.MaxInt64)
	if fresh, limited := w.Policy.FreshUntil(w.Principal); limited {
		until = fresh.UnixMicro() + 1
	}
	if exp := w.Principal.ExpiresAt; !exp.IsZero() {
		until = min(until, exp.UnixMicro())
	}
	return until
}

// doubtfulLocked reports whether the store is to be asked for the session that a request rests on.
func (e *Entry) doubtfulLocked(now time.Time) bool {
	if !e.watch.Session || e.terms.Alive == nil {
		return false
	}
	if e.checked == 0 { // the gate has asked, or believed the cookie since it was made
		e.checked = e.watch.Principal.IssuedAt.UnixMicro()
	}
	return now.UnixMicro()-e.checked >= Checked.Microseconds()
}

// doubt is what is needed to ask for a session without a lock.
type doubt struct {
	entry   *Entry
	shard   *shard
	session string
	alive   func(ctx context.Context, session string) error
}

func (t *Table) checkSession(ctx context.Context, d doubt, now time.Time) {
	err := d.alive(ctx, d.session)
	d.shard.mu.Lock()
	defer d.shard.mu.Unlock()
	e := d.entry
	switch {
	case e.shard == nil: // it has left meanwhile
	case err == nil:
		e.checked = now.UnixMicro()
	case errors.Is(err, storage.ErrNotFound) || now.UnixMicro()-e.checked >= (Checked+Patience).Microseconds():
		t.endLocked(e, Ended)
	}
}
