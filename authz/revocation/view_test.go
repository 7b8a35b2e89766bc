// SPDX-License-Identifier: Apache-2.0

package revocation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/revocation"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
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

// reads are the times from which on it was read, and latest is how long before now the last of them is.
func (l *log) reads() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.since)
}

func (l *log) latest() time.Duration {
	reads := l.reads()
	return time.Since(reads[len(reads)-1])
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
		Devices: []string{"dev_1", "dev_2"},
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
		{name: "the device", kind: authz.KindDevice, target: "dev_1", want: true},
		{name: "the other device", kind: authz.KindDevice, target: "dev_2", want: true},
		{name: "a device of nobody here", kind: authz.KindDevice, target: "dev_3"},
		{name: "the device, afterwards", kind: authz.KindDevice, target: "dev_1",
			change: func(p *validation.Principal) { p.IssuedAt = at.Add(time.Second) }},
		{name: "the device of a token that names none", kind: authz.KindDevice, target: "dev_1",
			change: func(p *validation.Principal) { p.Devices = nil }},
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

func TestAClockThatIsSetBackHidesNoStaleness(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	v := newView(t, new(log), clock.Now)
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.Advance(-time.Minute)
	if !v.Stale() || v.Unread(clock.Now()) < time.Hour {
		t.Error("a node that does not know for how long it has not read the log takes it for read")
	}
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v.Stale() {
		t.Error("stale after it was read")
	}
}

// TestWhatASlowClockRevokesIsSeen: a node whose clock is behind by minutes writes into a part of the log that was read long ago.
func TestWhatASlowClockRevokesIsSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(log)
		v := newView(t, l, time.Now)
		if err := v.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { v.Run(ctx); close(done) }()
		<-time.After(time.Minute) // of the bubble
		l.add(revoke(authz.KindGrant, "a", time.Now().Add(-2*time.Minute)))
		<-time.After(revocation.FarEvery + revocation.Interval)
		if !v.Revoked(&validation.Principal{GrantID: "a"}) {
			t.Error("a grant that another node has revoked is taken for good")
		}
		cancel()
		<-done
	})
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

// TestRunReadsWhenItIsTold: at once, not more often than the floor allows, and not from half a minute before each time.
func TestRunReadsWhenItIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, db := new(log), new(hub)
		v, err := revocation.New(revocation.Config{Log: l, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Notices: db})
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { v.Run(ctx); close(done) }()
		synctest.Wait()
		for i := range 100 { // one each millisecond
			grant := fmt.Sprint(i)
			l.add(revoke(authz.KindGrant, grant, time.Now()))
			db.Tell(storage.Changes{authz.RevocationTable: nil})
			<-time.After(time.Millisecond)
		}
		<-time.After(revocation.Floor)
		synctest.Wait()
		if v.Len() != 100 {
			t.Errorf("%d of 100 are known a moment later", v.Len())
		}
		if n := len(l.reads()); n < 5 || n > 8 {
			t.Errorf("the log was read %d times within a tenth of a second", n)
		}
		if last := l.latest(); last > revocation.Brief+time.Second {
			t.Errorf("the last reading began %s before", last)
		}
		<-time.After(revocation.Interval)
		synctest.Wait()
		if last := l.latest(); last < revocation.Overlap {
			t.Errorf("the reading that nobody asked for began %s before", last)
		}
		cancel()
		<-done
	})
}

// hub is what tells of commits.
type hub struct{ storage.Hub }

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

