// SPDX-License-Identifier: Apache-2.0

package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func TestAnItemIsDeliveredWithItsCause(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		t := w.t
		r := newReceiver(nil)
		w.box.Handle("call", r)
		w.run(w.box)
		synctest.Wait()
		began := time.Now()
		rolledBack := errors.New("rolled back")
		if err := w.db.Update(t.Context(), func(tx storage.Tx) error {
			return errors.Join(w.box.Append(tx, outbox.Item{Kind: "call", ID: "no", At: began}), rolledBack)
		}); !errors.Is(err, rolledBack) {
			t.Fatal(err)
		}
		w.append(outbox.Item{ID: "yes", Payload: []byte("what")})
		synctest.Wait()
		if diff := cmp.Diff([]string{"yes 1 0s"}, r.deliveries()); diff != "" {
			t.Error(diff)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the loop was not woken: it took %v", took)
		}
		elapse(5 * time.Minute)
		if n := w.left(); n != 0 || len(r.deliveries()) != 1 {
			t.Errorf("%d items left, deliveries %v", n, r.deliveries())
		}
	})
}

func TestWhatADeliveryHolds(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		t := w.t
		var got outbox.Delivery
		w.box.Handle("call", outbox.HandlerFunc(func(ctx context.Context, d outbox.Delivery) error {
			if until, ok := ctx.Deadline(); !ok || time.Until(until) != outbox.DefaultTimeout {
				t.Errorf("the try ends in %v", time.Until(until))
			}
			got = d
			return nil
		}))
		w.run(w.box)
		item := outbox.Item{Kind: "call", Lane: "a-B.0", Key: "op/1 ü", ID: "evt_1", Payload: []byte{0, 255}, At: time.Now().UTC()}
		w.append(item)
		synctest.Wait()
		if diff := cmp.Diff(outbox.Delivery{Item: item, Try: 1}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestItemsOfOneKeyComeInOrder(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		t := w.t
		first := true
		r := newReceiver(func(_ context.Context, d outbox.Delivery) error {
			if d.ID == "a1" && first {
				first = false
				return errDown
			}
			return nil
		})
		w.box.Handle("call", r)
		w.append(outbox.Item{Key: "a", ID: "a1"}, outbox.Item{Key: "a", ID: "a2"}, outbox.Item{Key: "b", ID: "b1"}, outbox.Item{ID: "c1"})
		w.append(outbox.Item{Key: "a", ID: "a3"})
		w.run(w.box)
		elapse(time.Minute)
		got := r.deliveries()
		var ofA []string
		for _, d := range got {
			if strings.HasPrefix(d, "a") {
				ofA = append(ofA, d)
			}
		}
		if diff := cmp.Diff([]string{"a1 1 0s", "a1 2 1s", "a2 1 1s", "a3 1 1s"}, ofA); diff != "" {
			t.Error(diff)
		}
		for _, want := range []string{"b1 1 0s", "c1 1 0s"} {
			if !slices.Contains(got, want) {
				t.Errorf("%q was held up by another line: %q", want, got)
			}
		}
		if len(got) != 6 || w.left() != 0 {
			t.Errorf("deliveries %q, %d items left", got, w.left())
		}
	})
}

