// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/trips"
)

// ledger is a trail whose store can be written to by an attacker.
type ledger struct {
	clock *storagetest.Clock
	db    storage.DB
	trail *audit.Trail
	ctx   context.Context
}

type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func newLedger(t fataler, ctx context.Context) *ledger {
	t.Helper()
	l := &ledger{clock: storagetest.NewClock(), ctx: ctx}
	var err error
	if l.db, err = memstore.Open(memstore.Config{Now: l.clock.Now}); err != nil {
		t.Fatal(err)
	}
	l.trail = l.open(t, testSealer(t))
	return l
}

func testSealer(t fataler) storage.Sealer {
	t.Helper()
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(i)
	}
	sealer, err := seal.New(seal.Key{ID: "k", Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

func (l *ledger) open(t fataler, sealer storage.Sealer) *audit.Trail {
	t.Helper()
	trail, err := audit.New(audit.Config{DB: l.db, Logger: slog.New(slog.DiscardHandler), Now: l.clock.Now, Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	return trail
}

// record stores events, a second apart.
func (l *ledger) record(t fataler, n int) (ids []string) {
	t.Helper()
	for i := range n {
		e := l.trail.Prepare(audit.Event{Name: "test", Subject: fmt.Sprint(i)})
		if err := l.db.Update(l.ctx, func(tx storage.Tx) error { return l.trail.Append(tx, e) }); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
		l.clock.Advance(time.Second)
	}
	return ids
}

// seal seals until nothing is left, and returns the head.
func (l *ledger) seal(t fataler) (last audit.Head) {
	t.Helper()
	for {
		n, head, err := l.trail.Seal(l.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return last
		}
		last = head
	}
}

func (l *ledger) verify(t fataler, noted ...audit.Head) audit.Report {
	t.Helper()
	report, err := l.trail.Verify(l.ctx, noted...)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// attack changes the store behind the trail's back.
func (l *ledger) attack(t fataler, change func(tx storage.Tx) error) {
	t.Helper()
	if err := l.db.Update(l.ctx, change); err != nil {
		t.Fatal(err)
	}
}

func (l *ledger) keys(t fataler, prefix string) (keys []string) {
	t.Helper()
	if err := l.db.View(l.ctx, func(tx storage.Tx) error {
		for item, err := range tx.Scan(prefix, "", 0) {
			if err != nil {
				return err
			}
			keys = append(keys, item.Key)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return keys
}

// modify returns a change of the value under a key.
func modify(key string, with func(value []byte) []byte) func(tx storage.Tx) error {
	return func(tx storage.Tx) error {
		item, err := tx.Get(key)
		if err != nil {
			return err
		}
		item.Value = with(item.Value)
		return tx.Put(item)
	}
}

func remove(keys ...string) func(tx storage.Tx) error {
	return func(tx storage.Tx) error {
		for _, key := range keys {
			if _, err := tx.Get(key); err != nil {
				return err
			}
			if err := tx.Delete(key); err != nil {
				return err
			}
		}
		return nil
	}
}

// swap exchanges two values.
func swap(a, b string) func(tx storage.Tx) error {
	return func(tx storage.Tx) error {
		one, err := tx.Get(a)
		if err != nil {
			return err
		}
		two, err := tx.Get(b)
		if err != nil {
			return err
		}
		one.Value, two.Value = two.Value, one.Value
		return errors.Join(tx.Put(one), tx.Put(two))
	}
}

func replace(old, fresh string) func([]byte) []byte {
	return func(value []byte) []byte { return []byte(strings.Replace(string(value), old, fresh, 1)) }
}

func TestAWholeTrailVerifies(t *testing.T) {
	t.Parallel()
	l := newLedger(t, t.Context())
	if report := l.verify(t); !report.OK() || report.Seals != 0 || report.Head != (audit.Head{}) {
		t.Errorf("an empty trail: %+v", report)
	}
	l.record(t, 150)
	if report := l.verify(t); !report.OK() || report.Unsealed != 150 || report.Events != 0 {
		t.Errorf("before it is sealed: %+v", report)
	}
	head := l.seal(t)
	l.record(t, 2)
	want := audit.Report{Head: head, First: 1, Seals: 3, Events: 150, Unsealed: 2, Findings: []audit.Finding{}}
	if diff := cmp.Diff(want, l.verify(t, head)); diff != "" {
		t.Error(diff)
	}
	if head.Sequence != 3 || len(head.Hash) != 43 || !head.Time.Equal(l.clock.Now().Add(-2*time.Second)) {
		t.Errorf("the head is %+v", head)
	}
	if noted, err := audit.ParseHead(head.String()); err != nil || !l.verify(t, noted).OK() {
		t.Errorf("a head that was noted on paper: %+v, %v", noted, err)
	}
}

func TestVerifyFinds(t *testing.T) {
	t.Parallel()
	const event, sealed = "audit/", "audit_seal/0000000000000000000"
	type trail = []string // the ids of its events
	for _, tt := range []struct {
		name   string
		change func(ids trail) func(tx storage.Tx) error
		want   []string
	}{
		{"a field changed", func(ids trail) func(storage.Tx) error {
			return modify(event+ids[70], replace(`"70"`, `"71"`))
		}, []string{audit.EventAltered}},
		{"a space added", func(ids trail) func(storage.Tx) error {
			return modify(event+ids[70], replace(`":"`, `": "`))
		}, []string{audit.EventAltered}},
		{"two events exchanged", func(ids trail) func(storage.Tx) error {
			return swap(event+ids[3], event+ids[4])
		}, []string{audit.EventAltered, audit.EventAltered}},
		{"an event that ends earlier", func(ids trail) func(storage.Tx) error {
			return func(tx storage.Tx) error {
				item, err := tx.Get(event + ids[5])
				item.ExpiresAt = item.ExpiresAt.Add(-time.Hour)
				return errors.Join(err, tx.Put(item))
			}
		}, []string{audit.EventAltered}},
		{"the first event removed", func(ids trail) func(storage.Tx) error { return remove(event + ids[0]) }, []string{audit.EventRemoved}},
		{"the last event removed", func(ids trail) func(storage.Tx) error { return remove(event + ids[199]) }, []string{audit.EventRemoved}},
		{"an event moved", func(ids trail) func(storage.Tx) error {
			return func(tx storage.Tx) error {
				item, err := tx.Get(event + ids[5])
				item.Key = event + ids[5] + "x"
				return errors.Join(err, tx.Put(item), tx.Delete(event+ids[5]))
			}
		}, []string{audit.EventRemoved, audit.EventInserted}},
		{"an event added", func(ids trail) func(storage.Tx) error {
			return func(tx storage.Tx) error {
				return tx.Put(storage.Item{Key: event + ids[9] + "0", Value: []byte("\x01{}")})
			}
		}, []string{audit.EventInserted}},
		{"an event added that has no time", func(trail) func(storage.Tx) error {
			return func(tx storage.Tx) error { return tx.Put(storage.Item{Key: event + "evil", Value: []byte("\x01{}")}) }
		}, []string{audit.EventInserted}},
		{"the mark of an unsealed event removed", func(ids trail) func(storage.Tx) error {
			return remove("audit_mark/" + ids[200])
		}, []string{audit.EventInserted}},
		{"a seal changed", func(trail) func(storage.Tx) error {
			return modify(sealed+"2", replace(`"time":1`, `"time":2`))
		}, []string{audit.SealAltered}},
		{"a seal in another form that says the same", func(trail) func(storage.Tx) error {
			return modify(sealed+"2", replace(`"body":`, `"Body":`))
		}, []string{audit.SealAltered}},
		{"a seal that cannot be read", func(trail) func(storage.Tx) error {
			return modify(sealed+"2", func([]byte) []byte { return []byte("\x01{") })
		}, append([]string{audit.SealAltered, audit.SealExchanged}, slices.Repeat([]string{audit.EventInserted}, 61)...)},
		{"a seal of a later release", func(trail) func(storage.Tx) error {
			return modify(sealed+"4", func(value []byte) []byte { return append([]byte{2}, value[1:]...) })
		}, append([]string{audit.SealAltered, audit.HeadAltered}, slices.Repeat([]string{audit.EventInserted}, 17)...)},
		{"two seals exchanged", func(trail) func(storage.Tx) error { return swap(sealed+"2", sealed+"3") },
			[]string{audit.SealAltered, audit.SealAltered, audit.SealExchanged}},
		{"the first seal removed", func(trail) func(storage.Tx) error { return remove(sealed + "1") },
			append([]string{audit.SealRemoved}, slices.Repeat([]string{audit.EventInserted}, 61)...)},
		{"the first seal removed with its events", func(ids trail) func(storage.Tx) error {
			return func(tx storage.Tx) error {
				for _, id := range ids[:61] {
					if err := remove(event + id)(tx); err != nil {
						return err
					}
				}
				return remove(sealed + "1")(tx)
			}
		}, []string{audit.SealRemoved}},
		{"a seal in the middle removed with its events", func(ids trail) func(storage.Tx) error {
			return func(tx storage.Tx) error {
				for _, id := range ids[61:122] {
					if err := remove(event + id)(tx); err != nil {
						return err
					}
				}
				return remove(sealed + "2")(tx)
			}
		}, []string{audit.SealRemoved}},
		{"the last seal removed with its events", func(ids trail) func(storage.Tx) error {
			return func(tx storage.Tx) error {
				for _, id := range ids[183:200] {
					if err := remove(event + id)(tx); err != nil {
						return err
					}
				}
				return remove(sealed + "4")(tx)
			}
		}, []string{audit.SealRemoved}},
		{"every seal removed", func(trail) func(storage.Tx) error {
			return remove(sealed+"1", sealed+"2", sealed+"3", sealed+"4")
		}, append([]string{audit.SealRemoved}, slices.Repeat([]string{audit.EventInserted}, 200)...)},
		{"the head set back", func(trail) func(storage.Tx) error {
			return modify("audit_chain/head", replace(`"sequence":4`, `"sequence":3`))
		}, []string{audit.HeadAltered}},
		{"the head altered", func(trail) func(storage.Tx) error {
			return modify("audit_chain/head", replace(`"hash":"`, `"hash":"x`))
		}, []string{audit.HeadAltered}},
		{"the head damaged", func(trail) func(storage.Tx) error {
			return modify("audit_chain/head", func([]byte) []byte { return nil })
		}, []string{audit.HeadAltered}},
		{"the head removed", func(trail) func(storage.Tx) error { return remove("audit_chain/head") }, []string{audit.HeadRemoved}},
		{"the key removed", func(trail) func(storage.Tx) error { return remove("audit_chain/key") }, []string{audit.KeyRemoved}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t, t.Context())
			ids := l.record(t, 200)
			l.seal(t)
			ids = append(ids, l.record(t, 1)...)
			l.attack(t, tt.change(ids))
			report := l.verify(t)
			var got []string
			for _, f := range report.Findings {
				got = append(got, f.What)
			}
			want := slices.Clone(tt.want)
			if report.Found != len(want) || report.OK() {
				t.Errorf("found %d, want %d", report.Found, len(want))
			}
			want = want[:min(len(want), audit.MaxFindings)]
			sortStrings := cmpopts.SortSlices(func(a, b string) bool { return a < b })
			if diff := cmp.Diff(want, got, sortStrings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFindingsSayWhere(t *testing.T) {
	t.Parallel()
	l := newLedger(t, t.Context())
	ids := l.record(t, 100)
	l.seal(t)
	l.attack(t, remove("audit/"+ids[80]))
	want := []audit.Finding{{What: audit.EventRemoved, Event: ids[80], Seal: 2}}
	if diff := cmp.Diff(want, l.verify(t).Findings); diff != "" {
		t.Error(diff)
	}
}

// What is taken away before it is sealed leaves its mark, or nothing.
func TestAnEventRemovedBeforeItIsSealed(t *testing.T) {
	t.Parallel()
	l := newLedger(t, t.Context())
	ids := l.record(t, 3)
	l.attack(t, remove("audit/"+ids[1]))
	l.seal(t)
	if got := l.verify(t).Findings; len(got) != 1 || got[0].What != audit.EventRemoved || got[0].Event != ids[1] {
		t.Errorf("found %v", got)
	}
}

// An end that is taken back with its head can only be told by a head that was noted elsewhere.
func TestAnEndThatIsTakenBack(t *testing.T) {
	t.Parallel()
	l := newLedger(t, t.Context())
	l.record(t, 50)
	early := l.seal(t)
	var before storage.Item
	l.attack(t, func(tx storage.Tx) (err error) {
		before, err = tx.Get("audit_chain/head")
		return err
	})
	ids := l.record(t, 20)
	late := l.seal(t)
	l.attack(t, func(tx storage.Tx) error {
		for _, id := range ids {
			if err := tx.Delete("audit/" + id); err != nil {
				return err
			}
		}
		return errors.Join(remove("audit_seal/00000000000000000002")(tx), tx.Put(before))
	})
	for _, tt := range []struct {
		name  string
		noted []audit.Head
		found int
	}{
		{"no head was noted", nil, 0}, {"one from before", []audit.Head{early}, 0}, {"the last", []audit.Head{early, late}, 1},
		{"another with its number", []audit.Head{{Sequence: 1, Hash: late.Hash}}, 1},
	} {
		report := l.verify(t, tt.noted...)
		if report.Found != tt.found || tt.found > 0 && report.Findings[0].What != audit.TakenBack {
			t.Errorf("%s: %+v", tt.name, report)
		}
	}
	l.record(t, 20)
	l.seal(t) // in the place of what was there
	if report := l.verify(t, late); report.Found != 1 || report.Findings[0] != (audit.Finding{What: audit.TakenBack, Seal: 2}) {
		t.Errorf("with another end: %+v", report)
	}
}

// Who has the store and not the sealing key cannot make a seal: what he computes with a key of his own is found.
func TestTheChainIsKeyed(t *testing.T) {
	t.Parallel()
	l := newLedger(t, t.Context())
	ids := l.record(t, 3)
	l.seal(t)
	l.attack(t, func(tx storage.Tx) error {
		item, err := tx.Get("audit_chain/key")
		if err == nil && len(item.Value) < 40 {
			err = errors.New("the key is not sealed")
		}
		item.Value = make([]byte, 32)
		return errors.Join(err, modify("audit/"+ids[0], replace(`"0"`, `"9"`))(tx), remove("audit_chain/head", "audit_chain/key",
			"audit_seal/00000000000000000001")(tx), tx.Put(storage.Item{Key: "audit_mark/" + ids[0]}),
			tx.Put(storage.Item{Key: "audit_mark/" + ids[1]}), tx.Put(storage.Item{Key: "audit_mark/" + ids[2]}))
	})
	forger := l.open(t, nil)
	if _, _, err := forger.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if report, err := forger.Verify(t.Context()); err != nil || !report.OK() {
		t.Fatalf("the forger's own trail: %+v, %v", report, err)
	}
	if report, err := l.trail.Verify(t.Context()); !errors.Is(err, seal.ErrDamaged) {
		t.Errorf("the forged trail: %+v, %v", report, err)
	}
}

// A chain that lacks its head or its key is not begun anew.
func TestABrokenChainIsNotGoneOnWith(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"audit_chain/head", "audit_chain/key"} {
		l := newLedger(t, t.Context())
		l.record(t, 3)
		l.seal(t)
		seals := l.keys(t, "audit_seal/")
		l.attack(t, remove(part))
		l.record(t, 1)
		if _, _, err := l.trail.Seal(t.Context()); err == nil || !strings.Contains(err.Error(), "removed") {
			t.Errorf("without %s: %v", part, err)
		}
		if diff := cmp.Diff(seals, l.keys(t, "audit_seal/")); diff != "" {
			t.Error(diff)
		}
	}
}

// Events and seals end when their time is over, and that is no finding.
func TestAnOldTrailVerifies(t *testing.T) {
	t.Parallel()
	l := newLedger(t, t.Context())
	l.record(t, 70)
	early := l.seal(t)
	l.clock.Advance(audit.Keep - time.Minute)
	l.record(t, 10)
	middle := l.seal(t)
	if report := l.verify(t, early); !report.OK() || report.Expired == 0 || report.Expired+report.Events != 80 {
		t.Errorf("while the first events end: %+v", report)
	}
	l.clock.Advance(25 * time.Hour)
	if report := l.verify(t, early, middle); !report.OK() || report.First != 3 || report.Events != 10 || report.Expired != 0 {
		t.Errorf("after the first seals have ended: %+v", report)
	}
	l.attack(t, remove("audit_seal/00000000000000000003"))
	if report := l.verify(t); report.OK() {
		t.Error("a seal that was removed counts as ended")
	}
	l.clock.Advance(2 * audit.Keep)
	if report := l.verify(t, early, middle); !report.OK() || report.Head != middle || report.Seals != 0 {
		t.Errorf("after everything has ended: %+v", report)
	}
	l.record(t, 1)
	late := l.seal(t)
	if report := l.verify(t, early, middle, late); !report.OK() || late.Sequence != 4 || report.First != 4 {
		t.Errorf("after it has gone on: %+v", report)
	}
}

// Whatever the order in which events commit and are sealed, nothing is found; whatever is done to one item afterwards, something
// is.
func TestVerifyProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := newLedger(rt, t.Context())
		var held []audit.Event
		commit := func(i int) {
			e := held[i]
			held = slices.Delete(held, i, i+1)
			l.attack(rt, func(tx storage.Tx) error { return l.trail.Append(tx, e) })
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"prepare", "prepare", "prepare", "commit", "commit", "seal", "wait"}).Draw(rt, "step") {
			case "prepare":
				held = append(held, l.trail.Prepare(audit.Event{Name: "test"}))
				l.clock.Advance(time.Duration(rapid.IntRange(0, 5).Draw(rt, "millis")) * time.Millisecond)
			case "commit":
				if len(held) > 0 {
					commit(rapid.IntRange(0, len(held)-1).Draw(rt, "which"))
				}
			case "seal":
				if _, _, err := l.trail.Seal(l.ctx); err != nil {
					rt.Fatal(err)
				}
			case "wait":
				l.clock.Advance(time.Duration(rapid.IntRange(1, 180).Draw(rt, "minutes")) * time.Minute)
			}
		}
		for len(held) > 0 {
			commit(0)
		}
		if report := l.verify(rt); !report.OK() {
			rt.Fatalf("nothing was done, and found was %+v", report)
		}
		head := l.seal(rt)
		if report := l.verify(rt, head); !report.OK() || report.Unsealed != 0 {
			rt.Fatalf("nothing was done, and found was %+v", report)
		}
		keys := append(l.keys(rt, "audit/"), l.keys(rt, "audit_seal/")...)
		if len(keys) == 0 {
			return
		}
		key := rapid.SampledFrom(keys).Draw(rt, "key")
		if rapid.Bool().Draw(rt, "remove") {
			l.attack(rt, remove(key))
		} else {
			l.attack(rt, modify(key, func(value []byte) []byte {
				value[rapid.IntRange(0, len(value)-1).Draw(rt, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
				return value
			}))
		}
		if report := l.verify(rt); report.OK() {
			rt.Fatalf("%s was changed, and nothing found: %+v", key, report)
		}
	})
}

// Several nodes seal at once: each event is sealed once, and the chain is one.
func TestNodesSealSideBySide(t *testing.T) {
	t.Parallel()
	db, err := badgerstore.Open(t.Context(), badgerstore.Config{Dir: t.TempDir(), Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	l := &ledger{clock: storagetest.NewClock(), db: storagetest.Twice(db, 7), ctx: t.Context()}
	l.trail = l.open(t, testSealer(t))
	const events, nodes = 300, 4
	var wg sync.WaitGroup
	for range nodes {
		node := l.open(t, testSealer(t))
		wg.Go(func() {
			for range events / nodes {
				if err := node.Record(t.Context(), audit.Event{Name: "test"}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 30 {
				if _, _, err := node.Seal(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	l.seal(t)
	if report := l.verify(t); !report.OK() || report.Events != events || report.Unsealed != 0 {
		t.Errorf("%+v", report)
	}
}

func TestRunSealsAndLogsTheHead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db, err := memstore.Open(memstore.Config{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		faulty := storagetest.Faulty(db)
		var lines buffer
		trail, err := audit.New(audit.Config{
			DB: faulty, Logger: slog.New(slog.NewTextHandler(&lines, nil)), Now: time.Now, Sealer: testSealer(t),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			trail.Run(ctx)
		}()
		elapse := func(d time.Duration) {
			<-time.After(d)
			synctest.Wait()
		}
		record := func(n int) {
			for range n {
				e := trail.Prepare(audit.Event{Name: "test"})
				if err := db.Update(t.Context(), func(tx storage.Tx) error { return trail.Append(tx, e) }); err != nil {
					t.Fatal(err)
				}
			}
		}
		check := func(when string, events, unsealed, heads int) {
			t.Helper()
			report, err := trail.Verify(t.Context())
			if err != nil || !report.OK() || report.Events != events || report.Unsealed != unsealed {
				t.Errorf("%s: %+v, %v", when, report, err)
			}
			if got := strings.Count(lines.String(), "audit chain"); got != heads {
				t.Errorf("%s: %d heads in the log, want %d", when, got, heads)
			}
		}
		elapse(time.Second)
		record(200)
		check("at once", 0, 200, 0)
		elapse(time.Second)
		check("a second later", 200, 0, 1)
		record(1)
		elapse(time.Minute)
		check("a minute later", 201, 0, 1)
		record(1)
		elapse(2 * time.Hour)
		check("hours later", 202, 0, 1)
		record(1)
		elapse(time.Second)
		check("with another event", 203, 0, 2)

		faulty.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: storage.ErrFull})
		record(1)
		elapse(time.Minute)
		check("while the store is full", 203, 1, 2)
		faulty.Clear()
		elapse(time.Second)
		check("when there is space again", 204, 0, 2)
		if strings.Count(lines.String(), "are not sealed") != 1 || strings.Count(lines.String(), "sealed again") != 1 {
			t.Errorf("the log says %s", lines.String())
		}
		cancel()
		<-done
	})
}

// A mark that is committed late is found by the next look, and one from a node whose clock is far behind when the marks are
// looked through from their beginning.
func TestRunFindsLateMarks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db, err := memstore.Open(memstore.Config{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		late := func(by time.Duration) *audit.Trail {
			trail, err := audit.New(audit.Config{
				DB: db, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Now().Add(-by) },
			})
			if err != nil {
				t.Fatal(err)
			}
			return trail
		}
		trail := late(0)
		go trail.Run(ctx)
		<-time.After(time.Minute)
		for _, by := range []time.Duration{time.Hour, 8 * time.Second, 0} {
			if err := late(by).Record(t.Context(), audit.Event{Name: "test"}); err != nil {
				t.Fatal(err)
			}
		}
		for _, later := range []struct {
			after time.Duration
			want  int
		}{{time.Second, 2}, {8 * time.Minute, 2}, {2 * time.Minute, 3}} {
			<-time.After(later.after)
			synctest.Wait()
			if report, err := trail.Verify(t.Context()); err != nil || !report.OK() || report.Events != later.want {
				t.Errorf("after %s: want %d: %+v, %v", later.after, later.want, report, err)
			}
		}
	})
}

func TestVerifySaysWhenTheStoreFailed(t *testing.T) {
	t.Parallel()
	for nth := 1; nth <= 5; nth++ {
		l := newLedger(t, t.Context())
		faulty := storagetest.Faulty(l.db)
		l.db = faulty
		l.trail = l.open(t, testSealer(t))
		l.record(t, 100)
		l.seal(t)
		faulty.Inject(storagetest.Fault{Op: storagetest.OnView, Nth: nth, Err: storage.ErrClosed})
		if report, err := l.trail.Verify(t.Context()); !errors.Is(err, storage.ErrClosed) || report.Seals != 0 {
			t.Errorf("view %d: %+v, %v", nth, report, err)
		}
	}
}

func TestParseHeadRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "1", "1:", ":x", "x:y", "-1:x", "01:x", "+1:x", " 1:x", "1 :x", "99999999999999999999:x"} {
		if h, err := audit.ParseHead(text); !errors.Is(err, audit.ErrQuery) || h != (audit.Head{}) {
			t.Errorf("ParseHead(%q) = %v, %v", text, h, err)
		}
	}
}

// buffer is safe for concurrent use.
type buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestSealReadsTogether: events are sealed at the rate at which they can be read, which is not one by one.
func TestSealReadsTogether(t *testing.T) {
	t.Parallel()
	l := newLedger(t, t.Context())
	counted := trips.Count(l.db)
	l.db = counted
	l.trail = l.open(t, testSealer(t))
	for range 2 {
		for range 20 {
			if err := l.trail.Record(t.Context(), audit.Event{Name: "a.b"}); err != nil {
				t.Fatal(err)
			}
		}
		before := counted.Trips()
		if _, _, err := l.trail.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := counted.Trips() - before; got != 3 {
			t.Errorf("%d round trips: the marks, what they lead to and the commit are 3", got)
		}
	}
}
