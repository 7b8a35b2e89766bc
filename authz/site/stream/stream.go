// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/validation"
)

// Why a request was ended, for metrics.
const (
	Revoked    = "revoked"    // its token, or what that rests on
	Expired    = "expired"    // its token, or a proof in it that the route wants to be recent
	Ended      = "session"    // its session went idle or reached its end
	Unanswered = "unanswered" // nobody could be told in time whether its session lives
	Closed     = "closed"     // nothing is left to judge it by
)

const shards = 16

// Terms say by what the requests of one rule are judged. They are built once and not changed.
type Terms struct {
	// Dead knows which tokens are revoked. It is asked about tokens of Issuer alone: others may use the same names for others.
	Dead   validation.Revocations
	Issuer string
	// Alive returns [storage.ErrNotFound] for a session that has ended, and gives up when ctx is over. To be asked does not count
	// as a use of the session. All terms of one table answer alike: a sweep asks by one of them for every request of a session.
	// Nil leaves sessions to their revocation.
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
	seen       int64 // when it was first looked at, in Unix microseconds, as all that follow; zero before
	until      int64 // zero before it was judged
	checked    int64 // when the session was last known to live
	doubted    int64 // since when it is not known; zero while it is
	asked      int64 // when somebody was last to ask for it
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
