// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

func TestDeliver(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		p, q, stranger := w.phone("usr_1"), w.phone("usr_1"), w.phone("usr_2")
		locked := w.phone("usr_1")
		_, err := w.handset.Lock(t.Context(), locked.id, "")
		must(t, err)
		o, targeted := w.ask("usr_1"), w.ask("usr_1", at(q))
		for name, id := range map[string]string{"a stranger's": stranger.id, "a locked": locked.id, "an unknown": "dev_x"} {
			if _, err := w.Deliver(t.Context(), o.ID, id); !errors.Is(err, operation.ErrDevice) {
				t.Errorf("%s device: %v", name, err)
			}
		}
		if _, err := w.Deliver(t.Context(), targeted.ID, p.id); !errors.Is(err, operation.ErrDevice) {
			t.Errorf("a device that was not asked: %v", err)
		}
		if _, err := w.Deliver(t.Context(), "op_x", p.id); !errors.Is(err, operation.ErrNotFound) {
			t.Errorf("an unknown operation: %v", err)
		}
		first, err := w.Deliver(t.Context(), o.ID, p.id)
		must(t, err)
		w.clock.Advance(time.Second)
		for _, phone := range []*phone{p, q} {
			again, err := w.Deliver(t.Context(), o.ID, phone.id)
			must(t, err)
			if diff := cmp.Diff(first, again); diff != "" {
				t.Errorf("fetched again it differs:\n%s", diff)
			}
		}
		if n := len(w.told("usr_1", o.ID)); n != 2 {
			t.Errorf("told: %v", w.told("usr_1", o.ID))
		}
	})
}

// TestTakeBack: whoever began it takes back a question or an approval that can be used, once, and nothing else.
func TestTakeBack(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		open, approved, used, late := w.ask("usr_1"), w.ask("usr_1"), w.ask("usr_1"), w.ask("usr_1")
		w.clock.Advance(time.Second)
		for _, o := range []operation.Operation{approved, used, late} {
			expect(t, p.approve(o), operation.Accepted, "")
		}
		out, err := w.Redeem(t.Context(), used.ID, "portal")
		must(t, err)
		expect(t, out, operation.Accepted, "")
		w.clock.Advance(time.Second)
		for _, o := range []operation.Operation{open, approved, approved} { // once more changes nothing
			got, err := w.TakeBack(t.Context(), o.ID, "withdrawn")
			must(t, err)
			if got.State != operation.Cancelled || got.Reason != "withdrawn" || !got.EndedAt.Equal(w.clock.Now()) {
				t.Errorf("taken back: %s for %q", got.State, got.Reason)
			}
			if diff := cmp.Diff(got, w.get(o.ID)); diff != "" {
				t.Errorf("it is stored otherwise:\n%s", diff)
			}
		}
		if diff := cmp.Diff([]string{"started pending", "ended approved", "ended cancelled"}, w.told("usr_1", approved.ID)); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"start accepted", "answer accepted", "cancel accepted withdrawn"}, w.reasons(approved.ID)); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
		w.clock.Advance(time.Minute)
		for _, o := range []operation.Operation{used, late} {
			was := w.get(o.ID)
			if got, err := w.TakeBack(t.Context(), o.ID, "withdrawn"); !errors.Is(err, operation.ErrTransition) || got.State != was.State {
				t.Errorf("what is %s was taken back: %s, %v", was.State, got.State, err)
			}
			if diff := cmp.Diff(was, w.get(o.ID)); diff != "" {
				t.Errorf("it has changed:\n%s", diff)
			}
		}
		if got, err := w.Cancel(t.Context(), late.ID, "client"); !errors.Is(err, operation.ErrTransition) || got.State != operation.Approved {
			t.Errorf("an approval was cancelled: %s, %v", got.State, err)
		}
	})
}

