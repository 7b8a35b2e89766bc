// SPDX-License-Identifier: Apache-2.0

package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/storage"
)

// slow is a store whose updates take a moment, and which cannot delete what has a word in its key.
type slow struct {
	storage.DB
	stuck   string
	takes   atomic.Int64 // nanoseconds
	updates atomic.Int32
}

// Update is that of the store underneath, after a while.
func (s *slow) Update(ctx context.Context, fn func(storage.Tx) error) error {
	s.updates.Add(1)
	<-time.After(time.Duration(s.takes.Load()))
	return s.DB.Update(ctx, func(tx storage.Tx) error { return fn(stuckTx{tx, s.stuck}) })
}

type stuckTx struct {
	storage.Tx
	word string
}

// Delete refuses what has the word.
func (t stuckTx) Delete(key string) error {
	if t.word != "" && strings.Contains(key, t.word) {
		return errors.New("this one is stuck")
	}
	return t.Tx.Delete(key)
}

// slowly replaces the outbox of a world by one whose store is slow.
func (w *world) slowly(takes time.Duration, stuck string) *slow {
	w.t.Helper()
	db := &slow{DB: w.db, stuck: stuck}
	db.takes.Store(int64(takes))
	box, err := outbox.New(outbox.Config{DB: db, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.box = box
	return db
}

// items are n items without order, named from 0.
func items(n int) (all []outbox.Item) {
	for i := range n {
		all = append(all, outbox.Item{ID: fmt.Sprint("item", i)})
	}
	return all
}

// What ends while a transaction is under way ends with others in the next one.
func TestEndsAreWrittenDownTogether(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		t := w.t
		db := w.slowly(10*time.Millisecond, "")
		for i, item := range items(24) {
			item.Lane = fmt.Sprint("lane", i%3)
			w.append(item)
		}
		open := make(chan struct{})
		r := newReceiver(func(context.Context, outbox.Delivery) error {
			<-open
			return nil
		})
		w.box.Handle("call", r)
		w.run(w.box)
		elapse(100 * time.Millisecond)
		if n := len(r.deliveries()); n != 24 {
			t.Fatalf("%d deliveries are under way", n)
		}
		before := db.updates.Load()
		close(open)
		elapse(500 * time.Millisecond)
		if n := db.updates.Load() - before; n > 3 { // the first, twelve and eleven
			t.Errorf("24 ends took %d transactions", n)
		}
		if n := w.left(); n != 0 {
			t.Errorf("%d items left", n)
		}
		elapse(time.Minute)
		if n := len(r.deliveries()); n != 24 {
			t.Errorf("%d deliveries", n)
		}
	})
}

// An end that cannot be written down is nobody's trouble but its own.
func TestAnEndThatCannotBeWrittenDown(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		t := w.t
		w.slowly(10*time.Millisecond, "item3/")
		w.append(items(8)...)
		r := newReceiver(nil)
		w.box.Handle("call", r)
		w.run(w.box)
		elapse(30 * time.Second)
		times := map[string]int{}
		for _, d := range r.deliveries() {
			id, _, _ := strings.Cut(d, " ")
			times[id]++
		}
		if times["item3"] < 2 {
			t.Errorf("what could not be written down was not repeated: %v", times)
		}
		delete(times, "item3")
		want := map[string]int{"item0": 1, "item1": 1, "item2": 1, "item4": 1, "item5": 1, "item6": 1, "item7": 1}
		if diff := cmp.Diff(want, times); diff != "" {
			t.Error(diff)
		}
		if n := w.left(); n != 3 {
			t.Errorf("%d entries are left of one item", n)
		}
	})
}

// A receiver that wants to be left alone is left alone at once, not when that is written down.
func TestALaneRestsAtOnce(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		t := w.t
		db := w.slowly(0, "")
		r := newReceiver(func(_ context.Context, d outbox.Delivery) error {
			if d.ID != "first" || d.Try > 1 {
				return nil
			}
			db.takes.Store(int64(3 * time.Second))
			return outbox.Pause(time.Minute, errDown)
		})
		w.box.Handle("call", r)
		w.append(outbox.Item{ID: "first"}, outbox.Item{ID: "second", At: time.Now().Add(time.Second)})
		w.run(w.box)
		elapse(5 * time.Second)
		if diff := cmp.Diff([]string{"first 1 0s"}, r.deliveries()); diff != "" {
			t.Fatal(diff)
		}
		db.takes.Store(0)
		elapse(time.Hour)
		got := r.deliveries()
		slices.Sort(got)
		if diff := cmp.Diff([]string{"first 1 0s", "first 2 1m0s", "second 1 1m0s"}, got); diff != "" {
			t.Error(diff)
		}
	})
}