func TestItemsWaitForTheirTime(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		t := w.t
		r := newReceiver(nil)
		w.box.Handle("call", r)
		w.run(w.box)
		w.append(
			outbox.Item{ID: "later", At: time.Now().Add(90 * time.Second)}, outbox.Item{ID: "past", At: time.Now().Add(-time.Hour)},
			outbox.Item{ID: "k1", Key: "k"}, outbox.Item{ID: "k2", Key: "k", At: time.Now().Add(7 * time.Second)},
		)
		elapse(time.Hour)
		got := r.deliveries()
		slices.Sort(got)
		if diff := cmp.Diff([]string{"k1 1 0s", "k2 1 7s", "later 1 1m30s", "past 1 0s"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// A receiver that is down for an hour loses nothing and is not asked more than eight times.
func TestTheReceiverIsDownForAnHour(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		t := w.t
		began := time.Now()
		r := newReceiver(func(context.Context, outbox.Delivery) error {
			if time.Since(began) < time.Hour {
				return errDown
			}
			return nil
		})
		w.box.Handle("call", r)
		w.run(w.box)
		w.append(outbox.Item{Key: "k", ID: "1"}, outbox.Item{Key: "k", ID: "2"})
		elapse(3 * time.Hour)
		got := r.deliveries()
		if len(got) != 9 || w.left() != 0 || len(w.dead()) != 0 {
			t.Fatalf("deliveries %q, %d items left, dead %v", got, w.left(), w.dead())
		}
		if !strings.HasPrefix(got[7], "1 8 1h") || !strings.HasPrefix(got[8], "2 1 1h") {
			t.Errorf("deliveries %q", got)
		}
	})
}

func TestDeadLetters(t *testing.T) {
	inBubble(t, outbox.Config{Tries: 3}, func(w *world) {
		t := w.t
		answer := down
		r := newReceiver(func(ctx context.Context, d outbox.Delivery) error { return answer(ctx, d) })
		w.box.Handle("call", r)
		w.run(w.box)
		at := time.Now().UTC()
		w.append(outbox.Item{Key: "k", ID: "1", Payload: []byte("p")}, outbox.Item{Key: "k", ID: "2"})
		elapse(time.Minute)
		letters := w.dead()
		if len(letters) != 2 {
			t.Fatalf("dead %+v", letters)
		}
		want := outbox.Letter{
			Ref: letters[0].Ref, Item: outbox.Item{Kind: "call", Key: "k", ID: "1", Payload: []byte("p"), At: at}, Tries: 3,
			Cause: errDown.Error(), DiedAt: letters[0].DiedAt,
		}
		if diff := cmp.Diff(want, letters[0]); diff != "" {
			t.Error(diff)
		}
		if !letters[0].DiedAt.After(at) || letters[1].ID != "2" || letters[1].Ref <= letters[0].Ref {
			t.Errorf("dead %+v", letters)
		}
		if n := w.left(); n != 0 {
			t.Errorf("%d items left", n)
		}
		if !strings.Contains(w.lines.String(), "dead letter") {
			t.Errorf("the log says nothing: %s", w.lines)
		}
		page, err := w.box.Dead(t.Context(), letters[0].Ref, 1)
		if err != nil || len(page) != 1 || page[0].ID != "2" {
			t.Errorf("the second page is %v, %v", page, err)
		}
		answer = func(context.Context, outbox.Delivery) error { return nil }
		for _, letter := range letters[:1] {
			if err := w.box.Resend(t.Context(), letter.Ref); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := r.deliveries(); len(got) != 7 || !strings.HasPrefix(got[6], "1 1 ") {
			t.Errorf("deliveries %q", got)
		}
		if err := w.box.Discard(t.Context(), letters[1].Ref); err != nil || len(w.dead()) != 0 {
			t.Errorf("discarding: %v, dead %v", err, w.dead())
		}
		for _, gone := range []func(context.Context, string) error{w.box.Resend, w.box.Discard} {
			if err := gone(t.Context(), letters[1].Ref); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("a letter that is gone: %v", err)
			}
		}
	})
}

func TestDeadLettersAreKeptForAWhile(t *testing.T) {
	inBubble(t, outbox.Config{Tries: 1, KeepDead: time.Hour}, func(w *world) {
		t := w.t
		w.box.Handle("call", outbox.HandlerFunc(down))
		w.run(w.box)
		w.append(outbox.Item{ID: "1"})
		elapse(time.Hour - time.Second)
		if len(w.dead()) != 1 {
			t.Error("gone too early")
		}
		elapse(2 * time.Second)
		if len(w.dead()) != 0 {
			t.Error("kept too long")
		}
	})
}

func TestHowFailuresAreTakenUp(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		tries []string // at most this long after the begin
		dead  int
	}{
		{"asked to wait", outbox.Retry(10*time.Second, errDown), []string{"1 1 0s", "1 2 10s", "1 3 20s"}, 1},
		{"asked to wait for ever", outbox.Retry(1000*time.Hour, errDown), []string{"1 1 0s", "1 2 1h0m0s", "1 3 2h0m0s"}, 1},
		{"asked to wait less", outbox.Retry(-time.Hour, errDown), []string{"1 1 0s", "1 2 1s", "1 3 5s"}, 1},
		{"will never be better", fmt.Errorf("calling: %w", outbox.Permanent(errDown)), []string{"1 1 0s"}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, outbox.Config{Tries: 3}, func(w *world) {
				t := w.t
				r := newReceiver(func(context.Context, outbox.Delivery) error { return tt.err })
				w.box.Handle("call", r)
				w.run(w.box)
				w.append(outbox.Item{ID: "1"})
				elapse(5 * time.Hour)
				got := r.deliveries()
				if strings.Contains(tt.name, "less") && len(got) == 3 {
					got[2] = tt.tries[2] // chance moves it by a second
				}
				if diff := cmp.Diff(tt.tries, got); diff != "" {
					t.Error(diff)
				}
				if dead := w.dead(); len(dead) != tt.dead || !strings.HasSuffix(dead[0].Cause, errDown.Error()) {
					t.Errorf("dead %v", dead)
				}
				if !errors.Is(tt.err, errDown) {
					t.Error("the cause is hidden")
				}
			})
		})
	}
}

// What an error says is one short line, whatever is in it.
func TestCausesAreShort(t *testing.T) {
	inBubble(t, outbox.Config{Tries: 1}, func(w *world) {
		t := w.t
		w.box.Handle("call", outbox.HandlerFunc(func(context.Context, outbox.Delivery) error {
			return errors.New("a\nb\x00\xff" + strings.Repeat("ü", 400))
		}))
		w.run(w.box)
		w.append(outbox.Item{ID: "1"})
		synctest.Wait()
		text := w.dead()[0].Cause
		if !strings.HasPrefix(text, "a b ?ü") || !strings.HasSuffix(text, "ü…") || len(text) > 310 {
			t.Errorf("the cause is %q", text)
		}
	})
}

