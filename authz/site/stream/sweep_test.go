// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"context"
	"errors"
	"fmt"
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

// TestSessionsAreAskedForSeldom: once in a while for each request, and not for who has left.
func TestSessionsAreAskedForSeldom(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := token()
	p.ExpiresAt = time.Time{}
	leave := b.enter(stream.Watch{Principal: p, Session: true}, b.terms())
	for range 60 { // an hour
		b.set(func() { b.now = b.now.Add(time.Minute) })
		b.table.Sweep(t.Context())
	}
	if b.asked != 12 {
		t.Errorf("the session was asked for %d times in an hour, want 12", b.asked)
	}
	left := b.terms()
	left.Alive = func(context.Context, string) error {
		leave() // while it is being asked for
		return storage.ErrNotFound
	}
	leave()
	leave = b.enter(stream.Watch{Principal: p, Session: true}, left)
	b.later(func() {})
	b.table.Sweep(t.Context())
	if got := b.reasons(); len(got) > 0 {
		t.Errorf("who has left was ended for %q", got)
	}
}

// lasting returns the watch of a request that rests on a session, and that nothing else ends.
func lasting(session string) stream.Watch {
	p := token()
	p.ExpiresAt, p.SessionID = time.Time{}, session
	return stream.Watch{Principal: p, Session: true}
}

// TestOneQuestionASession: whatever the number of requests that rest on a session, and of rules that let them through, the
// store is asked once, and all of them get the answer.
func TestOneQuestionASession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var mu sync.Mutex
	asked := map[string]int{}
	alive := func(_ context.Context, session string) error {
		mu.Lock()
		defer mu.Unlock()
		asked[session]++
		if session == "s1" {
			return storage.ErrNotFound
		}
		return nil
	}
	var leave [3][]func() bool
	for i := range 300 {
		terms := b.terms()
		terms.Alive = alive
		leave[i%3] = append(leave[i%3], b.enter(lasting(fmt.Sprintf("s%d", i%3)), terms))
	}
	b.set(func() { b.now = start.Add(stream.Checked) })
	b.table.Sweep(t.Context())
	b.table.Sweep(t.Context())
	for session, times := range asked {
		if times != 1 {
			t.Errorf("%s was asked for %d times", session, times)
		}
	}
	if len(asked) != 3 {
		t.Errorf("%d sessions were asked for, want 3", len(asked))
	}
	for session := range leave {
		for _, leave := range leave[session] {
			if leave() != (session == 1) {
				t.Fatalf("a request of s%d: that it was ended is %v", session, session != 1)
			}
		}
	}
	if got := b.reasons(); len(got) != 100 || slices.ContainsFunc(got, func(reason string) bool { return reason != stream.Ended }) {
		t.Errorf("%d were ended: %q", len(got), slices.Compact(got))
	}
}

// TestAStoreThatDoesNotAnswer: a request in doubt goes on for as long as there is patience, is asked for again meanwhile, and is
// ended then, whether the store refuses, hangs until it is told to give up, or
// does not even do that. An answer in time ends the doubt.
func TestAStoreThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	refuses := func(context.Context, <-chan struct{}) error { return errors.New("no disk") }
	hangs := func(ctx context.Context, _ <-chan struct{}) error {
		<-ctx.Done()
		return ctx.Err()
	}
	sticks := func(_ context.Context, released <-chan struct{}) error {
		<-released
		return nil
	}
	for _, c := range []struct {
		name    string
		answer  func(context.Context, <-chan struct{}) error
		recover bool // just before patience ends
		windows bool
		want    []string
		asks    [2]int32 // at least and at most
	}{
		{name: "refuses", answer: refuses, want: []string{stream.Unanswered}, asks: [2]int32{6, 6}},
		{name: "refuses, without a window", answer: refuses, windows: true, want: []string{stream.Unanswered}, asks: [2]int32{6, 6}},
		{name: "refuses, and then answers", answer: refuses, recover: true, asks: [2]int32{5, 6}},
		{name: "hangs", answer: hangs, want: []string{stream.Unanswered}, asks: [2]int32{5, 6}},
		{name: "does not give up", answer: sticks, want: []string{stream.Unanswered}, asks: [2]int32{1, 1}},
		{name: "hangs, and then answers", answer: hangs, recover: true, asks: [2]int32{5, 6}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var told []string
				var mu sync.Mutex
				table, err := stream.New(time.Now, func(reason string) {
					mu.Lock()
					defer mu.Unlock()
					told = append(told, reason)
				})
				if err != nil {
					t.Fatal(err)
				}
				var asked atomic.Int32
				began, released := time.Now(), make(chan struct{})
				terms := &stream.Terms{Windowless: c.windows, Alive: func(ctx context.Context, _ string) error {
					asked.Add(1)
					if c.recover && time.Since(began) >= stream.Checked+stream.Patience-2*stream.Again {
						return nil
					}
					return c.answer(ctx, released)
				}}
				watch := lasting("s1")
				watch.Principal.IssuedAt = began
				entry := new(stream.Entry)
				table.Enter(entry, httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), watch, terms)
				ctx, stop := context.WithCancel(t.Context())
				over := make(chan struct{})
				go func() {
					table.Run(ctx)
					close(over)
				}()
				<-time.After(stream.Checked + stream.Patience - stream.Interval) // by the clock of the bubble
				synctest.Wait()
				mu.Lock()
				if len(told) > 0 {
					t.Errorf("it was ended for %q while there is patience", told)
				}
				mu.Unlock()
				<-time.After(3 * stream.Interval)
				synctest.Wait()
				mu.Lock()
				if !slices.Equal(told, c.want) {
					t.Errorf("it was ended for %q, want %q", told, c.want)
				}
				mu.Unlock()
				if n := asked.Load(); n < c.asks[0] || n > c.asks[1] {
					t.Errorf("the store was asked %d times, want %v", n, c.asks)
				}
				if table.Leave(entry) != (len(c.want) > 0) {
					t.Error("whoever leaves is told something else")
				}
				stop()
				close(released)
				<-over // and nobody is asking any more
			})
		})
	}
}

