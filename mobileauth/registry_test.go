// SPDX-License-Identifier: Apache-2.0

package mobileauth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

func status(r *mobileauth.Registry, version string) mobileauth.Status {
	s, _ := r.Status("bank", "ios", version)
	return s
}

func want(t *testing.T, r *mobileauth.Registry, version string, want mobileauth.Status) {
	t.Helper()
	if got := status(r, version); got != want {
		t.Errorf("%s is %s, want %s", version, got, want)
	}
}

func TestOverride(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		app := bank(rule("2.*", mobileauth.Active), rule("1.*", mobileauth.Active))
		here, there := h.node(app), h.node(app)
		off := rule("1.*", mobileauth.Disabled)
		off.Messages, off.URL = map[string]string{"en": "Please update"}, "https://example.com/get"
		effects, err := here.Set(t.Context(), "bank", off)
		must(t, err)
		if len(effects) != 2 || effects[0].Status != mobileauth.Disabled || effects[1].Status != mobileauth.Disabled {
			t.Errorf("the effects are %+v", effects)
		}
		want(t, here, "1.2", mobileauth.Disabled)
		want(t, there, "1.2", mobileauth.Active)
		must(t, there.Refresh(t.Context()))
		want(t, there, "1.2", mobileauth.Disabled)
		want(t, there, "2.0", mobileauth.Active)
		if _, notice := there.Status("bank", "ios", "1.2"); notice.Text("en") != "Please update" || notice.URL != off.URL {
			t.Errorf("the notice is %+v", notice)
		}
		// An override takes the place of the one before it.
		_, err = there.Set(t.Context(), "bank", rule("1.*", mobileauth.NoRegistration))
		must(t, err)
		want(t, there, "1.2", mobileauth.NoRegistration)
		must(t, here.Refresh(t.Context()))
		want(t, here, "1.2", mobileauth.NoRegistration)
		effects, err = here.Unset(t.Context(), "bank", "1.*", "")
		must(t, err)
		if len(effects) != 2 || effects[0].Status != mobileauth.Active {
			t.Errorf("the effects are %+v", effects)
		}
		want(t, here, "1.2", mobileauth.Active)
		must(t, there.Refresh(t.Context()))
		want(t, there, "1.2", mobileauth.Active)
		want(t, h.node(app), "1.2", mobileauth.Active) // one that starts now
	})
}

func TestOverridesOutliveARestart(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		_, err := h.node(bank()).Set(t.Context(), "bank", rule("1.2", mobileauth.Disabled, "ios"))
		must(t, err)
		r := h.node(bank())
		want(t, r, "1.2", mobileauth.Disabled)
		want(t, r, "1.3", mobileauth.Active) // the configuration has no rules, so what nobody speaks of is welcome
		if got, _ := r.Status("bank", "android", "1.2"); got != mobileauth.Active {
			t.Errorf("on another platform it is %s", got)
		}
	})
}

// TestOverrideOfWhatIsGone: what is no longer configured is unknown, whatever the store says about it.
func TestOverrideOfWhatIsGone(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		r := h.node(bank())
		_, err := r.Set(t.Context(), "bank", rule("1.2", mobileauth.Active, "ios"))
		must(t, err)
		_, err = r.Set(t.Context(), "bank", rule("1.3", mobileauth.Disabled))
		must(t, err)
		narrow := bank()
		narrow.Platforms = map[string]string{"android": "com.example.bank"}
		other := h.node(narrow)
		if got, _ := other.Status("bank", "ios", "1.2"); got != mobileauth.Unknown {
			t.Errorf("on a platform that is gone it is %s", got)
		}
		if got, _ := other.Status("bank", "android", "1.3"); got != mobileauth.Disabled {
			t.Errorf("on the one that stays it is %s", got)
		}
		listing, err := other.Find("bank")
		must(t, err)
		if len(listing.Rules) != 1 {
			t.Errorf("the rules are %+v", listing.Rules)
		}
		none := h.node()
		want(t, none, "1.2", mobileauth.Unknown)
		if len(none.List()) != 0 {
			t.Errorf("the applications are %+v", none.List())
		}
	})
}

