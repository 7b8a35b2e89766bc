// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// bubble runs a test over memory in a bubble whose clock is the store's.
func bubble(t *testing.T, test func(t *testing.T, w *world), change ...func(*operation.Config)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0, append(change, func(c *operation.Config) {})...)
		test(t, w)
	})
}

// Pending has a device watch to the end.
func (w *world) Pending(ctx context.Context, deviceID string, wait time.Duration, known ...string) ([]operation.Operation, error) {
	d, err := w.handset.Get(ctx, deviceID)
	if d.ID = deviceID; err != nil && !errors.Is(err, handset.ErrNotFound) { // of one that is not there the watch says so
		return nil, err
	}
	watch := w.Watch(ctx, &d, wait, known...)
	for watch.Waits() {
		watch.Wait(ctx)
		watch.Look(ctx)
	}
	return watch.Open()
}

// later does something after a while, with the store's clock moved on as far, and closes the channel.
func (w *world) later(d time.Duration, do func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-time.After(d)
		w.clock.Advance(d)
		do()
	}()
	return done
}

func TestWait(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		o := w.ask("usr_1")
		began := time.Now()
		got, err := w.Wait(t.Context(), o.ID, 0, time.Minute)
		if err != nil || got.Version != 1 || time.Since(began) != 0 {
			t.Errorf("since nothing: %+v, %v after %s", got, err, time.Since(began))
		}
		got, err = w.Wait(t.Context(), o.ID, 1, 0)
		if err != nil || got.Version != 1 || time.Since(began) != 0 {
			t.Errorf("no time: %v after %s", err, time.Since(began))
		}
		got, err = w.Wait(t.Context(), o.ID, 1, 30*time.Second)
		if err != nil || got.Version != 1 || time.Since(began) != 30*time.Second {
			t.Errorf("nothing happens: %+v, %v after %s", got, err, time.Since(began))
		}
		a := p.approval(o)
		w.later(300*time.Millisecond, func() { w.answer(a) })
		began = time.Now()
		got, err = w.Wait(t.Context(), o.ID, 1, 30*time.Second)
		if err != nil || got.State != operation.Approved || time.Since(began) != 300*time.Millisecond {
			t.Errorf("approved: %s, %v after %s", got.State, err, time.Since(began))
		}
		w.later(100*time.Millisecond, func() {
			if _, err := w.Redeem(t.Context(), o.ID, "portal"); err != nil {
				t.Error(err)
			}
		})
		got, err = w.Wait(t.Context(), o.ID, got.Version, 30*time.Second)
		if err != nil || got.State != operation.Redeemed {
			t.Errorf("redeemed: %s, %v", got.State, err)
		}
		began = time.Now()
		if _, err = w.Wait(t.Context(), o.ID, 100, 30*time.Second); err != nil || time.Since(began) != 0 {
			t.Errorf("nothing can happen any more: %v after %s", err, time.Since(began))
		}
		if _, err := w.Wait(t.Context(), "op_x", 0, time.Minute); !errors.Is(err, operation.ErrNotFound) {
			t.Errorf("an unknown one: %v", err)
		}
		if w.Waiting() != 0 {
			t.Errorf("%d still wait", w.Waiting())
		}
	})
}

// TestWaitWakes for every way in which an operation changes.
func TestWaitWakes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		for name, change := range map[string]func(o operation.Operation){
			"fetched": func(o operation.Operation) { _, _ = w.Deliver(t.Context(), o.ID, p.id) },
			"denied":  func(o operation.Operation) { w.answer(p.denial(o, envelope.Denied)) },
			"wrong":   func(o operation.Operation) { p.approve(o, wrongPIN) },
			"cancelled": func(o operation.Operation) {
				_, _ = w.Cancel(t.Context(), o.ID, "")
			},
			"expired": func(operation.Operation) {
				w.clock.Advance(2 * time.Minute)
				_ = w.Expire(t.Context())
			},
		} {
			o := w.ask("usr_1")
			began := time.Now()
			done := w.later(10*time.Millisecond, func() { change(o) })
			got, err := w.Wait(t.Context(), o.ID, 1, 30*time.Second)
			<-done
			if err != nil || got.Version != 2 || time.Since(began) != 10*time.Millisecond {
				t.Errorf("%s: version %d, %v after %s", name, got.Version, err, time.Since(began))
			}
			_, _ = w.Cancel(t.Context(), o.ID, "")
		}
	})
}

