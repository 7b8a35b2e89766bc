// SPDX-License-Identifier: Apache-2.0

package webservice_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/webservice"
)

// told is a service that answers as it is told.
type told struct {
	mu    sync.Mutex
	next  func(context.Context) ([]byte, error)
	calls int
}

func (s *told) Post(ctx context.Context, _ any) ([]byte, error) {
	s.mu.Lock()
	s.calls++
	next := s.next
	s.mu.Unlock()
	return next(ctx)
}

func (s *told) will(next func(context.Context) ([]byte, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = next
}

func (s *told) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func works(context.Context) ([]byte, error)    { return []byte(`{"user":{"id":"u-7"}}`), nil }
func refuses(context.Context) ([]byte, error)  { return []byte(`{}`), nil }
func nonsense(context.Context) ([]byte, error) { return []byte(marked), nil }
func broken(context.Context) ([]byte, error)   { return nil, errors.New("connection refused") }

// hangs ends when its caller does.
func hangs(ctx context.Context) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// pass lets time pass in a bubble.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal("the test has ended")
	}
}

// breaking is a module whose service is left alone for a minute after three faults.
func breaking(t *testing.T) (s *told, m *webservice.Module, states func() string, log *records) {
	t.Helper()
	s, log = &told{}, &records{}
	var mu sync.Mutex
	var seen []string
	c := config(s)
	c.Logger = slog.New(slog.NewTextHandler(log, nil))
	c.Breaker = webservice.Breaker{Faults: 3, Pause: time.Minute, Observe: func(state string) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, state)
	}}
	return s, build(t, c), func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(seen, " ")
	}, log
}

// try logs in and returns how that ended: a status, "open" or "fault".
func try(ctx context.Context, m *webservice.Module) string {
	got, err := m.Verify(ctx, answers("alice", password))
	switch {
	case errors.Is(err, webservice.ErrOpen):
		return "open"
	case err != nil:
		return "fault"
	}
	return string(got.Status)
}

func expect(t *testing.T, m *webservice.Module, want ...string) {
	t.Helper()
	for i, w := range want {
		if got := try(t.Context(), m); got != w {
			t.Fatalf("login %d ends with %q, want %q", i, got, w)
		}
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, m, states, log := breaking(t)
		s.will(broken)
		expect(t, m, "fault", "fault")
		s.will(works)
		expect(t, m, "accepted") // two faults in a row are none
		s.will(nonsense)
		expect(t, m, "fault", "fault", "fault", "open", "open")
		same(t, 6, s.asked())
		s.will(works)
		pass(t, time.Minute)
		expect(t, m, "open") // not before the whole pause is over
		pass(t, time.Nanosecond)
		s.will(broken)
		expect(t, m, "fault", "open") // the one that was tried
		pass(t, time.Minute+time.Nanosecond)
		s.will(refuses)
		expect(t, m, "refused", "refused") // a no is an answer
		same(t, 9, s.asked())
		same(t, "open half-open open half-open closed", states())
		for _, state := range []string{"state=open", "state=half-open", "state=closed"} {
			if !strings.Contains(log.String(), "service=users.example.com") || !strings.Contains(log.String(), state) {
				t.Errorf("the log does not tell of %s:\n%s", state, log)
			}
		}
		for _, hidden := range []string{password, marked, "alice"} {
			if strings.Contains(log.String(), hidden) {
				t.Errorf("the log tells %q:\n%s", hidden, log)
			}
		}
	})
}

// People who go away, as attackers can as often as they like, do not make a service look broken; one that hangs does.
func TestBreakerAndTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, m, states, _ := breaking(t)
		s.will(hangs)
		leave := func() {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			time.AfterFunc(time.Second, cancel)
			same(t, "fault", try(ctx, m))
		}
		for range 10 {
			leave()
		}
		same(t, "", states())
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			same(t, "fault", try(ctx, m))
			cancel()
		}
		expect(t, m, "open")
		// The one that is tried goes away: the next is tried at once.
		pass(t, 2*time.Minute)
		leave()
		s.will(works)
		expect(t, m, "accepted")
		same(t, "open half-open closed", states())
	})
}

// When the pause is over one login is tried, however many come.
func TestOneLoginIsTried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, m, _, _ := breaking(t)
		s.will(broken)
		expect(t, m, "fault", "fault", "fault")
		pass(t, 2*time.Minute)
		release := make(chan struct{})
		s.will(func(ctx context.Context) ([]byte, error) {
			<-release
			return works(ctx)
		})
		ended := make(chan string, 20)
		for range cap(ended) {
			go func() { ended <- try(t.Context(), m) }()
		}
		synctest.Wait()
		same(t, 4, s.asked())
		close(release)
		counts := map[string]int{}
		for range cap(ended) {
			counts[<-ended]++
		}
		same(t, map[string]int{"accepted": 1, "open": 19}, counts)
	})
}

// A service that panics counts as broken, and the panic is the engine's to report.
func TestBreakerAndPanics(t *testing.T) {
	t.Parallel()
	s, m, states, _ := breaking(t)
	s.will(func(context.Context) ([]byte, error) { panic(marked) })
	for range 3 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is hidden")
				}
			}()
			try(t.Context(), m)
		}()
	}
	expect(t, m, "open")
	same(t, "open", states())
}

func TestBreakerDefaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &told{}
		s.will(broken)
		m := build(t, config(s))
		expect(t, m, "fault", "fault", "fault", "fault", "fault", "open")
		pass(t, 30*time.Second+time.Nanosecond)
		s.will(works)
		expect(t, m, string(realm.Accepted))
	})
}
