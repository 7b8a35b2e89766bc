// SPDX-License-Identifier: Apache-2.0

package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// Loops on one store share the work: nothing is delivered twice, and nothing by two at once.
func TestLoopsShareOneStore(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		t := w.t
		r := newReceiver(func(context.Context, outbox.Delivery) error {
			<-time.After(3 * time.Second)
			return nil
		})
		for range 3 {
			box := w.open(outbox.Config{})
			box.Handle("call", r)
			w.run(box)
		}
		w.box.Handle("call", r)
		w.run(w.box)
		w.run(w.box) // two loops of one outbox as well
		var want []string
		for i := range 100 {
			w.append(outbox.Item{ID: fmt.Sprint(i), Key: fmt.Sprint(i % 40)})
			want = append(want, fmt.Sprint(i))
		}
		elapse(5 * time.Minute)
		var got []string
		last := map[string]int{}
		for _, d := range r.deliveries() {
			id, _, _ := strings.Cut(d, " ")
			got = append(got, id)
			var n int
			if _, err := fmt.Sscan(id, &n); err != nil {
				t.Fatal(err)
			}
			if before, ok := last[fmt.Sprint(n%40)]; ok && before > n {
				t.Errorf("%d came after %d", n, before)
			}
			last[fmt.Sprint(n%40)] = n
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" || len(r.twice) != 0 {
			t.Errorf("%s\ntwice at once: %v", diff, r.twice)
		}
	})
}

// A node that dies in the middle of a delivery is succeeded within ten seconds, and its delivery is repeated with the same id.
func TestAnotherNodeTakesOver(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		t := w.t
		grave := storagetest.Faulty(w.db) // the store as the dying node sees it
		config := outbox.Config{DB: grave, Now: time.Now, Logger: slog.New(slog.DiscardHandler)}
		dying, err := outbox.New(config)
		if err != nil {
			t.Fatal(err)
		}
		died := newReceiver(func(ctx context.Context, _ outbox.Delivery) error {
			grave.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: storage.ErrClosed})
			grave.Inject(storagetest.Fault{Op: storagetest.OnView, Err: storage.ErrClosed})
			<-ctx.Done()
			return ctx.Err()
		})
		dying.Handle("call", died)
		w.append(outbox.Item{Key: "k", ID: "1"}, outbox.Item{Key: "k", ID: "2"})
		stop := w.run(dying)
		elapse(time.Second)
		if diff := cmp.Diff([]string{"1 1 0s"}, died.deliveries()); diff != "" {
			t.Fatal(diff)
		}
		heir := newReceiver(nil)
		w.box.Handle("call", heir)
		w.run(w.box)
		began := time.Now()
		for len(heir.deliveries()) == 0 && time.Since(began) < time.Minute {
			elapse(100 * time.Millisecond)
		}
		if took := time.Since(began); took > 9*time.Second || took < 5*time.Second {
			t.Errorf("it was taken over after %v", took)
		}
		elapse(time.Minute)
		if got := heir.deliveries(); len(got) != 2 || !strings.HasPrefix(got[0], "1 1 ") || !strings.HasPrefix(got[1], "2 1 ") || w.left() != 0 {
			t.Errorf("the heir delivered %q, %d items left", got, w.left())
		}
		stop()
	})
}

// A handler that does not stop with its context loses its claim, and what it says then counts for nothing.
func TestALateHandlerCountsForNothing(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		t := w.t
		release := make(chan struct{})
		var outcomes []outbox.Outcome
		var mu sync.Mutex
		late := w.open(outbox.Config{Observe: func(o outbox.Observation) {
			mu.Lock()
			defer mu.Unlock()
			outcomes = append(outcomes, o.Outcome)
		}})
		late.Handle("call", outbox.HandlerFunc(func(context.Context, outbox.Delivery) error {
			<-release
			return nil
		}))
		w.run(late)
		w.append(outbox.Item{Key: "k", ID: "1"}, outbox.Item{Key: "k", ID: "2"}, outbox.Item{Key: "k", ID: "3"})
		elapse(time.Second)
		r := newReceiver(func(_ context.Context, d outbox.Delivery) error {
			if d.ID == "2" {
				return outbox.Retry(time.Minute, errDown)
			}
			return nil
		})
		w.box.Handle("call", r)
		w.run(w.box)
		elapse(20 * time.Second)
		close(release)
		elapse(10 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if diff := cmp.Diff([]outbox.Outcome{outbox.Lost}, outcomes); diff != "" {
			t.Error(diff)
		}
		if got := r.deliveries(); len(got) != 2 || !strings.HasPrefix(got[1], "2 1 ") {
			t.Errorf("delivered %q", got)
		}
		if !strings.Contains(w.lines.String(), "took it over") {
			t.Errorf("the log says %s", w.lines)
		}
	})
}

