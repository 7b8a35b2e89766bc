// SPDX-License-Identifier: Apache-2.0

package callback_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/mobileauth/callback"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
)

// desk is an outbox with a sender, in a bubble of synctest. The receivers live outside of it.
type desk struct {
	t   *testing.T
	db  storage.DB
	box *outbox.Outbox
	log *locked
}

type locked struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// inBubble runs the loop and the test in one.
func inBubble(t *testing.T, s *callback.Sender, test func(d *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		db, err := memstore.Open(memstore.Config{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		d := &desk{t: t, db: db, log: &locked{}}
		d.box, err = outbox.New(outbox.Config{
			DB: db, Now: time.Now, Logger: slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		if err != nil {
			t.Fatal(err)
		}
		d.box.Handle(callback.Kind, s)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.box.Run(ctx)
		}()
		test(d)
		cancel()
		<-done
	})
}

// tell appends a notice of an operation.
func (d *desk) tell(id, address, operation, state string) {
	d.t.Helper()
	item, err := callback.Item(id, "portal", address, callback.Notice{Operation: operation, Kind: "authorisation", State: state, At: time.Now()})
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.box.Waking(d.db).Update(d.t.Context(), func(tx storage.Tx) error { return d.box.Append(tx, item) }); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) dead() []outbox.Letter {
	d.t.Helper()
	letters, err := d.box.Dead(d.t.Context(), "", 0)
	if err != nil {
		d.t.Fatal(err)
	}
	return letters
}

// states returns "operation state" of what a receiver was sent.
func states(t *testing.T, calls []call) (all []string) {
	t.Helper()
	for _, c := range calls {
		var told struct{ ID, Operation, State string }
		if err := json.Unmarshal([]byte(c.Body), &told); err != nil {
			t.Fatal(err)
		}
		if told.ID != c.Header.Get(callback.DeliveryField) {
			t.Errorf("the field says %q and the body %q", c.Header.Get(callback.DeliveryField), told.ID)
		}
		all = append(all, told.ID+" "+told.Operation+" "+told.State)
	}
	return all
}

// Whatever goes wrong at a receiver for an hour, each change is accepted once, in its order, and nothing is dead. Nothing of it
// shows a secret.
func TestAReceiverIsDownForAnHour(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		fail http.HandlerFunc
	}{
		{"it closes the connection in the middle", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{"it is unavailable", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }},
		{"it redirects to a page for logging in", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login?s3cret", http.StatusFound)
		}},
		{"it answers with a page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprint(w, "<h1>s3cret</h1>")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var up atomic.Bool
			b := newBack(t, func(w http.ResponseWriter, r *http.Request) {
				if up.Load() {
					accept(w, r)
					return
				}
				tt.fail(w, r)
			})
			address := b.URL + "/done?s3cret"
			s := sender(t, callback.Config{
				Receivers: []callback.Receiver{{URL: address, Allow: loopback, Credentials: must(callback.Basic("portal", "s3cret"))}},
			})
			inBubble(t, s, func(d *desk) {
				for op := range 20 {
					for _, state := range []string{"delivered", "approved", "redeemed"} {
						d.tell(fmt.Sprintf("dlv_%d_%s", op, state), address, fmt.Sprintf("op_%d", op), state)
					}
				}
				<-time.After(time.Hour)
				before := len(b.got())
				up.Store(true)
				<-time.After(2 * time.Hour)
				synctest.Wait()
				accepted := map[string][]string{}
				for _, line := range states(t, b.got()[before:]) {
					var id, op, state string
					if _, err := fmt.Sscan(line, &id, &op, &state); err != nil || id != "dlv_"+op[3:]+"_"+state {
						t.Errorf("sent %q, %v", line, err)
					}
					accepted[op] = append(accepted[op], state)
				}
				for op := range 20 {
					if diff := cmp.Diff([]string{"delivered", "approved", "redeemed"}, accepted[fmt.Sprintf("op_%d", op)]); diff != "" {
						t.Errorf("op_%d: %s", op, diff)
					}
				}
				if before == 0 || len(d.dead()) != 0 {
					t.Errorf("%d tries within the hour, dead %v", before, d.dead())
				}
				if strings.Contains(d.log.String(), "s3cret") {
					t.Errorf("the log tells too much: %s", d.log)
				}
			})
		})
	}
}

// A receiver that is gone for good, or says so, makes dead letters, which an operator sends again.
func TestDeadCallbacks(t *testing.T) {
	t.Parallel()
	var status atomic.Int32
	status.Store(http.StatusGone)
	b := newBack(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) })
	address := b.URL + "/done?s3cret"
	s := sender(t, callback.Config{
		Receivers: []callback.Receiver{{URL: address, Allow: loopback, Credentials: must(callback.Bearer("s3cret-token"))}},
	})
	inBubble(t, s, func(d *desk) {
		d.tell("dlv_1", address, "op_1", "approved")
		d.tell("dlv_2", "https://elsewhere.example/done", "op_2", "approved")
		synctest.Wait()
		<-time.After(time.Second)
		if n := len(b.got()); n != 1 {
			t.Fatalf("%d calls", n)
		}
		status.Store(http.StatusInternalServerError)
		d.tell("dlv_3", address, "op_3", "denied")
		<-time.After(4 * time.Hour)
		letters := d.dead()
		if len(letters) != 3 || letters[0].Tries != 1 || letters[1].Tries != 1 || letters[2].Tries != outbox.DefaultTries {
			t.Fatalf("dead %+v", letters)
		}
		for _, letter := range letters {
			if strings.Contains(letter.Cause, "s3cret") || strings.Contains(letter.Cause, "done") {
				t.Errorf("the letter tells too much: %s", letter.Cause)
			}
		}
		status.Store(http.StatusNoContent)
		for _, letter := range letters {
			if err := d.box.Resend(t.Context(), letter.Ref); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(time.Minute)
		got := states(t, b.got())
		if n := len(got); n != 11 {
			t.Fatalf("sent %v", got)
		}
		again := map[string]bool{got[9]: true, got[10]: true}
		if diff := cmp.Diff(map[string]bool{"dlv_1 op_1 approved": true, "dlv_3 op_3 denied": true}, again); diff != "" {
			t.Error(diff)
		}
		if dead := d.dead(); len(dead) != 1 || dead[0].ID != "dlv_2" {
			t.Errorf("dead %+v", dead)
		}
	})
}

// A receiver that does not answer holds up no other.
func TestASlowReceiverHoldsUpNobody(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	slow := newBack(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	})
	quick := newBack(t, accept)
	s := sender(t, callback.Config{
		Receivers: []callback.Receiver{{URL: slow.URL, Allow: loopback}, {URL: quick.URL, Allow: loopback}}, Timeout: time.Minute,
	})
	db, err := memstore.Open(memstore.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	delivered := make(chan struct{}, 50)
	box, err := outbox.New(outbox.Config{DB: db, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Observe: func(o outbox.Observation) {
		if o.Outcome == outbox.Delivered {
			delivered <- struct{}{}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	box.Handle(callback.Kind, s)
	d := &desk{t: t, db: db, box: box}
	for i := range 200 {
		d.tell(fmt.Sprint("slow", i), slow.URL, fmt.Sprint("slow", i), "approved")
	}
	for i := range 50 {
		d.tell(fmt.Sprint("quick", i), quick.URL, fmt.Sprint("quick", i), "approved")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		box.Run(ctx)
	}()
	for range 50 {
		<-delivered
	}
	if n := len(slow.got()); n > outbox.DefaultPlaces/2 {
		t.Errorf("%d calls to the slow one at once", n)
	}
	close(ended)
	cancel()
	<-done
}