func TestAHandlerThatPanicsFails(t *testing.T) {
	inBubble(t, outbox.Config{Tries: 2}, func(w *world) {
		t := w.t
		r := newReceiver(func(context.Context, outbox.Delivery) error { panic("s3cret") })
		w.box.Handle("call", r)
		w.run(w.box)
		w.append(outbox.Item{ID: "1"})
		elapse(time.Minute)
		if dead := w.dead(); len(dead) != 1 || dead[0].Tries != 2 || dead[0].Cause != "the handler panicked" {
			t.Errorf("dead %+v", dead)
		}
		if strings.Contains(w.lines.String(), "s3cret") {
			t.Errorf("the log tells too much: %s", w.lines)
		}
	})
}

func TestHandlersComeAndGo(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		t := w.t
		old, fresh := newReceiver(nil), newReceiver(nil)
		w.run(w.box)
		w.append(outbox.Item{ID: "1"})
		elapse(time.Hour)
		removeOld := w.box.Handle("call", old)
		synctest.Wait()
		removeNew := w.box.Handle("call", fresh)
		removeOld() // as a configuration does that was replaced
		w.append(outbox.Item{ID: "2"})
		synctest.Wait()
		removeNew()
		w.append(outbox.Item{ID: "3"})
		elapse(time.Hour)
		if diff := cmp.Diff([][]string{{"1 1 1h0m0s"}, {"2 1 1h0m0s"}}, [][]string{old.deliveries(), fresh.deliveries()}); diff != "" {
			t.Error(diff)
		}
		w.box.Handle("call", fresh)
		synctest.Wait()
		if got := fresh.deliveries(); len(got) != 2 || len(w.dead()) != 0 {
			t.Errorf("deliveries %q, dead %v", got, w.dead())
		}
	})
}

func TestAppendRefuses(t *testing.T) {
	inBubble(t, outbox.Config{}, func(w *world) {
		t := w.t
		good := outbox.Item{Kind: "call.v1_x", Lane: "A-z.0_", Key: strings.Repeat("k", 200), ID: strings.Repeat("i", 200), At: time.Now()}
		for _, tt := range []struct {
			name  string
			spoil func(i *outbox.Item)
		}{
			{"no kind", func(i *outbox.Item) { i.Kind = "" }},
			{"a kind with a separator", func(i *outbox.Item) { i.Kind = "a/b" }},
			{"a kind in capitals", func(i *outbox.Item) { i.Kind = "Call" }},
			{"a long kind", func(i *outbox.Item) { i.Kind = strings.Repeat("k", 33) }},
			{"a lane with a separator", func(i *outbox.Item) { i.Lane = "a/b" }},
			{"a long lane", func(i *outbox.Item) { i.Lane = strings.Repeat("k", 65) }},
			{"no ID", func(i *outbox.Item) { i.ID = "" }},
			{"a long ID", func(i *outbox.Item) { i.ID += "i" }},
			{"an ID with a line end", func(i *outbox.Item) { i.ID = "a\n" }},
			{"a long key", func(i *outbox.Item) { i.Key += "k" }},
			{"a key that is not UTF-8", func(i *outbox.Item) { i.Key = "\xff" }},
			{"a large payload", func(i *outbox.Item) { i.Payload = make([]byte, outbox.MaxPayload+1) }},
			{"no time", func(i *outbox.Item) { i.At = time.Time{} }},
			{"a time before the clock", func(i *outbox.Item) { i.At = time.UnixMilli(-1) }},
			{"a time beyond the clock", func(i *outbox.Item) { i.At = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC) }},
		} {
			item := good
			tt.spoil(&item)
			err := w.db.Update(t.Context(), func(tx storage.Tx) error { return w.box.Append(tx, item) })
			if !errors.Is(err, outbox.ErrItem) {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		if n := w.left(); n != 0 {
			t.Errorf("%d items written", n)
		}
		good.Payload = make([]byte, outbox.MaxPayload)
		r := newReceiver(nil)
		w.box.Handle(good.Kind, r)
		w.run(w.box)
		w.append(good)
		synctest.Wait()
		if len(r.deliveries()) != 1 {
			t.Error("the largest item was not delivered")
		}
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	db := storagetest.Faulty(nil)
	logger := slog.New(slog.DiscardHandler)
	good := outbox.Config{DB: db, Now: time.Now, Logger: logger}
	if _, err := outbox.New(good); err != nil {
		t.Fatal(err)
	}
	for i, spoil := range []func(c *outbox.Config){
		func(c *outbox.Config) { c.DB = nil }, func(c *outbox.Config) { c.Now = nil }, func(c *outbox.Config) { c.Logger = nil },
		func(c *outbox.Config) { c.Tries = -1 }, func(c *outbox.Config) { c.Timeout = -1 }, func(c *outbox.Config) { c.Places = -1 },
		func(c *outbox.Config) { c.Places = 65 }, func(c *outbox.Config) { c.KeepDead = -1 },
	} {
		c := good
		spoil(&c)
		if _, err := outbox.New(c); err == nil {
			t.Errorf("configuration %d was accepted", i)
		}
	}
}
