// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/site/stream"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/validation"
)

const issuer = "https://auth.example.com"

var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// bench is a table with a clock, a view of revocations and sessions that a test can turn.
type bench struct {
	t     *testing.T
	table *stream.Table

	mu      sync.Mutex
	now     time.Time
	dead    map[string]bool
	session error
	asked   int
	told    []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, now: start, dead: map[string]bool{}}
	var err error
	if b.table, err = stream.New(b.clock, b.tell); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) tell(reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, reason)
}

func (b *bench) Revoked(p *validation.Principal) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dead[p.TokenID]
}

func (b *bench) alive(context.Context, string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	return b.session
}

// set changes what a test turns.
func (b *bench) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

func (b *bench) terms() *stream.Terms {
	return &stream.Terms{Dead: b, Issuer: issuer, Alive: b.alive}
}

// reasons returns why requests were ended so far.
func (b *bench) reasons() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.told)
}

func token() *validation.Principal {
	return &validation.Principal{
		Issuer: issuer, TokenID: "t1", SessionID: "s1", IssuedAt: start, ExpiresAt: start.Add(time.Hour), AuthTime: start,
		Realms: validation.Realms{{Realm: "password", At: start}},
	}
}

// later moves the clock to a moment at which what is under way lasts, and changes what a test turns.
func (b *bench) later(change func()) {
	b.table.Sweep(b.t.Context()) // which sees them all
	b.set(func() {
		b.now = b.now.Add(stream.Lasting)
		change()
	})
}

// enter has a request enter that nobody is at the other end of and that is seen, and returns whether it was ended when it leaves.
func (b *bench) enter(watch stream.Watch, terms *stream.Terms) (leave func() bool) {
	entry := new(stream.Entry)
	b.table.Enter(entry, httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), watch, terms)
	b.table.Sweep(b.t.Context())
	return func() bool { return b.table.Leave(entry) }
}

// TestWhatEndsARequest: what the gate would not let through any more does not go on, and everything else does.
func TestWhatEndsARequest(t *testing.T) {
	t.Parallel()
	minute := time.Minute
	cases := []struct {
		name   string
		policy *validation.Policy
		// later is when the table looks again, and change what has changed by then.
		later   time.Duration
		change  func(b *bench, p *validation.Principal, terms *stream.Terms)
		session bool
		want    string // the reason; empty when it goes on
	}{
		{name: "nothing", later: time.Minute},
		{name: "the token is revoked", change: func(b *bench, _ *validation.Principal, _ *stream.Terms) { b.dead["t1"] = true }, want: stream.Revoked},
		{name: "another token is", change: func(b *bench, _ *validation.Principal, _ *stream.Terms) { b.dead["t2"] = true }},
		{name: "a token of that name of another issuer", change: func(b *bench, p *validation.Principal, _ *stream.Terms) {
			b.dead["t1"], p.Issuer = true, "https://other.example.com"
		}},
		{name: "just before the token's end", later: time.Hour - time.Microsecond},
		{name: "the token's end", later: time.Hour, want: stream.Expired},
		{name: "a token without an end", later: 1000 * time.Hour, change: func(_ *bench, p *validation.Principal, _ *stream.Terms) {
			p.ExpiresAt = time.Time{}
		}},
		{name: "just before max_age", policy: &validation.Policy{MaxAge: &minute}, later: time.Minute},
		{name: "max_age", policy: &validation.Policy{MaxAge: &minute}, later: time.Minute + time.Microsecond, want: stream.Expired},
		{
			name: "a realm's max_age", policy: &validation.Policy{Requirements: []validation.Requirement{{Realm: "password", MaxAge: 5 * time.Minute}}},
			later: 6 * time.Minute, want: stream.Expired,
		},
		{
			name: "no window, and after it", policy: &validation.Policy{MaxAge: &minute}, later: 48 * time.Hour,
			change: func(_ *bench, _ *validation.Principal, terms *stream.Terms) { terms.Windowless = true },
		},
		{name: "no window, and revoked", later: 48 * time.Hour, want: stream.Revoked, change: func(b *bench, _ *validation.Principal, terms *stream.Terms) {
			terms.Windowless, b.dead["t1"] = true, true
		}},
		{name: "a session that lives", session: true, later: stream.Checked},
		{name: "a session that has gone and is not asked for yet", session: true, later: stream.Checked - time.Second, change: gone},
		{name: "a session that has gone", session: true, later: stream.Checked, change: gone, want: stream.Ended},
		{name: "a bearer token whose session is not asked for", later: stream.Checked, change: gone},
		{name: "a store that cannot be asked", session: true, later: 1000 * stream.Checked, change: func(b *bench, p *validation.Principal, _ *stream.Terms) {
			b.session, p.ExpiresAt = errors.New("no disk"), time.Time{}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			p, terms := token(), b.terms()
			leave := b.enter(stream.Watch{Principal: p, Policy: c.policy, Session: c.session}, terms)
			if c.change != nil {
				c.change(b, p, terms)
			}
			b.set(func() { b.now = start.Add(max(c.later, stream.Lasting)) })
			for range 3 { // what was ended is not told of again
				b.table.Sweep(t.Context())
			}
			if got := leave(); got != (c.want != "") {
				t.Errorf("that it was ended is %v", got)
			}
			var want []string
			if c.want != "" {
				want = []string{c.want}
			}
			if got := b.reasons(); !slices.Equal(got, want) {
				t.Errorf("it was ended for %q, want %q", got, want)
			}
		})
	}
}