func TestChangesThatCannotBe(t *testing.T) {
	t.Parallel()
	r := inMemory(t, bank(rule("1.*", mobileauth.Active)))
	for _, test := range []struct {
		name string
		do   func() error
		want error
	}{
		{"unknown application", func() error { _, err := r.Set(t.Context(), "blank", rule("1", mobileauth.Disabled)); return err }, mobileauth.ErrNoApplication},
		{"unknown platform", func() error {
			_, err := r.Set(t.Context(), "bank", rule("1", mobileauth.Disabled, "web"))
			return err
		}, mobileauth.ErrInvalid},
		{"bad pattern", func() error { _, err := r.Set(t.Context(), "bank", rule("1.*.1", mobileauth.Disabled)); return err }, mobileauth.ErrInvalid},
		{"bad status", func() error { _, err := r.Set(t.Context(), "bank", rule("1", "off")); return err }, mobileauth.ErrInvalid},
		{"nothing to unset", func() error { _, err := r.Unset(t.Context(), "bank", "1.*", ""); return err }, mobileauth.ErrNoOverride},
		{"unset of an unknown application", func() error { _, err := r.Unset(t.Context(), "blank", "1.*", ""); return err }, mobileauth.ErrNoApplication},
		{"preview of a bad one", func() error { _, err := r.Preview("bank", rule("1", "off")); return err }, mobileauth.ErrInvalid},
		{"preview of an unset", func() error { _, err := r.PreviewUnset("bank", "1.*", ""); return err }, mobileauth.ErrNoOverride},
		{"preview of an unset of an unknown application", func() error { _, err := r.PreviewUnset("blank", "1.*", ""); return err }, mobileauth.ErrNoApplication},
		{"unknown application to find", func() error { _, err := r.Find("blank"); return err }, mobileauth.ErrNoApplication},
	} {
		if err := test.do(); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	want(t, r, "1.0", mobileauth.Active)
}

func TestPreviewChangesNothing(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		r := h.node(bank(rule("1.*", mobileauth.Active)))
		_, err := r.Set(t.Context(), "bank", rule("1.1", mobileauth.Disabled))
		must(t, err)
		planned, err := r.Preview("bank", rule("1.*", mobileauth.Disabled))
		must(t, err)
		unplanned, err := r.PreviewUnset("bank", "1.1", "")
		must(t, err)
		want(t, r, "1.1", mobileauth.Disabled)
		want(t, r, "1.2", mobileauth.Active)
		want(t, h.node(bank(rule("1.*", mobileauth.Active))), "1.2", mobileauth.Active)
		effects, err := r.Set(t.Context(), "bank", rule("1.*", mobileauth.Disabled))
		must(t, err)
		if diff := cmp.Diff(planned, effects); diff != "" {
			t.Errorf("the preview said something else:\n%s", diff)
		}
		if unplanned[0].Status != mobileauth.Active || unplanned[0].Rule.Pattern != "1.*" {
			t.Errorf("without the override it would be %+v", unplanned)
		}
	})
}

