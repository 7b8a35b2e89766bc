// SPDX-License-Identifier: Apache-2.0

package deviceapi_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope/pgp"
)

// TestWaitingInOpenPGP: what a phone is told after it has waited is encrypted as everything else is.
func TestWaitingInOpenPGP(t *testing.T) {
	t.Parallel()
	s := newServer(t, openpgp)
	p, _ := s.enrolPGP(alice, pgp.V6)
	type outcome struct {
		open []envelope.Summary
		err  error
	}
	told := make(chan outcome, 1)
	go func() {
		open, err := p.Pending(t.Context(), time.Minute)
		told <- outcome{open, err}
	}()
	for s.operations.Waiting() == 0 {
		runtime.Gosched()
	}
	o := s.ask(alice)
	if got := <-told; got.err != nil || len(got.open) != 1 || got.open[0].Operation != o.ID {
		t.Errorf("it was told %+v, %v", got.open, got.err)
	}
}

// TestWaitingPhoneGoes: a phone that hangs up waits no longer, and is answered nothing.
func TestWaitingPhoneGoes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.enrol(alice)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan *httptest.ResponseRecorder, 1)
	raw := p.sealed(p.request(envelope.PathPending), envelope.PendingRequest{Wait: 60})
	go func() {
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, question(ctx, raw))
		gone <- w
	}()
	for s.operations.Waiting() == 0 {
		runtime.Gosched()
	}
	cancel()
	if w := <-gone; w.Body.Len() > 0 || s.operations.Waiting() != 0 || s.lines.has("ERROR") {
		t.Errorf("it was answered %d %q, %d wait", w.Code, w.Body, s.operations.Waiting())
	}
}

// TestWaitingPhonesAreSmall bounds what the handler keeps of a phone that waits, the stack of its goroutine included, below the
// functions of a server. The test is not parallel, so that no other takes or frees memory meanwhile.
func TestWaitingPhonesAreSmall(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector keeps memory of its own")
	}
	const phones, most = 600, 14 << 10
	s := newServer(t)
	p := s.enrol(alice)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var answered atomic.Int64
	ask := func(n int) {
		for range n {
			s.clock.Advance(time.Second) // so that it does not send too much
			r := question(ctx, p.sealed(p.request(envelope.PathPending), envelope.PendingRequest{Wait: 60}))
			waiting := s.operations.Waiting()
			group.Go(func() {
				below(func() { s.handler.ServeHTTP(httptest.NewRecorder(), r) })
				answered.Add(1)
			})
			for s.operations.Waiting() == waiting && answered.Load() == 0 {
				runtime.Gosched()
			}
		}
	}
	ask(10) // what is made once is made
	before := used()
	ask(phones)
	each := (used() - before) / phones
	if answered.Load() > 0 {
		t.Errorf("%d do not wait: %s", answered.Load(), s.lines.reason())
	}
	cancel()
	group.Wait()
	t.Logf("a phone that waits takes %d bytes", each)
	if each > most {
		t.Errorf("a phone that waits takes %d bytes, more than %d", each, most)
	}
}

// below calls f with as much stack in use as net/http and Caddy have when they call a handler.
//
//go:noinline
func below(f func()) {
	var frame [5500]byte
	fill(frame[:])
	f()
	fill(frame[:])
}

//go:noinline
func fill(frame []byte) { clear(frame) }

// question is a request whose body is let go when it was read, as that of a connection is.
func question(ctx context.Context, raw string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, envelope.PathPending, &text{raw})
	r.Header.Set("Content-Type", envelope.ContentType)
	return r
}

// text is a body.
type text struct{ rest string }

func (b *text) Read(p []byte) (int, error) {
	if b.rest == "" {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	if b.rest = b.rest[n:]; b.rest == "" {
		b.rest = "" // the text itself
	}
	return n, nil
}

// used is what heap and stacks take when stacks have shrunk, which each collection halves.
func used() int {
	for range 5 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}