func gone(b *bench, _ *validation.Principal, _ *stream.Terms) { b.session = storage.ErrNotFound }

// TestWhatTakesLessThanAStream: what began before a revocation and takes no longer than requests do comes to its end.
func TestWhatTakesLessThanAStream(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	leave := b.enter(stream.Watch{Principal: token()}, b.terms())
	for at := time.Duration(0); at < stream.Lasting; at += stream.Interval {
		b.set(func() { b.now, b.dead["t1"] = start.Add(at), true })
		b.table.Sweep(t.Context())
	}
	if got := b.reasons(); len(got) > 0 || leave() {
		t.Errorf("it was ended for %q", got)
	}
}

// TestAnyOrderOfLeaving: whoever leaves takes nobody along.
func TestAnyOrderOfLeaving(t *testing.T) {
	t.Parallel()
	const many = 100
	for _, order := range []string{"first", "last", "middle"} {
		b := newBench(t)
		var leave []func() bool
		for range many {
			leave = append(leave, b.enter(stream.Watch{Principal: token()}, b.terms()))
		}
		for i := range many / 2 {
			at := map[string]int{"first": 0, "last": len(leave) - 1, "middle": (i * 7) % len(leave)}[order]
			if leave[at]() {
				t.Fatal("nothing has ended it")
			}
			leave = slices.Delete(leave, at, at+1)
		}
		b.later(func() { b.dead["t1"] = true })
		b.table.Sweep(t.Context())
		for _, leave := range leave {
			if !leave() {
				t.Errorf("%s: one that is still here was not ended", order)
			}
		}
		if got := len(b.reasons()); got != many/2 {
			t.Errorf("%s: %d were ended, want %d", order, got, many/2)
		}
	}
}

// TestRun looks twice a second, at once when it is woken, and ends everything when nobody will look any more.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ctx, stop := context.WithCancel(t.Context())
		go b.table.Run(ctx)
		defer b.enter(stream.Watch{Principal: token()}, b.terms())()
		other := token()
		other.TokenID = "t2"
		third := token()
		third.TokenID = "t3"
		defer b.enter(stream.Watch{Principal: other}, b.terms())()
		leave := b.enter(stream.Watch{Principal: third}, b.terms())
		synctest.Wait()
		b.later(func() { b.dead["t1"] = true })
		b.table.Wake()
		b.table.Wake() // nobody waits for the other
		synctest.Wait()
		if got := b.reasons(); !slices.Equal(got, []string{stream.Revoked}) {
			t.Errorf("woken: %q", got)
		}
		b.set(func() { b.dead["t2"] = true })
		<-time.After(stream.Interval) // by the clock of the bubble
		synctest.Wait()
		if got := b.reasons(); len(got) != 2 {
			t.Errorf("after an interval: %q", got)
		}
		stop()
		synctest.Wait()
		if !leave() {
			t.Error("it goes on without anybody who judges it")
		}
		if !b.enter(stream.Watch{Principal: third}, b.terms())() {
			t.Error("one that comes later goes on")
		}
	})
}

// serve starts a server whose handler passes on what enters the table, and returns how long the handler's context lasted.
func (b *bench) serve(http2 bool, handler http.HandlerFunc) *httptest.Server {
	terms, p := b.terms(), token()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entry := new(stream.Entry)
		r = b.table.Enter(entry, w, r, stream.Watch{Principal: p}, terms)
		defer b.table.Leave(entry)
		handler(w, r)
	}))
	s.EnableHTTP2 = http2
	s.StartTLS()
	b.t.Cleanup(s.Close)
	return s
}

// TestAnEventStreamEnds over both protocols: the caller reads what came before and then an error, not an end, and the handler
// that waits for its upstream is told by the request's context.
func TestAnEventStreamEnds(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		b := newBench(t)
		over := make(chan error, 1)
		s := b.serve(http2, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "data: 1\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			_, err := io.WriteString(w, "data: secret\n")
			if err == nil {
				err = http.NewResponseController(w).Flush()
			}
			over <- err
		})
		response, err := s.Client().Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		read := bufio.NewReader(response.Body)
		if line, err := read.ReadString('\n'); line != "data: 1\n" {
			t.Fatalf("%q, %v", line, err)
		}
		b.later(func() { b.dead["t1"] = true })
		b.table.Sweep(t.Context())
		if rest, err := io.ReadAll(read); err == nil || len(rest) > 0 {
			t.Errorf("%s: the stream ends with %q, %v", response.Proto, rest, err)
		}
		if err := <-over; err == nil {
			t.Errorf("%s: the handler can still write", response.Proto)
		}
		_ = response.Body.Close() // it has been read
	}
}

