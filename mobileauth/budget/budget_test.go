// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth/budget"
	"github.com/gatehouse-id/gatehouse/mobileauth/phonenumber"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

type house struct {
	*budget.Store
	t     testing.TB
	db    storage.DB
	clock *storagetest.Clock
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// over runs a test over every engine.
func over(t *testing.T, limits budget.Limits, test func(t *testing.T, h *house)) {
	t.Parallel()
	for _, engine := range engines.All {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			test(t, newHouse(t, engine, limits))
		})
	}
}

func newHouse(t testing.TB, engine engines.Engine, limits budget.Limits) *house {
	t.Helper()
	h := &house{t: t, clock: storagetest.NewClock()}
	h.clock.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	h.db = engine.Open(t, h.clock.Now)
	h.build(limits)
	return h
}

func (h *house) build(limits budget.Limits) {
	h.t.Helper()
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	must(h.t, err)
	h.Store, err = budget.New(budget.Config{DB: h.db, Sealer: sealer, Now: h.clock.Now, Limits: limits})
	must(h.t, err)
}

func message(t testing.TB, number, user string) budget.Message {
	t.Helper()
	n, err := phonenumber.Parse(number)
	must(t, err)
	return budget.Message{Number: n, UserID: user}
}

// send spends a message, and returns the limit that refuses it. What it says before and what happens agree.
func (h *house) send(number, user string) string {
	h.t.Helper()
	m := message(h.t, number, user)
	said := limitOf(h.t, h.db.View(h.t.Context(), func(tx storage.Tx) error { return h.Check(tx, m) }))
	did := limitOf(h.t, h.db.Update(h.t.Context(), func(tx storage.Tx) error { return h.Spend(tx, m) }))
	if said != did {
		h.t.Fatalf("it says %q and does %q", said, did)
	}
	return did
}

func limitOf(t testing.TB, err error) string {
	t.Helper()
	var spent *budget.SpentError
	if err != nil && (!errors.As(err, &spent) || !errors.Is(err, budget.ErrSpent)) {
		t.Fatal(err)
	}
	if spent == nil {
		return ""
	}
	return spent.Limit
}

func TestLimits(t *testing.T) {
	limits := budget.Limits{Number: 3, Prefix: 5, User: 4, All: 12, Countries: map[string]int{"be": 2}}
	over(t, limits, func(t *testing.T, h *house) {
		steps := []struct{ number, user, want string }{
			{"+31612345678", "a", ""}, {"+31612345678", "b", ""}, {"+31 6 1234 5678", "c", ""}, {"+31612345678", "d", budget.OfNumber},
			{"+31612345679", "e", ""}, {"+31612340000", "e", ""}, {"+31612340001", "e", budget.OfPrefix},
			{"+31622340001", "e", ""}, {"+31632340001", "e", ""}, {"+31642340001", "e", budget.OfUser},
			{"+32470123456", "f", ""}, {"+32471123456", "g", ""}, {"+32472123456", "h", budget.OfCountry},
			{"+31652340001", "i", ""}, {"+31662340001", "j", ""}, {"+31612440001", "k", ""}, {"+31612540001", "l", budget.OfAll},
			{"+4915123456789", "m", budget.OfAll},
		}
		for i, s := range steps {
			if got := h.send(s.number, s.user); got != s.want {
				t.Fatalf("%d. %s for %s: refused by %q, want %q", i+1, s.number, s.user, got, s.want)
			}
		}
	})
}

// TestHourSlides: what was sent in the hour before counts for as long as it is not an hour ago.
func TestHourSlides(t *testing.T) {
	over(t, budget.Limits{Number: 4, User: 60}, func(t *testing.T, h *house) {
		const number = "+31612345678"
		for range 4 {
			if limit := h.send(number, "a"); limit != "" {
				t.Fatal(limit)
			}
		}
		for _, step := range []struct {
			after time.Duration
			more  int
		}{{59 * time.Minute, 0}, {time.Minute, 0}, {15 * time.Minute, 1}, {30 * time.Minute, 2}, {3 * time.Hour, 4}} {
			h.clock.Advance(step.after)
			more := 0
			for h.send(number, "a") == "" {
				more++
			}
			if more != step.more {
				t.Errorf("%s later %d more, want %d", step.after, more, step.more)
			}
		}
	})
}