// TestTakeBackAgainstRedeem: of an approval that is taken back and redeemed at once, one happens, and both know which.
func TestTakeBackAgainstRedeem(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		for range 10 {
			o := w.ask("usr_1")
			expect(t, p.approve(o), operation.Accepted, "")
			var redeemed, back [4]bool
			must(t, errors.Join(mobiletest.Together(8, func(i int) error {
				if i%2 == 0 {
					out, err := w.Redeem(t.Context(), o.ID, "portal")
					redeemed[i/2] = out.Code == operation.Accepted
					return err
				}
				got, err := w.TakeBack(t.Context(), o.ID, "withdrawn")
				back[i/2] = err == nil && got.State == operation.Cancelled
				if errors.Is(err, operation.ErrTransition) {
					err = nil
				}
				return err
			})...))
			times := 0
			for _, did := range redeemed {
				if did {
					times++
				}
			}
			state := w.get(o.ID).State
			if times > 1 || (times == 1) != (state == operation.Redeemed) || slices.Contains(back[:], true) != (state == operation.Cancelled) {
				t.Fatalf("it is %s, redeemed %v, taken back %v", state, redeemed, back)
			}
		}
	})
}

func TestCancel(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		w.phone("usr_1")
		o := w.ask("usr_1")
		got, err := w.Cancel(t.Context(), o.ID, "order withdrawn")
		must(t, err)
		if got.State != operation.Cancelled || got.Reason != "order withdrawn" || !got.EndedAt.Equal(w.clock.Now()) {
			t.Errorf("cancelled: %+v", got)
		}
		again, err := w.Cancel(t.Context(), o.ID, "another reason")
		must(t, err)
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("cancelled again it differs:\n%s", diff)
		}
		if len(w.standing("usr_1").Open) != 0 || len(w.told("usr_1", o.ID)) != 2 {
			t.Errorf("open %v, told %v", w.standing("usr_1").Open, w.told("usr_1", o.ID))
		}
		if _, err := w.Cancel(t.Context(), "op_x", ""); !errors.Is(err, operation.ErrNotFound) {
			t.Errorf("an unknown one: %v", err)
		}
		for _, reason := range []string{"a\nb", string(make([]byte, 200)), fmt.Sprintf("%0129d", 0)} {
			if _, err := w.Cancel(t.Context(), o.ID, reason); !errors.Is(err, operation.ErrInvalid) {
				t.Errorf("reason %.10q: %v", reason, err)
			}
		}
	})
}

// TestDeviceTakenOut: what only it could answer ends with it, in the same transaction; what it approved is worth nothing.
func TestDeviceTakenOut(t *testing.T) {
	t.Parallel()
	for name, out := range map[string]func(w *world, id string) error{
		"locked": func(w *world, id string) error { _, err := w.handset.Lock(w.t.Context(), id, ""); return err },
		"stolen": func(w *world, id string) error {
			_, err := w.handset.Lose(w.t.Context(), id, handset.Stolen, "")
			return err
		},
		"deactivated": func(w *world, id string) error { _, err := w.handset.Deactivate(w.t.Context(), id, ""); return err },
		"quarantined": func(w *world, id string) error { _, err := w.handset.Quarantine(w.t.Context(), id, ""); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range engines.All {
				w := newWorld(t, i)
				p, q := w.phone("usr_1"), w.phone("usr_1")
				mine, yours, anyone := w.ask("usr_1", at(p)), w.ask("usr_1", at(q)), w.ask("usr_1")
				done := w.ask("usr_1", at(p))
				expect(t, p.approve(done), operation.Accepted, "")
				must(t, out(w, p.id))
				got := w.get(mine.ID)
				if got.State != operation.Cancelled || got.Reason != operation.ReasonDeviceRevoked {
					t.Errorf("its operation is %s for %q", got.State, got.Reason)
				}
				if diff := cmp.Diff([]string{yours.ID, anyone.ID}, w.standing("usr_1").Open); diff != "" {
					t.Errorf("open:\n%s", diff)
				}
				outcome, err := w.Redeem(t.Context(), done.ID, "portal")
				must(t, err)
				expect(t, outcome, operation.NotAllowed, operation.ReasonDeviceRevoked)
				must(t, w.Expire(t.Context()))
				must(t, w.Expire(t.Context()))
				if diff := cmp.Diff([]string{"started pending", "ended cancelled"}, w.told("usr_1", mine.ID)); diff != "" {
					t.Errorf("told:\n%s", diff)
				}
				if diff := cmp.Diff([]string{"cancel accepted " + operation.ReasonDeviceRevoked, "start accepted"}, slices.Sorted(slices.Values(w.reasons(mine.ID)))); diff != "" {
					t.Errorf("audit:\n%s", diff)
				}
			}
		})
	}
	t.Run("not at all", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 0)
		p := w.phone("usr_1")
		o := w.ask("usr_1", at(p))
		w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Err: errDown, Nth: 1})
		if _, err := w.handset.Lock(t.Context(), p.id, ""); !errors.Is(err, errDown) {
			t.Fatalf("the fault did not strike: %v", err)
		}
		if got := w.get(o.ID); got.State != operation.Pending {
			t.Errorf("the lock failed and the operation is %s", got.State)
		}
	})
}

