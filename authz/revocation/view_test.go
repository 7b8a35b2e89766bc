// SPDX-License-Identifier: Apache-2.0

package revocation_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/revocation"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/validation"
)

// log is a log in memory that can fail.
type log struct {
	mu    sync.Mutex
	all   []authz.Revocation
	err   error
	since []time.Time
}

func (l *log) RevocationsSince(_ context.Context, since time.Time) ([]authz.Revocation, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = append(l.since, since)
	if l.err != nil {
		return nil, l.err
	}
	var found []authz.Revocation
	for _, r := range l.all {
		if r.At.After(since) {
			found = append(found, r)
		}
	}
	return found, nil
}

func (l *log) add(r ...authz.Revocation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, r...)
}

func (l *log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func newView(t testing.TB, l *log, now func() time.Time) *revocation.View {
	t.Helper()
	v, err := revocation.New(revocation.Config{Log: l, Now: now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func revoke(kind authz.Kind, target string, at time.Time) authz.Revocation {
	return authz.Revocation{ID: string(kind) + target, Kind: kind, Target: target, At: at, ExpiresAt: at.Add(authz.RevocationTTL)}
}

func TestRevokedByKind(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	at := clock.Now()
	token := validation.Principal{
		TokenID: "jti", GrantID: "grt", SessionID: "ses", Subject: "usr", ClientID: "app", IssuedAt: at.Add(-time.Minute),
	}
	cases := []struct {
		name   string
		kind   authz.Kind
		target string
		change func(*validation.Principal)
		want   bool
	}{
		{name: "the token", kind: authz.KindToken, target: "jti", want: true},
		{name: "another token", kind: authz.KindToken, target: "other"},
		{name: "the grant", kind: authz.KindGrant, target: "grt", want: true},
		{name: "another grant", kind: authz.KindGrant, target: "ses"},
		{name: "the session", kind: authz.KindSession, target: "ses", want: true},
		{name: "a token of no session", kind: authz.KindSession, target: "", change: func(p *validation.Principal) { p.SessionID = "" }},
		{name: "the user", kind: authz.KindSubject, target: "usr", want: true},
		{name: "the user, in the same second", kind: authz.KindSubject, target: "usr", want: true,
			change: func(p *validation.Principal) { p.IssuedAt = at.Truncate(time.Second) }},
		{name: "the user, afterwards", kind: authz.KindSubject, target: "usr",
			change: func(p *validation.Principal) { p.IssuedAt = at.Add(time.Second) }},
		{name: "the user's name as a grant", kind: authz.KindSubject, target: "grt"},
		{name: "the client", kind: authz.KindClient, target: "app", want: true},
		{name: "the client, afterwards", kind: authz.KindClient, target: "app",
			change: func(p *validation.Principal) { p.IssuedAt = at.Add(time.Second) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := newView(t, new(log), clock.Now)
			p := token
			if c.change != nil {
				c.change(&p)
			}
			if v.Revoked(&p) {
				t.Error("revoked before anything was")
			}
			v.Apply(revoke(c.kind, c.target, at))
			if got := v.Revoked(&p); got != c.want {
				t.Errorf("revoked is %v, want %v", got, c.want)
			}
		})
	}
}

func TestLaterCutOffCounts(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	v := newView(t, new(log), clock.Now)
	early := clock.Now().Add(-time.Hour)
	late := clock.Now()
	between := validation.Principal{Subject: "usr", IssuedAt: clock.Now().Add(-time.Minute)}
	v.Apply(revoke(authz.KindSubject, "usr", late))
	v.Apply(revoke(authz.KindSubject, "usr", early))
	if !v.Revoked(&between) {
		t.Error("an earlier cut-off replaced a later one")
	}
}

func TestRefreshReadsOnlyWhatIsNewAndAgainWhatIsRecent(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	l := new(log)
	v := newView(t, l, clock.Now)
	l.add(revoke(authz.KindGrant, "old", clock.Now()))
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A transaction with an earlier clock commits after a later one was read.
	l.add(revoke(authz.KindGrant, "late commit", clock.Now().Add(-10*time.Second)))
	clock.Advance(time.Second)
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, grant := range []string{"old", "late commit"} {
		if !v.Revoked(&validation.Principal{GrantID: grant}) {
			t.Errorf("grant %q is not revoked", grant)
		}
	}
	if !l.since[0].IsZero() || !l.since[1].Equal(clock.Now().Add(-time.Second-revocation.Overlap)) {
		t.Errorf("the log was read from %v", l.since)
	}
}

func TestClockOfAnotherNodeThatIsAheadHidesNothing(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	l := new(log)
	v := newView(t, l, clock.Now)
	l.add(revoke(authz.KindGrant, "ahead", clock.Now().Add(time.Hour)))
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.add(revoke(authz.KindGrant, "ours", clock.Now()))
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !v.Revoked(&validation.Principal{GrantID: "ours"}) {
		t.Error("a revocation was skipped because another node's clock is ahead")
	}
}

func TestExpiredEntriesAreDropped(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	v := newView(t, new(log), clock.Now)
	v.Apply(revoke(authz.KindGrant, "a", clock.Now()))
	clock.Advance(authz.RevocationTTL)
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v.Len() != 0 {
		t.Errorf("%d entries remain", v.Len())
	}
}

func TestFailureKeepsWhatIsKnownAndTurnsStale(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	l := new(log)
	v := newView(t, l, clock.Now)
	if !v.Stale() {
		t.Error("a view that has read nothing is not stale")
	}
	l.add(revoke(authz.KindGrant, "a", clock.Now()))
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	l.fail(broken)
	clock.Advance(revocation.StaleAfter)
	if err := v.Refresh(t.Context()); !errors.Is(err, broken) {
		t.Fatalf("error is %v", err)
	}
	if v.Stale() {
		t.Error("stale at the very limit")
	}
	clock.Advance(time.Second)
	if !v.Stale() || !v.Revoked(&validation.Principal{GrantID: "a"}) {
		t.Error("the view is not stale, or has forgotten")
	}
}

func TestRunReadsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(log)
		v := newView(t, l, time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { v.Run(ctx); close(done) }()
		l.fail(errors.New("broken"))
		<-time.After(3 * revocation.Interval) // of the bubble
		l.fail(nil)
		l.add(revoke(authz.KindGrant, "a", time.Now()))
		<-time.After(2 * revocation.Interval)
		if !v.Revoked(&validation.Principal{GrantID: "a"}) {
			t.Error("the log was not read within two intervals")
		}
		cancel()
		<-done
	})
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	v := newView(t, new(log), clock.Now)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 400 {
				id := fmt.Sprint(i, "-", j)
				v.Apply(revoke(authz.KindGrant, id, clock.Now()))
				if !v.Revoked(&validation.Principal{GrantID: id}) {
					t.Errorf("%s was applied and is not revoked", id)
				}
			}
		})
	}
	group.Wait()
	if v.Len() != 3200 {
		t.Errorf("%d entries, want 3200", v.Len())
	}
}

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	if _, err := revocation.New(revocation.Config{}); err == nil {
		t.Error("a view without a log was built")
	}
}

func BenchmarkRevoked(b *testing.B) {
	clock := storagetest.NewClock()
	v := newView(b, new(log), clock.Now)
	var all []authz.Revocation
	for i := range 10_000 {
		all = append(all, revoke(authz.KindGrant, fmt.Sprint("grt_", i), clock.Now()))
	}
	v.Apply(all...)
	p := &validation.Principal{
		TokenID: "jti_abcdefgh", GrantID: "grt_abcdefgh", SessionID: "ses_abcdefgh", Subject: "usr_abcdefgh", ClientID: "app",
		IssuedAt: clock.Now(),
	}
	b.ReportAllocs()
	for b.Loop() {
		if v.Revoked(p) {
			b.Fatal("revoked")
		}
	}
}