// TestRefusalsCountNothing: what one limit refuses takes nothing from the others.
func TestRefusalsCountNothing(t *testing.T) {
	over(t, budget.Limits{Number: 1, All: 3}, func(t *testing.T, h *house) {
		h.send("+31612345678", "a")
		for range 10 {
			if limit := h.send("+31612345678", "a"); limit != budget.OfNumber {
				t.Fatal(limit)
			}
		}
		for _, number := range []string{"+31622345678", "+31632345678"} {
			if limit := h.send(number, "a"); limit != "" {
				t.Errorf("%s: %s", number, limit)
			}
		}
	})
}

// TestAtOnce: many that send at once get no more than there is.
func TestAtOnce(t *testing.T) {
	over(t, budget.Limits{All: 5}, func(t *testing.T, h *house) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		sent := 0
		for i := range 12 {
			wg.Go(func() {
				m := message(t, fmt.Sprintf("+3161%d345678", i%10), fmt.Sprint(i))
				err := h.db.Update(t.Context(), func(tx storage.Tx) error { return h.Spend(tx, m) })
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					sent++
				case !errors.Is(err, budget.ErrSpent) && !errors.Is(err, storage.ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if sent > 5 || sent == 0 {
			t.Errorf("%d were sent", sent)
		}
	})
}

func TestConversions(t *testing.T) {
	over(t, budget.Limits{}, func(t *testing.T, h *house) {
		typed := func(number string) {
			t.Helper()
			m := message(t, number, "")
			must(t, h.db.Update(t.Context(), func(tx storage.Tx) error { return h.Typed(tx, m.Number) }))
		}
		conversions := func() []budget.Conversion {
			t.Helper()
			all, err := h.Conversions(t.Context())
			must(t, err)
			return all
		}
		if all := conversions(); len(all) != 0 {
			t.Errorf("before anything: %v", all)
		}
		for i := range 3 {
			h.send(fmt.Sprintf("+316%d2345678", i), "a")
			h.send(fmt.Sprintf("+3247%d123456", i), "b")
		}
		typed("+31612345678")
		typed("+31622345678")
		h.clock.Advance(time.Hour)
		h.send("+31612345678", "a")
		typed("+31612345678")
		want := []budget.Conversion{{"BE", 3, 0}, {"NL", 4, 3}}
		if diff := cmp.Diff(want, conversions()); diff != "" {
			t.Error(diff)
		}
		h.clock.Advance(3 * time.Hour)
		if all := conversions(); len(all) != 0 {
			t.Errorf("hours later: %v", all)
		}
	})
}

// TestStoreHoldsNoNumber: neither a key nor a value of the store says to whom was sent.
func TestStoreHoldsNoNumber(t *testing.T) {
	t.Parallel()
	h := newHouse(t, engines.All[0], budget.Limits{})
	h.send("+31612345678", "usr_alice")
	must(t, h.db.View(t.Context(), func(tx storage.Tx) error {
		n := 0
		for item, err := range tx.Scan("sms_budget", "", 0) {
			if err != nil {
				return err
			}
			n++
			for _, secret := range []string{"31612345678", "3161234", "usr_alice"} {
				if strings.Contains(item.Key+string(item.Value), secret) {
					t.Errorf("%s: %s", item.Key, item.Value)
				}
			}
			if item.ExpiresAt.IsZero() {
				t.Errorf("%s stays for ever", item.Key)
			}
		}
		if n != 5 {
			t.Errorf("%d counters", n)
		}
		return nil
	}))
}

// TestFaults: whichever read or write fails, nothing is counted.
func TestFaults(t *testing.T) {
	t.Parallel()
	h := newHouse(t, engines.All[0], budget.Limits{})
	frail := storagetest.Frail(engines.All[0].Plain(t, h.clock.Now))
	h.db = frail
	h.build(budget.Limits{})
	m := message(t, "+31612345678", "a")
	broken := 0
	for nth := 1; ; nth++ {
		frail.Break(nth)
		err := h.db.Update(t.Context(), func(tx storage.Tx) error { return h.Spend(tx, m) })
		if !frail.Broken() {
			must(t, err)
			break
		}
		if broken++; !errors.Is(err, storagetest.ErrFrail) {
			t.Errorf("operation %d: %v", nth, err)
		}
	}
	frail.Break(1)
	if _, err := h.Conversions(t.Context()); !errors.Is(err, storagetest.ErrFrail) {
		t.Errorf("conversions: %v", err)
	}
	frail.Break(0)
	all, err := h.Conversions(t.Context())
	must(t, err)
	if broken < 10 || len(all) != 1 || all[0].Sent != 1 {
		t.Errorf("%d were broken, and %v was sent", broken, all)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	h := newHouse(t, engines.All[0], budget.Limits{})
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	must(t, err)
	for name, c := range map[string]budget.Config{
		"nothing":    {},
		"less":       {DB: h.db, Sealer: sealer, Now: h.clock.Now, Limits: budget.Limits{All: -1}},
		"no country": {DB: h.db, Sealer: sealer, Now: h.clock.Now, Limits: budget.Limits{Countries: map[string]int{"": 1}}},
		"more":       {DB: h.db, Sealer: sealer, Now: h.clock.Now, Limits: budget.Limits{Number: budget.MaxLimit + 1}},
		"more to it": {DB: h.db, Sealer: sealer, Now: h.clock.Now, Limits: budget.Limits{Countries: map[string]int{"NL": budget.MaxLimit + 1}}},
		"none to it": {DB: h.db, Sealer: sealer, Now: h.clock.Now, Limits: budget.Limits{Countries: map[string]int{"NL": 0}}},
	} {
		if _, err := budget.New(c); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// TestNeverMoreThanTwice: however messages come, within any hour no more than twice a limit is sent (the window before counts in
// part), and no more than the limit within an hour of the clock.
func TestNeverMoreThanTwice(t *testing.T) {
	t.Parallel()
	run := 0
	h := newHouse(t, engines.All[0], budget.Limits{Number: 5, User: 60, All: budget.MaxLimit, Prefix: budget.MaxLimit})
	rapid.Check(t, func(rt *rapid.T) {
		run++
		number, user := fmt.Sprintf("+316%08d", 10000000+run), fmt.Sprint(run)
		var sent []time.Time
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			h.clock.Advance(time.Duration(rapid.IntRange(0, 30).Draw(rt, "minutes")) * time.Minute)
			if h.send(number, user) == "" {
				sent = append(sent, h.clock.Now())
			}
		}
		for i, from := range sent {
			any, clock := 0, 0
			for _, at := range sent[i:] {
				if at.Sub(from) < time.Hour {
					any++
				}
				if at.Truncate(time.Hour).Equal(from.Truncate(time.Hour)) {
					clock++
				}
			}
			if any > 10 || clock > 5 {
				rt.Fatalf("%d within an hour, %d within one of the clock", any, clock)
			}
		}
	})
}

func BenchmarkSpend(b *testing.B) {
	h := newHouse(b, engines.All[0], budget.Limits{Number: 1 << 30, Prefix: 1 << 30, User: 1 << 30, All: 1 << 30})
	m := message(b, "+31612345678", "a")
	b.ReportAllocs()
	for b.Loop() {
		must(b, h.db.Update(b.Context(), func(tx storage.Tx) error { return h.Spend(tx, m) }))
	}
}