func TestWholeLogIsReadNowAndThen(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	l := new(log)
	v := newView(t, l, clock.Now)
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A node whose clock is far behind writes what lies before everything that is read again.
	l.add(revoke(authz.KindGrant, "behind", clock.Now().Add(-time.Hour)))
	p := validation.Principal{GrantID: "behind"}
	for range 10 {
		clock.Advance(59 * time.Second)
		if err := v.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if v.Revoked(&p) {
		t.Fatal("the whole log is read each time")
	}
	clock.Advance(10 * time.Second)
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !v.Revoked(&p) {
		t.Error("the whole log was not read after ten minutes")
	}
}

func TestApplyIgnoresWhatCoversNothing(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	v := newView(t, new(log), clock.Now)
	v.Apply()
	v.Apply(
		revoke("unheard-of", "x", clock.Now()), revoke(authz.KindGrant, "", clock.Now()),
		revoke(authz.KindGrant, "expired", clock.Now().Add(-authz.RevocationTTL)),
	)
	if v.Len() != 0 {
		t.Errorf("%d entries", v.Len())
	}
}

func TestSweepKeepsWhatIsStillNeeded(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	v := newView(t, new(log), clock.Now)
	for i := range 1000 {
		r := revoke(authz.KindGrant, fmt.Sprint("grt_", i), clock.Now())
		r.ExpiresAt = clock.Now().Add(time.Duration(i+1) * time.Second)
		v.Apply(r)
	}
	// Known ones again, with a longer life: they are kept for as long as either says.
	v.Apply(revoke(authz.KindGrant, "grt_0", clock.Now()))
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.Advance(500 * time.Second)
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v.Len() != 501 {
		t.Errorf("%d entries, want 501", v.Len())
	}
	for id, want := range map[string]bool{"grt_0": true, "grt_1": false, "grt_499": false, "grt_500": true, "grt_999": true} {
		if got := v.Revoked(&validation.Principal{GrantID: id}); got != want {
			t.Errorf("%s: revoked is %v", id, got)
		}
	}
}

// slow is a log that answers when it is told to.
type slow struct{ reading, answer chan struct{} }

func (s slow) RevocationsSince(context.Context, time.Time) ([]authz.Revocation, error) {
	close(s.reading)
	<-s.answer
	return nil, nil
}

func TestApplyDoesNotWaitForTheStore(t *testing.T) {
	t.Parallel()
	s := slow{make(chan struct{}), make(chan struct{})}
	clock := storagetest.NewClock()
	v, err := revocation.New(revocation.Config{Log: s, Now: clock.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- v.Refresh(t.Context()) }()
	<-s.reading
	v.Apply(revoke(authz.KindGrant, "a", clock.Now()))
	if !v.Revoked(&validation.Principal{GrantID: "a"}) {
		t.Error("what was applied is not seen")
	}
	close(s.answer)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestRunLogsTheBeginAndTheEndOfAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(log)
		var lines bytes.Buffer
		v, err := revocation.New(revocation.Config{Log: l, Now: time.Now, Logger: slog.New(slog.NewTextHandler(&lines, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { v.Run(ctx); close(done) }()
		l.fail(errors.New("broken"))
		<-time.After(10 * revocation.Interval)
		l.fail(nil)
		<-time.After(10 * revocation.Interval)
		cancel()
		<-done
		if n := bytes.Count(lines.Bytes(), []byte("\n")); n != 2 {
			t.Errorf("%d lines, want one for the begin and one for the end:\n%s", n, lines.String())
		}
	})
}

// TestLogOfTheStore reads what the transitions of the records write: every kind of end is seen by another node's view.
func TestLogOfTheStore(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	db, err := memstore.Open(memstore.Config{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	if err != nil {
		t.Fatal(err)
	}
	store, err := authz.NewStore(db, sealer, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	v, err := revocation.New(revocation.Config{Log: store, Now: clock.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	session := authz.Session{ID: "ses_1", Subject: "usr_1", CreatedAt: clock.Now(), SeenAt: clock.Now(), ExpiresAt: clock.Now().Add(time.Hour), IdleTTL: 3600}
	if err := store.OpenSession(t.Context(), session, nil); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		name string
		do   func() error
		p    validation.Principal
	}{
		{"token", func() error { _, err := store.Revoke(t.Context(), authz.KindToken, "at_1"); return err }, validation.Principal{TokenID: "at_1"}},
		{"client", func() error { _, err := store.Revoke(t.Context(), authz.KindClient, "app"); return err }, validation.Principal{ClientID: "app", IssuedAt: clock.Now()}},
		{"session", func() error { _, err := store.EndSession(t.Context(), "ses_1"); return err }, validation.Principal{SessionID: "ses_1"}},
		{"subject", func() error {
			return db.Update(t.Context(), func(tx storage.Tx) error { return store.RevokeSubject(tx, "usr_1") })
		}, validation.Principal{Subject: "usr_1", IssuedAt: clock.Now()}},
	}
	for _, step := range steps {
		if v.Revoked(&step.p) {
			t.Fatalf("%s: revoked before it was", step.name)
		}
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Second)
		if err := v.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !v.Revoked(&step.p) {
			t.Errorf("%s: not seen", step.name)
		}
	}
}

// BenchmarkRevoked asks for a live token while a day's worth of everything else is revoked.
func BenchmarkRevoked(b *testing.B) {
	clock := storagetest.NewClock()
	v := newView(b, new(log), clock.Now)
	kinds := []authz.Kind{authz.KindToken, authz.KindGrant, authz.KindSession, authz.KindSubject}
	for i := range 50_000 {
		for _, kind := range kinds {
			v.Apply(revoke(kind, fmt.Sprintf("id_abcdefghijklmnopqrst%06d", i), clock.Now()))
		}
	}
	p := &validation.Principal{
		TokenID: "at_abcdefghijklmnopqrstuvwxyz", GrantID: "gra_abcdefghijklmnopqrstuvwxyz", SessionID: "ses_abcdefghijklmnopqrstuvwxyz",
		Subject: "usr_abcdefghijklmnopqrstuvwxyz", ClientID: "app", IssuedAt: clock.Now(),
	}
	b.Run("full", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if v.Revoked(p) {
				b.Fatal("revoked")
			}
		}
	})
	b.Run("full, with a device", func(b *testing.B) {
		with := *p
		with.Devices = []string{"dev_abcdefghijklmnopqrstuvwxyz"}
		v.Apply(revoke(authz.KindDevice, "dev_another", clock.Now()))
		b.ReportAllocs()
		for b.Loop() {
			if v.Revoked(&with) {
				b.Fatal("revoked")
			}
		}
	})
	b.Run("empty", func(b *testing.B) {
		v := newView(b, new(log), clock.Now)
		b.ReportAllocs()
		for b.Loop() {
			if v.Revoked(p) {
				b.Fatal("revoked")
			}
		}
	})
	b.Run("apply", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			v.Apply(revoke(authz.KindGrant, fmt.Sprint("grt_", i%1000), clock.Now()))
		}
	})
}

func TestRevokedTakesNoMemory(t *testing.T) {
	clock := storagetest.NewClock()
	v := newView(t, new(log), clock.Now)
	v.Apply(revoke(authz.KindGrant, "a", clock.Now()), revoke(authz.KindSubject, "b", clock.Now()), revoke(authz.KindDevice, "d", clock.Now()))
	p := &validation.Principal{
		Devices: []string{"c", "d"},
		TokenID: "t", GrantID: "g", SessionID: "s", Subject: "b", ClientID: "c", IssuedAt: clock.Now().Add(time.Hour)}
	if n := testing.AllocsPerRun(100, func() { v.Revoked(p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