// TestWaitEnds with its caller, with the store, and where too many wait.
func TestWaitEnds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		o := w.ask("usr_1")
		ctx, cancel := context.WithCancel(t.Context())
		w.later(time.Second, cancel)
		if _, err := w.Wait(ctx, o.ID, 1, time.Minute); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that goes: %v", err)
		}
		w.later(time.Second, func() { w.db.Inject(storagetest.Fault{Op: storagetest.OnView, Err: errDown, Nth: 1}) })
		if _, err := w.Wait(t.Context(), o.ID, 1, time.Minute); !errors.Is(err, errDown) {
			t.Errorf("a store that fails: %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		go func() { _, _ = w.Wait(ctx, o.ID, 1, time.Minute) }()
		synctest.Wait()
		began := time.Now()
		got, err := w.Wait(t.Context(), o.ID, 1, time.Minute)
		if !errors.Is(err, operation.ErrBusy) || got.ID != o.ID || time.Since(began) != 0 {
			t.Errorf("one too many: %v after %s", err, time.Since(began))
		}
		must(t, func() error { _, err := w.Cancel(t.Context(), o.ID, ""); return err }())
		cancel()
		synctest.Wait()
		if _, err := w.Pending(t.Context(), p.id, 10*time.Millisecond); err != nil {
			t.Errorf("when there is a place again: %v", err)
		}
	}, func(c *operation.Config) { c.Limits.Waiters = 1 })
}

// TestWaitSeesOtherStores: what another store over the same database commits is seen within a second.
func TestWaitSeesOtherStores(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		o := w.ask("usr_1")
		elsewhere, err := operation.New(w.config)
		must(t, err)
		a := p.approval(o)
		w.later(1500*time.Millisecond, func() {
			if _, err := elsewhere.Answer(t.Context(), a); err != nil {
				t.Error(err)
			}
		})
		began := time.Now()
		got, err := w.Wait(t.Context(), o.ID, 1, 30*time.Second)
		if err != nil || got.State != operation.Approved || time.Since(began) != 2*time.Second {
			t.Errorf("%s, %v after %s", got.State, err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.Run(ctx)
		}()
		var fresh operation.Operation
		started := w.later(1500*time.Millisecond, func() {
			var err error
			if fresh, _, err = elsewhere.Start(t.Context(), question("usr_1")); err != nil {
				t.Error(err)
			}
		})
		began = time.Now()
		pending, err := w.Pending(t.Context(), p.id, 30*time.Second)
		<-started
		if took := time.Since(began); err != nil || len(pending) != 1 || pending[0].ID != fresh.ID || took > 2500*time.Millisecond {
			t.Errorf("%d pending, %v after %s", len(pending), err, took)
		}
		cancel()
		<-done
	})
}

// TestFollow: where a store tells of commits, what another one over the same database has done is seen at once, by whoever waits for an
// operation and by phones.
func TestFollow(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		o := w.ask("usr_1")
		elsewhere, err := operation.New(w.config)
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.Follow(ctx)
		}()
		a := p.approval(o)
		w.later(1300*time.Millisecond, func() {
			if _, err := elsewhere.Answer(t.Context(), a); err != nil {
				t.Error(err)
			}
		})
		began := time.Now()
		got, err := w.Wait(t.Context(), o.ID, 1, 30*time.Second)
		if err != nil || got.State != operation.Approved || time.Since(began) != 1300*time.Millisecond {
			t.Errorf("%s, %v after %s", got.State, err, time.Since(began))
		}
		started := w.later(1300*time.Millisecond, func() {
			if _, _, err := elsewhere.Start(t.Context(), question("usr_1")); err != nil {
				t.Error(err)
			}
		})
		began = time.Now()
		pending, err := w.Pending(t.Context(), p.id, 30*time.Second)
		<-started
		if took := time.Since(began); err != nil || len(pending) != 1 || took != 1300*time.Millisecond {
			t.Errorf("%d pending, %v after %s", len(pending), err, took)
		}
		cancel()
		<-done
	})
}