// TestUserTakenOut: as many operations as a user may have open fit into somebody else's transaction, with a hook that writes.
func TestUserTakenOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, func(c *operation.Config) {
		c.Limits.Open = operation.MaxOpen
		c.OnChange = append(c.OnChange, func(tx storage.Tx, c operation.Change) error {
			for i := range 3 {
				if err := tx.Put(storage.Item{Key: fmt.Sprintf("outbox/%s/%s/%d", c.Operation.ID, c.What, i)}); err != nil {
					return err
				}
			}
			return nil
		})
	})
	p := w.phone("usr_1")
	w.phone("usr_2")
	var ids []string
	for i := range operation.MaxOpen {
		o := w.ask("usr_1", func(s *operation.Start) {
			if i%2 == 0 {
				s.DeviceID = p.id
			}
			if i == 1 {
				s.Kind = operation.Registration
			}
		})
		ids = append(ids, o.ID)
	}
	other := w.ask("usr_2")
	must(t, w.db.Update(t.Context(), func(tx storage.Tx) error { return w.CloseForUser(tx, "usr_1") }))
	must(t, w.Expire(t.Context()))
	for _, id := range ids {
		if got := w.get(id); got.State != operation.Cancelled || got.Reason != operation.ReasonUserRevoked {
			t.Errorf("%s for %q", got.State, got.Reason)
		}
		if diff := cmp.Diff([]string{"cancel accepted " + operation.ReasonUserRevoked, "start accepted"}, slices.Sorted(slices.Values(w.reasons(id)))); diff != "" {
			t.Errorf("audit:\n%s", diff)
		}
	}
	if got := w.get(other.ID); got.State != operation.Pending {
		t.Errorf("another user's is %s", got.State)
	}
	must(t, w.db.Update(t.Context(), func(tx storage.Tx) error { return w.CloseForUser(tx, "usr_1") }))
	must(t, w.db.Update(t.Context(), func(tx storage.Tx) error { return w.CloseForUser(tx, "usr_nobody") }))
}

