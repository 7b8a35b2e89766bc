// SPDX-License-Identifier: Apache-2.0

package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// world is an outbox in a bubble of synctest, whose clock moves when everybody waits.
type world struct {
	t     *testing.T
	db    *storagetest.FaultyDB
	box   *outbox.Outbox
	lines *buffer
}

// inBubble runs a test in a bubble.
func inBubble(t *testing.T, c outbox.Config, test func(w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db, err := memstore.Open(memstore.Config{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, db: storagetest.Faulty(db), lines: &buffer{}}
		w.box = w.open(c)
		test(w)
	})
}

// open returns another outbox on the same store.
func (w *world) open(c outbox.Config) *outbox.Outbox {
	w.t.Helper()
	c.DB, c.Now = w.db, time.Now
	c.Logger = slog.New(slog.NewTextHandler(w.lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	box, err := outbox.New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	return box
}

// run starts a loop that ends with the test, or when the function it returns is called.
func (w *world) run(box *outbox.Outbox) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		box.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	w.t.Cleanup(stop)
	return stop
}

// append adds items of the kind "call", all in one transaction, through the store that wakes.
func (w *world) append(items ...outbox.Item) {
	w.t.Helper()
	if err := w.tryAppend(items...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tryAppend(items ...outbox.Item) error {
	now := time.Now()
	return w.box.Waking(w.db).Update(w.t.Context(), func(tx storage.Tx) error {
		for _, item := range items {
			if item.Kind == "" {
				item.Kind = "call"
			}
			if item.At.IsZero() {
				item.At = now
			}
			if err := w.box.Append(tx, item); err != nil {
				return err
			}
		}
		return nil
	})
}

// dead returns the dead letters.
func (w *world) dead() []outbox.Letter {
	w.t.Helper()
	letters, err := w.box.Dead(w.t.Context(), "", 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return letters
}

// left returns how many items of the store belong to the queue.
func (w *world) left() (n int) {
	w.t.Helper()
	if err := w.db.View(w.t.Context(), func(tx storage.Tx) error {
		for _, prefix := range []string{"outbox_line/", "outbox_item/", "outbox_due/"} {
			for _, err := range tx.Scan(prefix, "", 0) {
				if err != nil {
					return err
				}
				n++
			}
		}
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// receiver remembers what it was handed and answers what it is told to.
type receiver struct {
	mu     sync.Mutex
	began  time.Time
	got    []string // "ID try at"
	under  map[string]bool
	twice  []string
	answer func(ctx context.Context, d outbox.Delivery) error
}

func newReceiver(answer func(ctx context.Context, d outbox.Delivery) error) *receiver {
	return &receiver{began: time.Now(), under: map[string]bool{}, answer: answer}
}

// Deliver notes whether an item is handed over while it is being handed over already.
func (r *receiver) Deliver(ctx context.Context, d outbox.Delivery) error {
	r.mu.Lock()
	r.got = append(r.got, fmt.Sprintf("%s %d %v", d.ID, d.Try, time.Since(r.began).Round(time.Second)))
	if r.under[d.ID] {
		r.twice = append(r.twice, d.ID)
	}
	r.under[d.ID] = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.under[d.ID] = false
	}()
	if r.answer == nil {
		return nil
	}
	return r.answer(ctx, d)
}

func (r *receiver) deliveries() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.got...)
}

var errDown = errors.New("the receiver is down")

func down(context.Context, outbox.Delivery) error { return errDown }

// buffer is safe for concurrent use.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
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

// elapse lets the clock of the bubble move on, and everything happen that happens meanwhile.
func elapse(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