func TestATryIsBounded(t *testing.T) {
	inBubble(t, outbox.Config{Tries: 2, Timeout: 2 * time.Second}, func(w *world) {
		t := w.t
		r := newReceiver(func(ctx context.Context, _ outbox.Delivery) error {
			<-ctx.Done()
			return ctx.Err()
		})
		w.box.Handle("call", r)
		w.run(w.box)
		w.append(outbox.Item{ID: "1"})
		elapse(time.Minute)
		if diff := cmp.Diff([]string{"1 1 0s", "1 2 3s"}, r.deliveries()); diff != "" {
			t.Error(diff)
		}
		if dead := w.dead(); len(dead) != 1 || !strings.Contains(dead[0].Cause, "deadline") {
			t.Errorf("dead %+v", dead)
		}
	})
}

// A loop that ends lets deliveries under way end, for a while; those that do not are free for others at once and have not failed.
func TestALoopThatEnds(t *testing.T) {
	inBubble(t, outbox.Config{Tries: 1}, func(w *world) {
		t := w.t
		answers := map[string]func(ctx context.Context, d outbox.Delivery) error{
			"soon": func(context.Context, outbox.Delivery) error {
				<-time.After(2 * time.Second)
				return nil
			},
			"never": func(ctx context.Context, _ outbox.Delivery) error {
				<-ctx.Done()
				return ctx.Err()
			},
		}
		r := newReceiver(func(ctx context.Context, d outbox.Delivery) error { return answers[d.ID](ctx, d) })
		w.box.Handle("call", r)
		stop := w.run(w.box)
		w.append(outbox.Item{ID: "soon"}, outbox.Item{ID: "never"})
		synctest.Wait()
		began := time.Now()
		w.append(outbox.Item{ID: "after"})
		stop()
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("the loop took %v to end", took)
		}
		heir := newReceiver(nil)
		next := w.open(outbox.Config{})
		next.Handle("call", heir)
		w.run(next)
		synctest.Wait()
		got := heir.deliveries()
		slices.Sort(got)
		for _, d := range r.deliveries() { // which of the two came first is open
			if strings.HasPrefix(d, "after") {
				return
			}
		}
		if diff := cmp.Diff([]string{"after 1 0s", "never 1 0s"}, got); diff != "" || len(w.dead()) != 0 {
			t.Errorf("%s\ndead %v", diff, w.dead())
		}
	})
}

// A delivery that could not be written down is repeated, with the same id and as the same try.
func TestAStoreThatFails(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault storagetest.Fault
		want  []string
	}{
		{"while it looks", storagetest.Fault{Op: storagetest.OnView, Err: storage.ErrFull}, []string{"1 1 31s"}},
		{"while it claims", storagetest.Fault{Op: storagetest.OnUpdate, Err: storage.ErrFull}, []string{"1 1 31s"}},
		{"after it claimed", storagetest.Fault{Op: storagetest.OnReply, Nth: 1}, []string{"1 1 9s"}},
		{"while it writes the end down", storagetest.Fault{Op: storagetest.OnUpdate, Nth: 2, Err: storage.ErrFull}, []string{"1 1 1s", "1 1 9s"}},
		{"after it wrote the end down", storagetest.Fault{Op: storagetest.OnReply, Nth: 2}, []string{"1 1 1s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, outbox.Config{}, func(w *world) {
				t := w.t
				r := newReceiver(nil)
				w.box.Handle("call", r)
				w.append(outbox.Item{ID: "1"})
				w.db.Inject(tt.fault)
				w.run(w.box)
				elapse(30*time.Second + time.Millisecond)
				if tt.fault.Nth == 0 && strings.Count(w.lines.String(), "cannot be read") != 1 {
					t.Errorf("the log says %s", w.lines)
				}
				w.db.Clear()
				elapse(time.Minute)
				got := r.deliveries()
				if len(got) != len(tt.want) || !strings.HasPrefix(got[len(got)-1], "1 1 ") || w.left() != 0 || len(w.dead()) != 0 {
					t.Errorf("delivered %q, want about %q; %d items left", got, tt.want, w.left())
				}
				if tt.fault.Nth == 0 && strings.Count(w.lines.String(), "read again") != 1 {
					t.Errorf("the log says %s", w.lines)
				}
			})
		})
	}
}