// TestLargestTransaction: the last wrong PIN on a phone that has as much to lose as possible, while everybody who is told
// writes as much as they may. A transaction that was too large would leave a stolen phone in use.
func TestLargestTransaction(t *testing.T) {
	t.Parallel()
	for i := range engines.All {
		w := newWorld(t, i, func(c *operation.Config) {
			c.Limits.Open, c.Limits.Tries, c.Limits.Failures = operation.MaxOpen, 10, 10
			c.OnChange = append(c.OnChange, func(tx storage.Tx, c operation.Change) error {
				for i := range 5 {
					if err := tx.Put(storage.Item{Key: fmt.Sprintf("outbox/%s/%s/%d", c.Operation.ID, c.What, i)}); err != nil {
						return err
					}
				}
				return nil
			})
		})
		p := w.phone("usr_1", func(d *handset.Device) {
			d.Push, d.Hash = &handset.Push{Service: "apns", Address: "a"}, fmt.Sprintf("%064d", 7)
		})
		var last operation.Operation
		for range operation.MaxOpen {
			last = w.ask("usr_1", at(p))
		}
		for range 5 {
			expect(t, p.approve(last, wrongPIN), operation.Refused, handset.FactorWrong)
		}
		if got := w.get(last.ID); got.State != operation.Failed || len(w.standing("usr_1").Open) != 0 {
			t.Errorf("it is %s, open %v", got.State, w.standing("usr_1").Open)
		}
		must(t, w.Expire(t.Context()))
		w.clock.Advance(time.Hour)
		must(t, w.Expire(t.Context()))
		for _, o := range func() []operation.Operation {
			page, err := w.ListByUser(t.Context(), "usr_1", "", 0)
			must(t, err)
			return page
		}() {
			ends := slices.DeleteFunc(w.told("usr_1", o.ID), func(told string) bool { return told[:5] != "ended" })
			if len(ends) != 1 {
				t.Errorf("told: %v", ends)
			}
		}
	}
}

// TestRegistrationByOthers is what package enrolment does.
func TestRegistrationByOthers(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		start := operation.Start{Kind: operation.Registration, UserID: "usr_1", ClientID: "portal", TimeToLive: 10 * time.Minute}
		draft, err := w.Prepare(t.Context(), start)
		must(t, err)
		draft.SetRegistration(json.RawMessage(`{"for":"` + draft.ID() + `"}`))
		var o operation.Operation
		must(t, w.db.Update(t.Context(), func(tx storage.Tx) error {
			o, _, err = w.StartTx(tx, draft)
			return err
		}))
		if o.ID != draft.ID() || !o.AnswerBy.Equal(draft.AnswerBy()) || string(o.Registration) != `{"for":"`+o.ID+`"}` || o.Number != "" {
			t.Fatalf("started: %+v", o)
		}
		amend := func(version uint64, state operation.State, data string) (changed operation.Operation, err error) {
			err = w.db.Update(t.Context(), func(tx storage.Tx) error {
				changed, err = w.AmendTx(tx, o.ID, version, state, json.RawMessage(data))
				return err
			})
			return changed, err
		}
		changed, err := amend(1, operation.Delivered, `{"keys":1}`)
		must(t, err)
		if changed.State != operation.Delivered || changed.Version != 2 || string(changed.Registration) != `{"keys":1}` ||
			!changed.DeliveredAt.Equal(w.clock.Now()) {
			t.Errorf("amended: %+v", changed)
		}
		if _, err := amend(1, operation.Delivered, `{}`); !errors.Is(err, operation.ErrVersion) {
			t.Errorf("an older version: %v", err)
		}
		for _, state := range []operation.State{operation.Pending, operation.Approved, operation.Expired} {
			if _, err := amend(2, state, `{}`); !errors.Is(err, operation.ErrTransition) {
				t.Errorf("into %s: %v", state, err)
			}
		}
		if _, err := amend(2, operation.Delivered, string(make([]byte, 17<<10))); !errors.Is(err, operation.ErrInvalid) {
			t.Errorf("17 KiB: %v", err)
		}
		finish := func(state operation.State) error {
			return w.db.Update(t.Context(), func(tx storage.Tx) error {
				_, err := w.FinishTx(tx, o.ID, operation.Finish{
					State: state, Reason: "confirmed", DeviceID: "dev_1", Actor: audit.Actor{By: "user:usr_1"},
				})
				return err
			})
		}
		for _, state := range []operation.State{operation.Pending, operation.Delivered, operation.Expired, operation.Redeemed, "x"} {
			if err := finish(state); !errors.Is(err, operation.ErrTransition) {
				t.Errorf("finished as %s: %v", state, err)
			}
		}
		must(t, finish(operation.Approved))
		got := w.get(o.ID)
		if got.State != operation.Approved || got.Reason != "confirmed" || got.AnsweredBy != "dev_1" || len(w.standing("usr_1").Open) != 0 {
			t.Errorf("finished: %+v", got)
		}
		for _, state := range []operation.State{operation.Approved, operation.Denied, operation.Cancelled} {
			if err := finish(state); !errors.Is(err, operation.ErrTransition) {
				t.Errorf("finished again as %s: %v", state, err)
			}
		}
		out, err := w.Redeem(t.Context(), o.ID, "portal")
		must(t, err)
		expect(t, out, operation.Accepted, "")
		if _, err := amend(got.Version+1, operation.Delivered, `{}`); !errors.Is(err, operation.ErrTransition) {
			t.Errorf("amended when it was over: %v", err)
		}
	})
}