// TestAnUploadEnds: what comes in is not read on either.
func TestAnUploadEnds(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		b := newBench(t)
		got, over := make(chan string, 1), make(chan error, 1)
		s := b.serve(http2, func(_ http.ResponseWriter, r *http.Request) {
			begin := make([]byte, 3)
			_, _ = io.ReadFull(r.Body, begin)
			got <- string(begin)
			_, err := r.Body.Read(begin)
			over <- err
		})
		body, up := io.Pipe()
		go func() {
			response, err := s.Client().Post(s.URL, "text/plain", body)
			if err == nil {
				_ = response.Body.Close()
			}
			_ = up.Close()
		}()
		if _, err := io.WriteString(up, "one"); err != nil || <-got != "one" {
			t.Fatal("the upload does not begin")
		}
		b.later(func() { b.dead["t1"] = true })
		b.table.Sweep(t.Context())
		if err := <-over; err == nil || errors.Is(err, io.EOF) {
			t.Errorf("http2 %v: the upload ends with %v", http2, err)
		}
	}
}

// TestAHijackedConnectionEnds also where whoever took it over sets its own deadlines afterwards.
func TestAHijackedConnectionEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var stubborn atomic.Bool
	over := make(chan error, 1)
	s := b.serve(false, func(w http.ResponseWriter, _ *http.Request) {
		connection, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			over <- err
			return
		}
		defer func() { _ = connection.Close() }()
		_, _ = io.WriteString(connection, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		for {
			line, err := buffered.ReadString('\n')
			var late net.Error
			if errors.As(err, &late) && late.Timeout() && stubborn.CompareAndSwap(false, true) {
				_ = connection.SetDeadline(time.Time{})
				continue
			}
			if err != nil {
				over <- err
				return
			}
			_, _ = io.WriteString(connection, line)
		}
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	response, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	both := response.Body.(io.ReadWriteCloser)
	defer func() { _ = both.Close() }()
	read := bufio.NewReader(both)
	if _, err := io.WriteString(both, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := read.ReadString('\n'); line != "hello\n" {
		t.Fatalf("%q, %v", line, err)
	}
	b.later(func() { b.dead["t1"] = true })
	for ended := false; !ended; {
		b.table.Sweep(t.Context())
		select {
		case err := <-over:
			ended = true
			if !stubborn.Load() {
				t.Errorf("it ended with %v before it was stubborn", err)
			}
		default:
		}
	}
	if rest, err := io.ReadAll(read); len(rest) > 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
	if got := b.reasons(); !slices.Equal(got, []string{stream.Revoked}) {
		t.Errorf("it was ended for %q", got)
	}
}

// TestHTTP3 has no background reader: the handler is reached by the context.
func TestHTTP3(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	came := httptest.NewRequest(http.MethodGet, "/", nil)
	came.ProtoMajor = 3
	entry := new(stream.Entry)
	passed := b.table.Enter(entry, httptest.NewRecorder(), came, stream.Watch{Principal: token()}, b.terms())
	b.table.Sweep(t.Context())
	if passed.Context().Err() != nil {
		t.Fatal("it is over before it was revoked")
	}
	b.later(func() { b.dead["t1"] = true })
	b.table.Sweep(t.Context())
	if passed.Context().Err() == nil || !b.table.Leave(entry) {
		t.Error("it goes on")
	}
}

// TestNew wants a clock.
func TestNew(t *testing.T) {
	t.Parallel()
	if _, err := stream.New(nil, nil); err == nil {
		t.Error("a table without a clock")
	}
	now := start
	quiet, err := stream.New(func() time.Time { return now }, nil)
	if err != nil {
		t.Fatal(err)
	}
	expired := &validation.Principal{ExpiresAt: time.Unix(1, 0)}
	entry := new(stream.Entry)
	quiet.Enter(entry, httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), stream.Watch{Principal: expired}, new(stream.Terms))
	quiet.Sweep(t.Context())
	now = now.Add(stream.Lasting)
	quiet.Sweep(t.Context())
	if !quiet.Leave(entry) {
		t.Error("what has expired goes on where nobody is told")
	}
}

// TestStorm enters, leaves and ends from everywhere at once.
func TestStorm(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				b.enter(stream.Watch{Principal: token(), Session: true}, b.terms())()
			}
		})
	}
	all.Go(func() {
		for range 100 {
			b.set(func() { b.now, b.dead["t1"] = b.now.Add(time.Minute), !b.dead["t1"] })
			b.table.Sweep(t.Context())
		}
	})
	all.Wait()
	b.set(func() { b.told = nil })
	b.table.Sweep(t.Context())
	if got := b.reasons(); len(got) > 0 {
		t.Errorf("all have left, and %d were ended", len(got))
	}
}

// BenchmarkEnterAndLeave is what watching costs a request.
func BenchmarkEnterAndLeave(b *testing.B) {
	table, err := stream.New(time.Now, nil)
	if err != nil {
		b.Fatal(err)
	}
	w, r, watch, terms := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), stream.Watch{Principal: token()}, new(stream.Terms)
	entry := new(stream.Entry)
	b.ReportAllocs()
	for b.Loop() {
		table.Enter(entry, w, r, watch, terms)
		table.Leave(entry)
	}
}