// What is damaged holds up nothing else.
func TestDamage(t *testing.T) {
	inBubble(t, outbox.Config{Tries: 2}, func(w *world) {
		t := w.t
		w.append(
			outbox.Item{ID: "a1", Key: "a"}, outbox.Item{ID: "a2", Key: "a"}, outbox.Item{ID: "b1", Key: "b"}, outbox.Item{ID: "b2", Key: "b"},
			outbox.Item{ID: "c1", Key: "c"}, outbox.Item{ID: "d1", Key: "d"},
		)
		if err := w.db.Update(t.Context(), func(tx storage.Tx) error {
			for _, key := range []string{"outbox_item/call/a/00000000000000000001", "outbox_item/call/b/00000000000000000002", "outbox_line/call/c"} {
				item, err := tx.Get(key)
				if err != nil {
					return err
				}
				item.Value = []byte("\x01{")
				if err := tx.Put(item); err != nil {
					return err
				}
			}
			return errors.Join(tx.Put(storage.Item{Key: "outbox_due/call//evil"}), tx.Put(storage.Item{Key: "outbox_due/call//0000000000001/none"}))
		}); err != nil {
			t.Fatal(err)
		}
		r := newReceiver(nil)
		w.box.Handle("call", r)
		w.run(w.box)
		elapse(2 * time.Minute)
		got := r.deliveries()
		slices.Sort(got)
		for i := range got {
			got[i], _, _ = strings.Cut(got[i], " ")
		}
		if diff := cmp.Diff([]string{"a2", "b1", "d1"}, got); diff != "" {
			t.Error(diff)
		}
		var dead []string
		for _, letter := range w.dead() {
			dead = append(dead, letter.ID)
			if !strings.Contains(letter.Cause, "cannot be read") {
				t.Errorf("the cause is %q", letter.Cause)
			}
		}
		slices.Sort(dead)
		if diff := cmp.Diff([]string{"call/a/00000000000000000001", "call/b/00000000000000000002"}, dead); diff != "" {
			t.Error(diff)
		}
		if !strings.Contains(w.lines.String(), "damaged and left where they are") {
			t.Errorf("the log says %s", w.lines)
		}
	})
}

func TestNoLaneTakesEveryPlace(t *testing.T) {
	inBubble(t, outbox.Config{Places: 8}, func(w *world) {
		t := w.t
		var under, most atomic.Int32
		r := newReceiver(func(_ context.Context, d outbox.Delivery) error {
			if d.Lane == "slow" {
				most.Store(max(most.Load(), under.Add(1)))
				<-time.After(4 * time.Second)
				under.Add(-1)
			}
			return nil
		})
		w.box.Handle("call", r)
		w.box.Handle("push", r)
		w.run(w.box)
		for i := range 40 {
			w.append(outbox.Item{ID: fmt.Sprint("slow", i), Lane: "slow"})
		}
		began := time.Now()
		for i := range 40 {
			w.append(outbox.Item{ID: fmt.Sprint("quick", i), Lane: "quick"}, outbox.Item{ID: fmt.Sprint("push", i), Kind: "push"})
		}
		synctest.Wait()
		quick := 0
		for _, d := range r.deliveries() {
			if !strings.HasPrefix(d, "slow") {
				quick++
			}
		}
		if took := time.Since(began); quick != 80 || took != 0 {
			t.Errorf("%d of 80 were delivered in %v", quick, took)
		}
		elapse(45 * time.Second)
		if n := most.Load(); n != 4 || w.left() != 0 {
			t.Errorf("%d of the slow ones at once, %d items left", n, w.left())
		}
	})
}