func TestPending(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p, q := w.phone("usr_1"), w.phone("usr_1")
		names := func(operations []operation.Operation, err error) string {
			t.Helper()
			must(t, err)
			var ids []string
			for _, o := range operations {
				ids = append(ids, o.ID)
			}
			return strings.Join(ids, " ")
		}
		began := time.Now()
		if got := names(w.Pending(t.Context(), p.id, 20*time.Second)); got != "" || time.Since(began) != 20*time.Second {
			t.Errorf("nothing is asked: %q after %s", got, time.Since(began))
		}
		mine, yours, anyone := w.ask("usr_1", at(p)), w.ask("usr_1", at(q)), w.ask("usr_1")
		w.ask("usr_1", func(s *operation.Start) { s.Kind = operation.Registration })
		if got := names(w.Pending(t.Context(), p.id, time.Minute)); got != mine.ID+" "+anyone.ID {
			t.Errorf("p has %q", got)
		}
		if got := names(w.Pending(t.Context(), q.id, time.Minute)); got != yours.ID+" "+anyone.ID {
			t.Errorf("q has %q", got)
		}
		var next operation.Operation
		asked := w.later(700*time.Millisecond, func() { next = w.ask("usr_1") })
		began = time.Now()
		got := names(w.Pending(t.Context(), p.id, time.Minute, anyone.ID, mine.ID))
		<-asked
		if got != mine.ID+" "+anyone.ID+" "+next.ID || time.Since(began) != 700*time.Millisecond {
			t.Errorf("beside what is known: %q after %s", got, time.Since(began))
		}
		w.later(time.Second, func() { _, _ = w.Cancel(t.Context(), next.ID, "") })
		began = time.Now()
		if got := names(w.Pending(t.Context(), p.id, time.Minute, anyone.ID, mine.ID, next.ID)); strings.Contains(got, next.ID) || time.Since(began) != time.Second {
			t.Errorf("when one ends: %q after %s", got, time.Since(began))
		}
		w.clock.Advance(2 * time.Minute)
		if got := names(w.Pending(t.Context(), p.id, 0)); got != "" {
			t.Errorf("when all have expired: %q", got)
		}
		if _, err := w.Pending(t.Context(), "dev_x", time.Minute); !errors.Is(err, operation.ErrDevice) {
			t.Errorf("an unknown device: %v", err)
		}
		w.later(time.Second, func() {
			if _, err := w.handset.Lock(t.Context(), p.id, ""); err != nil {
				t.Error(err)
			}
			w.Announce(t.Context(), operation.Operation{UserID: "usr_1"})
		})
		if _, err := w.Pending(t.Context(), p.id, time.Minute); !errors.Is(err, operation.ErrDevice) {
			t.Errorf("a device that is locked while it waits: %v", err)
		}
		w.users.say("usr_1", errDown)
		if _, err := w.Pending(t.Context(), q.id, time.Minute); !errors.Is(err, errDown) {
			t.Errorf("users cannot be asked: %v", err)
		}
	})
}

// TestTailForgets: the starts it has told of are remembered for as long as they would be found again, and no longer.
func TestTailForgets(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		elsewhere, err := operation.New(w.config)
		must(t, err)
		for range 3 {
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan int, 1)
			go func() {
				open, _ := w.Pending(ctx, p.id, time.Minute)
				result <- len(open)
			}()
			synctest.Wait()
			o, _, err := elsewhere.Start(t.Context(), question("usr_1"))
			must(t, err)
			must(t, w.Tick(t.Context()))
			if n := <-result; n != 1 {
				t.Errorf("woken with %d", n)
			}
			cancel()
			_, err = elsewhere.Cancel(t.Context(), o.ID, "")
			must(t, err)
			w.clock.Advance(time.Second)
		}
	})
}

// TestRunComplains when it begins to fail and when it works again, and not in between.
func TestRunComplains(t *testing.T) {
	var lines bytes.Buffer
	bubble(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.Run(ctx)
		}()
		w.db.Inject(storagetest.Fault{Op: storagetest.OnView, Err: storage.ErrClosed})
		<-time.After(5500 * time.Millisecond)
		w.db.Clear()
		<-time.After(5 * time.Second)
		cancel()
		<-done
		if n := strings.Count(lines.String(), "\n"); n != 2 || !strings.Contains(lines.String(), "again") {
			t.Errorf("%d lines: %s", n, lines.String())
		}
	}, func(c *operation.Config) { c.Logger = slog.New(slog.NewTextHandler(&lines, nil)) })
}