// TestAHangingStoreDelaysNoJudgement: what is revoked ends while the store is being waited for, and the questions are bounded, at
// once and in a round.
func TestAHangingStoreDelaysNoJudgement(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		terms := b.terms()
		var at, most, asked atomic.Int32
		terms.Alive = func(ctx context.Context, _ string) error {
			asked.Add(1)
			for now := at.Add(1); ; {
				before := most.Load()
				if now <= before || most.CompareAndSwap(before, now) {
					break
				}
			}
			defer at.Add(-1)
			<-ctx.Done()
			return ctx.Err()
		}
		for i := range 1000 {
			defer b.enter(lasting(fmt.Sprint("s", i)), terms)()
		}
		defer b.enter(stream.Watch{Principal: &validation.Principal{Issuer: issuer, TokenID: "bearer"}}, b.terms())()
		b.set(func() { b.now = start.Add(stream.Checked) })
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go b.table.Run(ctx)
		b.table.Wake()
		synctest.Wait()
		if n := at.Load(); n < 2 || n > 8 {
			t.Errorf("%d questions at once, want some and at most 8", n)
		}
		b.set(func() { b.dead["bearer"] = true })
		b.table.Wake()
		synctest.Wait()
		if got := b.reasons(); !slices.Equal(got, []string{stream.Revoked}) {
			t.Errorf("while the store hangs: %q", got)
		}
		<-time.After(stream.Round + stream.Answer) // by the clock of the bubble
		synctest.Wait()
		if n, limit := asked.Load(), int32(8*(stream.Round/stream.Answer+1)); n > limit || most.Load() > 8 || n < 16 {
			t.Errorf("%d questions, %d at once, in a round of a store that hangs: want at most %d", n, most.Load(), limit)
		}
	})
}

// TestAStoppedProcessAsksFirst: a machine that slept for a day ends nothing whose session still lives.
func TestAStoppedProcessAsksFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	leave := b.enter(lasting("s1"), b.terms())
	for range 3 {
		b.set(func() { b.now = b.now.Add(24 * time.Hour) })
		b.table.Sweep(t.Context())
	}
	if leave() || b.asked != 3 {
		t.Errorf("it was ended for %q after %d questions", b.reasons(), b.asked)
	}
}

// many returns a table of 10,000 requests that rest on 2,000 sessions where they rest on any, and the clock by which it looks.
func many(b *testing.B, sessions bool) (*stream.Table, *time.Time) {
	b.Helper()
	now := start
	table, err := stream.New(func() time.Time { return now }, nil)
	if err != nil {
		b.Fatal(err)
	}
	terms := &stream.Terms{Alive: func(context.Context, string) error { return nil }}
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	for i := range 10_000 {
		watch := lasting(fmt.Sprint("s", i%2000))
		watch.Session = sessions
		table.Enter(new(stream.Entry), w, r, watch, terms)
	}
	table.Sweep(b.Context())
	now = now.Add(stream.Lasting)
	return table, &now
}

// BenchmarkSweep looks at 10,000 requests.
func BenchmarkSweep(b *testing.B) {
	for _, c := range []struct {
		name     string
		sessions bool
		later    time.Duration
	}{
		{"known", true, 0},
		{"bearer", false, stream.Checked},
		{"asked", true, stream.Checked}, // the one sweep in 600 that asks for everybody
	} {
		b.Run(c.name, func(b *testing.B) {
			table, now := many(b, c.sessions)
			b.ReportAllocs()
			for b.Loop() {
				*now = now.Add(c.later)
				table.Sweep(b.Context())
			}
		})
	}
}
