// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// single keeps to one connection to a service. The connections of [http.Transport] itself cannot be held to that: it opens another
// where a service allows fewer calls at once than there are, and told not to (StrictMaxConcurrentRequests) it waits for ever where
// there are more callers than the service allows on a new connection.
type single struct {
	scheme, address string
	timeout         time.Duration

	changed signal

	mu        sync.Mutex
	transport *http.Transport
	link      *link
	dialing   *dialing
}

// link is a connection. Its fields are guarded by the lock of what it belongs to.
type link struct {
	conn    *http.ClientConn
	calls   int  // under way
	limit   int  // how many the service allowed at once when last asked
	known   bool // a call on it was answered by a service that knows us
	pioneer bool // the one call that may go before that is under way
	retired bool // no call begins on it, and it is closed after the last
}

// reserve takes one of the calls that the service allows at once.
func (l *link) reserve() bool {
	if l.conn.Reserve() != nil {
		return false
	}
	l.calls++
	l.limit = l.conn.Available() + l.conn.InFlight()
	return true
}

// left reports whether the service takes no more calls on the connection: because it is broken, or because it was left (GOAWAY), which
// shows by its taking fewer than it allows.
func (l *link) left() bool {
	return l.conn.Err() != nil || l.conn.Available() == 0 && l.conn.InFlight() < max(1, l.limit)
}

// signal wakes all who wait for a change. It has a lock of its own: a connection may report a change to whoever is just asking it.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

// next returns what is closed at the next change.
func (s *signal) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// dialing is an attempt to connect that several wait for. err is set when done is closed.
type dialing struct {
	done chan struct{}
	err  error
}

// place is a right to make one call. Who has none waits for one of the channels.
type place struct {
	link    *link
	pioneer bool
	dialing *dialing
	changed <-chan struct{}
}

func newSingle(address string, timeout time.Duration) (*single, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return &single{
		scheme: u.Scheme, address: net.JoinHostPort(u.Hostname(), port), timeout: timeout,
	}, nil
}

// tries is how often a call is made that finds its connection broken: the first time, and when the next connection is left as well.
const tries = 3

// roundTrip makes a call, and again where the connection broke before there was an answer. Who gets one calls leave when it was read.
func (s *single) roundTrip(r *http.Request) (response *http.Response, leave func(), err error) {
	for try := 1; ; try++ {
		var broken bool
		response, leave, broken, err = s.try(r)
		if err == nil || !broken || try == tries || r.Context().Err() != nil {
			return response, leave, err
		}
		again := r.Clone(r.Context())
		if r.Body != nil && r.Body != http.NoBody {
			if r.GetBody == nil {
				return nil, nil, err
			}
			if again.Body, err = r.GetBody(); err != nil {
				return nil, nil, err
			}
		}
		r = again
	}
}

func (s *single) try(r *http.Request) (response *http.Response, leave func(), broken bool, err error) {
	p, err := s.enter(r.Context())
	if err != nil {
		return nil, nil, false, err
	}
	response, err = p.link.conn.RoundTrip(r)
	if err != nil {
		return nil, nil, s.leave(p, false), err
	}
	known := response.StatusCode != http.StatusUnauthorized && response.StatusCode != http.StatusForbidden
	return response, func() { _ = s.leave(p, known) }, false, nil
}

// enter waits for a place on the connection, which is opened if there is none.
func (s *single) enter(ctx context.Context) (place, error) {
	for {
		p := s.look(ctx)
		if p.link != nil {
			return p, nil
		}
		var dialed <-chan struct{}
		if p.dialing != nil {
			dialed = p.dialing.done
		}
		select {
		case <-dialed:
			if p.dialing.err != nil {
				return place{}, p.dialing.err
			}
		case <-p.changed:
		case <-ctx.Done():
			return place{}, context.Cause(ctx)
		}
	}
}

// look takes a place if there is one, and else says what to wait for.
func (s *single) look(ctx context.Context) place {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.changed.next()
	l := s.link
	if l == nil {
		return place{dialing: s.dialLocked(ctx)}
	}
	if !l.known && l.pioneer {
		return place{changed: changed}
	}
	if !l.reserve() {
		if l.left() {
			return place{dialing: s.dialLocked(ctx)}
		}
		return place{changed: changed}
	}
	pioneer := !l.known
	l.pioneer = pioneer
	return place{link: l, pioneer: pioneer}
}

// dialLocked connects, unless somebody does so already.
func (s *single) dialLocked(ctx context.Context) *dialing {
	if s.dialing == nil {
		s.dialing = &dialing{done: make(chan struct{})}
		go s.dial(context.WithoutCancel(ctx), s.dialing, s.transport)
	}
	return s.dialing
}

// dial opens a connection for all who wait for one, so it does not end with whoever came first.
func (s *single) dial(ctx context.Context, d *dialing, transport *http.Transport) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := transport.NewClientConn(ctx, s.scheme, s.address)
	if err == nil {
		conn.SetStateHook(func(*http.ClientConn) { s.changed.wake() })
	}
	s.mu.Lock()
	unused := s.link // the one that was left
	s.dialing, s.link, d.err = nil, nil, err
	if err == nil {
		if made := (&link{conn: conn}); s.transport == transport {
			s.link = made
		} else {
			s.link, unused = unused, made // it was renewed or closed meanwhile: who waits looks again
		}
	}
	s.mu.Unlock()
	close(d.done)
	s.retire(unused)
}

// leave gives a place back, and reports whether the connection was left.
func (s *single) leave(p place, known bool) (left bool) {
	s.mu.Lock()
	l := p.link
	l.calls--
	if p.pioneer {
		l.pioneer = false
	}
	l.known = l.known || known
	left = l.left()
	over := l.retired && l.calls == 0
	s.mu.Unlock()
	s.changed.wake()
	if over {
		_ = l.conn.Close() // nobody is on it
	}
	return left
}

// renew has later calls use another connection, made by another transport. Calls under way end on the old one.
func (s *single) renew(transport *http.Transport) {
	s.mu.Lock()
	previous := s.link
	s.link, s.transport = nil, transport
	s.mu.Unlock()
	s.changed.wake()
	s.retire(previous)
}

// retire closes a connection after the last call on it.
func (s *single) retire(l *link) {
	if l == nil {
		return
	}
	s.mu.Lock()
	l.retired = true
	over := l.calls == 0
	s.mu.Unlock()
	if over {
		_ = l.conn.Close() // nobody is on it
	}
}