// TestNoHookNoChange: what has to be told and cannot be is not done.
func TestNoHookNoChange(t *testing.T) {
	t.Parallel()
	fail := false
	w := newWorld(t, 0, func(c *operation.Config) {
		c.OnChange = append(c.OnChange, func(storage.Tx, operation.Change) error {
			if fail {
				return errDown
			}
			return nil
		})
	})
	p := w.phone("usr_1")
	o := w.ask("usr_1")
	fail = true
	if _, _, err := w.Start(t.Context(), question("usr_1")); !errors.Is(err, errDown) {
		t.Errorf("starting: %v", err)
	}
	if _, err := w.Deliver(t.Context(), o.ID, p.id); !errors.Is(err, errDown) {
		t.Errorf("delivering: %v", err)
	}
	for name, a := range map[string]operation.Answer{
		"approving": p.approval(o), "denying": p.denial(o, envelope.Denied), "not me": p.denial(o, envelope.NotMe),
	} {
		if _, err := w.Answer(t.Context(), a); !errors.Is(err, errDown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.Cancel(t.Context(), o.ID, ""); !errors.Is(err, errDown) {
		t.Errorf("cancelling: %v", err)
	}
	if err := w.Unblock(t.Context(), "usr_1", ""); !errors.Is(err, errDown) {
		t.Errorf("unblocking: %v", err)
	}
	w.clock.Advance(time.Hour)
	if err := w.Expire(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("expiring: %v", err)
	}
	fail = false
	must(t, w.Expire(t.Context()))
	if got := w.told("usr_1", o.ID); len(got) != 2 {
		t.Errorf("told: %v", got)
	}
}

// TestExpireMany: what has expired is written down once, in transactions of bounded size, and what has not is left alone.
func TestExpireMany(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		var ids []string
		for i := range 30 {
			user := fmt.Sprint("usr_", i)
			p := w.phone(user)
			for j := range 4 {
				o := w.ask(user)
				ids = append(ids, o.ID)
				if j == 3 {
					p.approve(o)
				}
			}
		}
		w.clock.Advance(time.Minute)
		later := w.ask("usr_1")
		w.clock.Advance(time.Minute)
		must(t, w.Tick(t.Context()))
		must(t, w.Tick(t.Context()))
		expired := 0
		for _, id := range ids {
			if slices.Contains(w.reasons(id), "expire accepted") {
				expired++
			}
		}
		if expired != 90 {
			t.Errorf("%d are written down as expired", expired)
		}
		if got := w.get(later.ID); got.State != operation.Pending || slices.Contains(w.reasons(later.ID), "expire accepted") {
			t.Errorf("one that had time left is %s", got.State)
		}
		var due int
		must(t, w.db.View(t.Context(), func(tx storage.Tx) error {
			due = 0
			for _, err := range tx.Scan("operation_due/", "", 0) {
				if err != nil {
					return err
				}
				due++
			}
			return nil
		}))
		if due != 1 {
			t.Errorf("%d entries are left", due)
		}
	})
}