// A lane that rests uses up no tries, holds up no other and goes on when the rest is over.
func TestALaneRests(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		t := w.t
		r := newReceiver(func(_ context.Context, d outbox.Delivery) error {
			if d.ID == "first" && d.Try == 1 {
				return fmt.Errorf("calling: %w", outbox.Pause(time.Minute, errDown))
			}
			return nil
		})
		w.box.Handle("call", r)
		w.run(w.box)
		w.append(outbox.Item{ID: "first", Lane: "a"})
		synctest.Wait()
		w.append(outbox.Item{ID: "second", Lane: "a"}, outbox.Item{ID: "other", Lane: "b"})
		elapse(time.Hour)
		got := r.deliveries()
		slices.Sort(got)
		if diff := cmp.Diff([]string{"first 1 0s", "first 2 1m0s", "other 1 0s", "second 1 1m0s"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPayloadsAreSealed(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		t := w.t
		sealer := &reversing{}
		box := w.open(outbox.Config{Sealer: sealer, Tries: 1})
		if err := w.db.Update(t.Context(), func(tx storage.Tx) error {
			return box.Append(tx, outbox.Item{Kind: "call", ID: "1", Payload: []byte("token"), At: time.Now()})
		}); err != nil {
			t.Fatal(err)
		}
		var got string
		box.Handle("call", outbox.HandlerFunc(func(_ context.Context, d outbox.Delivery) error {
			got = string(d.Payload)
			return errDown
		}))
		w.run(box)
		synctest.Wait()
		if letters, err := box.Dead(t.Context(), "", 0); got != "token" || err != nil || string(letters[0].Payload) != "token" {
			t.Errorf("delivered %q, dead %v, %v", got, letters, err)
		}
		if len(sealer.labels) != 2 {
			t.Errorf("sealed %q", sealer.labels)
		}
	})
}

// reversing seals by turning around.
type reversing struct{ labels []string }

func (r *reversing) Seal(label string, plain []byte) ([]byte, error) {
	r.labels = append(r.labels, label)
	sealed := slices.Clone(plain)
	slices.Reverse(sealed)
	return sealed, nil
}

func (r *reversing) Open(_ string, sealed []byte) ([]byte, error) {
	plain := slices.Clone(sealed)
	slices.Reverse(plain)
	return plain, nil
}

func (*reversing) Derive(string) ([]byte, error) { return nil, errors.New("nothing to derive from") }

func TestObservations(t *testing.T) {
	var mu sync.Mutex
	var got []outbox.Observation
	inBubble(t, outbox.Config{Tries: 2, Observe: func(o outbox.Observation) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, o)
	}}, func(w *world) {
		t := w.t
		w.box.Handle("call", outbox.HandlerFunc(func(context.Context, outbox.Delivery) error {
			<-time.After(2 * time.Second)
			return outbox.Retry(10*time.Second, errDown)
		}))
		w.box.Handle("push", outbox.HandlerFunc(func(context.Context, outbox.Delivery) error { return nil }))
		w.run(w.box)
		w.append(outbox.Item{ID: "1"}, outbox.Item{ID: "2", Kind: "push", At: time.Now().Add(-time.Minute)})
		elapse(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		want := []outbox.Observation{
			{Kind: "push", Outcome: outbox.Delivered, Try: 1, Age: time.Minute},
			{Kind: "call", Outcome: outbox.Retried, Try: 1, Took: 2 * time.Second, Age: 2 * time.Second},
			{Kind: "call", Outcome: outbox.Died, Try: 2, Took: 2 * time.Second, Age: 14 * time.Second},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWakingIsTheStoreUnderneath(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		t := w.t
		db := w.box.Waking(w.db)
		r := newReceiver(nil)
		w.box.Handle("call", r)
		w.run(w.box)
		elapse(100 * time.Millisecond) // between two looks
		append := func(ctx context.Context, id string) error {
			return db.Update(ctx, func(tx storage.Tx) error { return w.box.Append(tx, outbox.Item{Kind: "call", ID: id, At: time.Now()}) })
		}
		w.db.Inject(storagetest.Fault{Op: storagetest.OnReply, Nth: 1}) // committed, and nobody knows
		if err := append(t.Context(), "1"); !errors.Is(err, storage.ErrUnknown) {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(r.deliveries()); n != 1 {
			t.Errorf("an update whose end is unknown did not wake the loop: %d deliveries", n)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if err := append(cancelled, "2"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := db.View(t.Context(), func(tx storage.Tx) error { return tx.Put(storage.Item{Key: "x"}) }); !errors.Is(err, storage.ErrReadOnly) {
			t.Error(err)
		}
		if err := storage.Health(w.box.Waking(unwell{w.db})); !errors.Is(err, errDown) {
			t.Errorf("the health is %v", err)
		}
		elapse(time.Minute)
		if n := len(r.deliveries()); n != 1 {
			t.Errorf("%d deliveries", n)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
}

type unwell struct{ storage.DB }

func (unwell) Health() error { return errDown }

// Whatever happens to the deliveries, items of one key come in the order of their commits, each until it is accepted or dead, and
// none is accepted twice.
func TestOrderProperties(t *testing.T) {
	t.Parallel()
	type step struct {
		key, fails int
		permanent  bool
		after      time.Duration
	}
	rapid.Check(t, func(rt *rapid.T) {
		var plan []step
		for range rapid.IntRange(1, 30).Draw(rt, "items") {
			plan = append(plan, step{
				key: rapid.IntRange(0, 4).Draw(rt, "key"), fails: rapid.IntRange(0, 4).Draw(rt, "fails"),
				permanent: rapid.Bool().Draw(rt, "permanent"), after: time.Duration(rapid.IntRange(0, 3000).Draw(rt, "after")) * time.Millisecond,
			})
		}
		loops := rapid.IntRange(1, 3).Draw(rt, "loops")
		var problem string
		synctest.Test(t, func(t *testing.T) {
			db, err := memstore.Open(memstore.Config{Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			w := &world{t: t, db: storagetest.Faulty(db), lines: &buffer{}}
			w.box = w.open(outbox.Config{Tries: 3})
			var mu sync.Mutex
			var got [5][]string
			handler := outbox.HandlerFunc(func(_ context.Context, d outbox.Delivery) error {
				var i int
				if _, err := fmt.Sscan(d.ID, &i); err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				got[plan[i].key] = append(got[plan[i].key], fmt.Sprint(i, "#", d.Try))
				switch {
				case d.Try > plan[i].fails:
					return nil
				case plan[i].permanent:
					return outbox.Permanent(errDown)
				}
				return errDown
			})
			for range loops {
				box := w.open(outbox.Config{Tries: 3})
				box.Handle("call", handler)
				w.run(box)
			}
			var want [5][]string
			dead := 0
			for i, s := range plan {
				elapse(s.after)
				w.append(outbox.Item{ID: fmt.Sprint(i), Key: fmt.Sprint("k", s.key)})
				last := min(s.fails+1, 3)
				if s.permanent {
					last = 1
				}
				for try := 1; try <= last; try++ {
					want[s.key] = append(want[s.key], fmt.Sprint(i, "#", try))
				}
				if s.fails >= 3 || s.permanent && s.fails > 0 {
					dead++
				}
			}
			elapse(5 * time.Minute) // three tries of thirty items in one line take less
			problem = cmp.Diff(want, got)
			if n := len(w.dead()); n != dead || w.left() != 0 {
				problem += fmt.Sprintf("%d dead, want %d; %d items left", n, dead, w.left())
			}
		})
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

// Over Badger, with closures that run twice, and appended to by many at once: everything is delivered once and in order, and a store
// that is opened again delivers what the last run has not.
func TestOverBadger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func() storage.DB {
		db, err := badgerstore.Open(t.Context(), badgerstore.Config{Dir: dir, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	engine := open()
	db := storagetest.Twice(engine, 3)
	config := outbox.Config{DB: db, Now: time.Now, Logger: slog.New(slog.DiscardHandler)}
	box, err := outbox.New(config)
	if err != nil {
		t.Fatal(err)
	}
	const keys, each = 8, 20
	var wg sync.WaitGroup
	for key := range keys {
		wg.Go(func() {
			for n := range each {
				item := outbox.Item{Kind: "call", Key: fmt.Sprint(key), ID: fmt.Sprintf("%d/%d", key, n), At: time.Now()}
				if err := box.Waking(db).Update(t.Context(), func(tx storage.Tx) error { return box.Append(tx, item) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := &record{ended: make(chan struct{}), want: keys * each / 2}
	deliver(t, box, got)
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	engine = open()
	defer func() { _ = engine.Close() }()
	config.DB = storagetest.Twice(engine, 4)
	if box, err = outbox.New(config); err != nil {
		t.Fatal(err)
	}
	got.ended, got.want = make(chan struct{}), keys*each
	deliver(t, box, got)
	next := map[string]int{}
	for _, id := range got.ids {
		var key, n int
		if _, err := fmt.Sscanf(id, "%d/%d", &key, &n); err != nil || next[fmt.Sprint(key)] != n {
			t.Fatalf("%s came when %d was next, %v", id, next[fmt.Sprint(key)], err)
		}
		next[fmt.Sprint(key)]++
	}
}

// record notes what is delivered, and tells when it is enough.
type record struct {
	mu    sync.Mutex
	ids   []string
	want  int
	ended chan struct{}
}

func (r *record) Deliver(_ context.Context, d outbox.Delivery) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids = append(r.ids, d.ID)
	if len(r.ids) == r.want {
		close(r.ended)
	}
	return nil
}

// deliver runs a loop until enough is delivered.
func deliver(t *testing.T, box *outbox.Outbox, r *record) {
	t.Helper()
	remove := box.Handle("call", r)
	defer remove()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		box.Run(ctx)
	}()
	<-r.ended
	cancel()
	<-done
}

// Items of a node whose clock is behind are due before what the loop has looked at, and are found all the same.
func TestAClockThatIsBehind(t *testing.T) {
	for _, tt := range []struct {
		behind, within time.Duration
	}{{50 * time.Millisecond, time.Second}, {5 * time.Second, 2 * time.Second}, {time.Hour, time.Minute + time.Second}} {
		t.Run(fmt.Sprint(tt.behind), func(t *testing.T) {
			inBubble(t, outbox.Config{}, func(w *world) {
				t := w.t
				r := newReceiver(nil)
				w.box.Handle("call", r)
				w.run(w.box)
				for i := range 5 {
					w.append(outbox.Item{ID: fmt.Sprint("before", i)})
					elapse(time.Second)
				}
				slow, err := outbox.New(outbox.Config{
					DB: w.db, Now: func() time.Time { return time.Now().Add(-tt.behind) }, Logger: slog.New(slog.DiscardHandler),
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := w.db.Update(t.Context(), func(tx storage.Tx) error {
					return slow.Append(tx, outbox.Item{Kind: "call", ID: "late", At: time.Now().Add(-tt.behind)})
				}); err != nil {
					t.Fatal(err)
				}
				elapse(tt.within)
				if got := r.deliveries(); len(got) != 6 || !strings.HasPrefix(got[5], "late 1 ") {
					t.Errorf("delivered %q", got)
				}
			})
		})
	}
}

// A node whose clock is wrong, by whatever, takes over nothing that another is delivering, and all that a node had claimed which is gone.
func TestAClockThatIsWrong(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, -time.Minute, -3 * time.Second, 3 * time.Second, time.Minute, time.Hour} {
		t.Run(fmt.Sprint(off), func(t *testing.T) {
			inBubble(t, outbox.Config{}, func(w *world) {
				t := w.t
				r := newReceiver(func(context.Context, outbox.Delivery) error {
					<-time.After(5 * time.Second)
					return nil
				})
				wrong, err := outbox.New(outbox.Config{
					DB: w.db, Now: func() time.Time { return time.Now().Add(off) }, Logger: slog.New(slog.DiscardHandler),
				})
				if err != nil {
					t.Fatal(err)
				}
				for _, box := range []*outbox.Outbox{w.box, wrong} {
					box.Handle("call", r)
					w.run(box)
				}
				for i := range 20 {
					w.append(outbox.Item{ID: fmt.Sprint(i), Key: fmt.Sprint(i)})
					elapse(700 * time.Millisecond)
				}
				elapse(2 * time.Hour)
				if got := r.deliveries(); len(got) != 20 || len(r.twice) != 0 || w.left() != 0 {
					t.Errorf("%d deliveries, twice at once %v, %d items left", len(got), r.twice, w.left())
				}
			})
		})
	}
}