func TestListing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, engines.All[0])
	r := h.node(bank(rule("1.*", mobileauth.Active), rule("2.*", mobileauth.Active)), mobileauth.Application{
		ID: "atm", Platforms: map[string]string{"windows": "Atm"},
	})
	at := h.clock.Advance(time.Hour)
	_, err := r.Set(t.Context(), "bank", rule("1.*", mobileauth.Disabled))
	must(t, err)
	_, err = r.Set(t.Context(), "bank", rule("1.5", mobileauth.NoRegistration, "ios"))
	must(t, err)
	one := rule("1.*", mobileauth.Active)
	expected := []mobileauth.Listing{
		{ID: "atm", Platforms: map[string]string{"windows": "Atm"}, Rules: []mobileauth.Entry{}, Default: mobileauth.Active},
		{ID: "bank", Platforms: bank().Platforms, Default: mobileauth.Disabled, Rules: []mobileauth.Entry{
			{Rule: rule("1.*", mobileauth.Disabled), Override: true, ChangedAt: at, Configured: &one},
			{Rule: rule("1.5", mobileauth.NoRegistration, "ios"), Override: true, ChangedAt: at},
			{Rule: rule("2.*", mobileauth.Active)},
		}},
	}
	if diff := cmp.Diff(expected, r.List(), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestNothingIsKnownBeforeTheStoreWasRead(t *testing.T) {
	t.Parallel()
	h := newHouse(t, engines.All[0])
	r := h.asleep(bank())
	want(t, r, "1.0", mobileauth.Unknown)
	if !r.Disabled("bank", "ios", "1.0") || !r.Stale() {
		t.Error("a version passes before anybody knows whether it is switched off")
	}
	must(t, r.Refresh(t.Context()))
	want(t, r, "1.0", mobileauth.Active)
}

func TestFailureKeepsWhatIsKnownAndTurnsStale(t *testing.T) {
	t.Parallel()
	h := newHouse(t, engines.All[0])
	r := h.node(bank())
	_, err := r.Set(t.Context(), "bank", rule("1.0", mobileauth.Disabled))
	must(t, err)
	broken := errors.New("broken")
	h.db.Inject(storagetest.Fault{Op: storagetest.OnView, Err: broken})
	h.clock.Advance(mobileauth.StaleAfter)
	if err := r.Refresh(t.Context()); !errors.Is(err, broken) {
		t.Fatalf("the error is %v", err)
	}
	if r.Stale() {
		t.Error("stale at the very limit")
	}
	h.clock.Advance(time.Second)
	if !r.Stale() {
		t.Error("not stale after it")
	}
	want(t, r, "1.0", mobileauth.Disabled)
	want(t, r, "1.1", mobileauth.Active)
}

// TestAChangeThatWasNotMadeIsNotSeen: a failed transaction leaves every node as it was.
func TestAChangeThatWasNotMadeIsNotSeen(t *testing.T) {
	t.Parallel()
	h := newHouse(t, engines.All[0])
	r := h.node(bank())
	broken := errors.New("broken")
	h.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Nth: 1, Err: broken})
	if _, err := r.Set(t.Context(), "bank", rule("1.0", mobileauth.Disabled)); !errors.Is(err, broken) {
		t.Fatalf("the error is %v", err)
	}
	must(t, r.Refresh(t.Context()))
	want(t, r, "1.0", mobileauth.Active)
}

// TestAnOperatorWhoIsGone: a change that was made is seen by its node although nobody waits for the answer any more.
func TestAnOperatorWhoIsGone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, engines.All[0])
	ctx, cancel := context.WithCancel(t.Context())
	clock := func() time.Time { return h.clock.Now() }
	r, err := mobileauth.New(mobileauth.Config{
		DB: leaving{h.db, cancel}, Now: clock, Logger: slog.New(slog.DiscardHandler), Applications: []mobileauth.Application{bank()},
	})
	must(t, err)
	must(t, r.Refresh(t.Context()))
	_, err = r.Set(ctx, "bank", rule("1.0", mobileauth.Disabled))
	must(t, err)
	want(t, r, "1.0", mobileauth.Disabled)
}

// TestConcurrentChanges: many operators at many nodes change different rules at once, and none is lost.
func TestConcurrentChanges(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		nodes := []*mobileauth.Registry{h.node(bank()), h.node(bank())}
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				version := fmt.Sprintf("1.%d", i)
				node := nodes[i%2]
				if _, err := node.Set(t.Context(), "bank", rule(version, mobileauth.Disabled)); err != nil {
					t.Error(err)
				}
				if status(node, version) != mobileauth.Disabled {
					t.Errorf("%s was switched off here, and is not", version)
				}
			})
		}
		group.Wait()
		for _, node := range nodes {
			must(t, node.Refresh(t.Context()))
			for i := range 8 {
				want(t, node, fmt.Sprintf("1.%d", i), mobileauth.Disabled)
			}
		}
	})
}

func TestRunSeesWhatOthersChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db, err := memstore.Open(memstore.Config{Now: time.Now})
		must(t, err)
		faulty := storagetest.Faulty(db)
		var lines bytes.Buffer
		config := mobileauth.Config{
			DB: faulty, Now: time.Now, Logger: slog.New(slog.NewTextHandler(&lines, nil)), Applications: []mobileauth.Application{bank()},
		}
		here, err := mobileauth.New(config)
		must(t, err)
		config.DB = db
		there, err := mobileauth.New(config)
		must(t, err)
		must(t, here.Refresh(t.Context()))
		must(t, there.Refresh(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { here.Run(ctx); close(done) }()
		synctest.Wait()
		_, err = there.Set(t.Context(), "bank", rule("1.0", mobileauth.Disabled))
		must(t, err)
		<-time.After(mobileauth.Interval / 10) // of the bubble: a notice tells of it
		synctest.Wait()
		want(t, here, "1.0", mobileauth.Disabled)
		for range 4 {
			faulty.Inject(storagetest.Fault{Op: storagetest.OnView, Nth: 1, Err: errors.New("broken")})
			<-time.After(mobileauth.Interval)
		}
		<-time.After(time.Second)
		cancel()
		<-done
		if n := strings.Count(lines.String(), "\n"); n == 0 || n%2 != 0 {
			t.Errorf("%d lines, want one for each begin and one for each end:\n%s", n, lines.String())
		}
	})
}

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	h := newHouse(t, engines.All[0])
	logger := slog.New(slog.DiscardHandler)
	for _, c := range []mobileauth.Config{
		{Now: h.clock.Now, Logger: logger}, {DB: h.db, Logger: logger}, {DB: h.db, Now: h.clock.Now},
		{DB: h.db, Now: h.clock.Now, Logger: logger, Applications: []mobileauth.Application{{}}},
	} {
		if _, err := mobileauth.New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func TestAskingTakesNoMemory(t *testing.T) {
	r := inMemory(t, bank(rule("2.*", mobileauth.Active), rule("*", mobileauth.Disabled), rule("1.0", mobileauth.Notify)))
	for _, version := range []string{"2.17.3", "1.0", "0.9"} {
		if n := testing.AllocsPerRun(100, func() { r.Status("bank", "ios", version); r.Disabled("bank", "ios", version) }); n != 0 {
			t.Errorf("%s: %v allocations", version, n)
		}
	}
}

func BenchmarkDisabled(b *testing.B) {
	rules := []mobileauth.Rule{rule("*", mobileauth.Active)}
	for i := range 40 {
		rules = append(rules, rule(fmt.Sprintf("%d.*", i), mobileauth.Active), rule(fmt.Sprintf("%d.1.3", i), mobileauth.Disabled))
	}
	r := inMemory(b, bank(rules...))
	for _, version := range []string{"17.1.3", "17.2.0", "99.0"} {
		b.Run(version, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Disabled("bank", "ios", version)
			}
		})
	}
}

// TestReadersSeeOneOrTheOther: while rules change, who asks gets what held before or what holds after, for a rule and its notice
// alike, and never waits.
func TestReadersSeeOneOrTheOther(t *testing.T) {
	t.Parallel()
	r := inMemory(t, bank())
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				s, notice := r.Status("bank", "ios", "1.0")
				if told := notice.ID != ""; told != (s == mobileauth.Notify) || s != mobileauth.Notify && s != mobileauth.Active {
					t.Errorf("the status is %s with the notice %q", s, notice.ID)
				}
			}
		})
	}
	for range 50 {
		_, err := r.Set(t.Context(), "bank", rule("1.0", mobileauth.Notify))
		must(t, err)
		_, err = r.Unset(t.Context(), "bank", "1.0", "")
		must(t, err)
	}
	close(stop)
	group.Wait()
}
