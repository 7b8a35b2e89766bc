// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
)

func lateSMS() *operation.StartLate {
	var s operation.Start
	texting(&s)
	return &operation.StartLate{After: 30 * time.Second, TimeToLive: 5 * time.Minute, Way: s.Way}
}

// late is an authentication by PIN that goes over to SMS when no phone fetches it.
func late(s *operation.Start) {
	s.Kind, s.Methods, s.NumberMatch, s.Asked = operation.Authentication, []string{"pin"}, 2, "push_pin"
	s.Way = operation.Way{Type: "push_pin", Of: mobiletype.PushPIN, Named: "gold"}
	s.Late = lateSMS()
}

func TestSMSTakesOver(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		o := w.ask("usr_1", at(p), late)
		ready := make(chan operation.Operation, 1)
		go func() {
			changed, err := w.Wait(context.WithoutCancel(t.Context()), o.ID, o.Version, time.Minute)
			if err != nil {
				t.Error(err)
			}
			ready <- changed
		}()
		must(t, w.Tick(t.Context()))
		if w.get(o.ID).Channel != operation.ByPush {
			t.Fatal("it went over early")
		}
		w.clock.Advance(30 * time.Second)
		must(t, w.Tick(t.Context()))
		if got := <-ready; got.Channel != operation.BySMS {
			t.Errorf("whoever waits is told of %+v", got)
		}
		got := w.get(o.ID)
		if got.Channel != operation.BySMS || got.Type != "sms_code" || got.Asked != "push_pin" || len(got.SMS.Code) != 6 || got.Late != nil ||
			got.Number != "" || got.DeviceID != "" || got.Resends != 2 || !got.AnswerBy.Equal(w.clock.Now().Add(5*time.Minute)) || got.State != operation.Pending {
			t.Errorf("it is %+v", got)
		}
		if diff := cmp.Diff([]operation.Skipped{{Type: "push_pin", Reason: "not_fetched"}}, got.Skipped); diff != "" {
			t.Error(diff)
		}
		// The phone has lost it.
		if open, err := w.Pending(t.Context(), p.id, 0); err != nil || len(open) != 0 {
			t.Errorf("open at the phone: %v, %v", open, err)
		}
		if _, err := w.Deliver(t.Context(), o.ID, p.id); !errors.Is(err, operation.ErrTransition) {
			t.Errorf("fetched by the phone: %v", err)
		}
		expect(t, p.approve(o), operation.Gone, "switched")
		// At the end of the first clock nothing happens.
		w.clock.Advance(90 * time.Second)
		must(t, w.Tick(t.Context()))
		if !w.get(o.ID).State.Open() || len(w.standing("usr_1").Open) != 1 {
			t.Error("it ends by the first clock")
		}
		expect(t, w.verify(o, got.SMS.Code), operation.Accepted, "")
		if got := w.get(o.ID); got.Used != mobiletype.SMS || got.ACR != "bronze" || !slices.Equal(got.AMR, []string{"sms"}) {
			t.Errorf("approved as %s, %s, %v", got.Used, got.ACR, got.AMR)
		}
		want := []string{"started pending", "switched pending", "ended approved"}
		if diff := cmp.Diff(want, w.told("usr_1", o.ID)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestSMSDoesNotTakeOver: what a phone has fetched or answered, and what has ended, stays as it is.
func TestSMSDoesNotTakeOver(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		first func(w *world, p *phone, o operation.Operation)
		state operation.State
	}{
		{"fetched", func(w *world, p *phone, o operation.Operation) {
			_, err := w.Deliver(w.t.Context(), o.ID, p.id)
			must(w.t, err)
		}, operation.Delivered},
		{"answered without being fetched", func(w *world, p *phone, o operation.Operation) {
			expect(w.t, p.approve(o), operation.Accepted, "")
		}, operation.Approved},
		{"cancelled", func(w *world, _ *phone, o operation.Operation) {
			_, err := w.Cancel(w.t.Context(), o.ID, "client")
			must(w.t, err)
		}, operation.Cancelled},
		{"of a user who is locked", func(w *world, _ *phone, _ operation.Operation) { w.inactive("usr_1") }, operation.Pending},
		{"of a user who is blocked", func(w *world, _ *phone, _ operation.Operation) {
			for range 2 {
				other := w.ask("usr_1", texting)
				for range 3 {
					w.verify(other, off(other.SMS.Code))
				}
			}
		}, operation.Pending},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			p := w.phone("usr_1")
			o := w.ask("usr_1", late)
			test.first(w, p, o)
			w.clock.Advance(30 * time.Second)
			must(t, w.Tick(t.Context()))
			if got := w.get(o.ID); got.State != test.state || got.Channel != operation.ByPush || got.SMS != nil {
				t.Errorf("it is %+v", got)
			}
			if slices.Contains(w.told("usr_1", o.ID), "switched pending") {
				t.Error("a message was told of")
			}
		})
	}
}

// TestHeldNotificationsDoNotGoOver: a notification that was held back is no phone that cannot be reached. Neither asking until nothing
// is sent any more, nor going on after the person has said that it was not them, gets the way that proves less.
func TestHeldNotificationsDoNotGoOver(t *testing.T) {
	t.Parallel()
	reached := func(c *operation.Config) { c.Pushes = func(*handset.Device) bool { return true } }
	for _, test := range []struct {
		name, push string
		first      func(w *world, p *phone)
		goesOver   bool
	}{
		{"notified", operation.PushQueued, func(*world, *phone) {}, true},
		{"asked too often", operation.PushHeldBudget, func(w *world, _ *phone) {
			for range 5 {
				_, err := w.Cancel(w.t.Context(), w.ask("usr_1", late).ID, "client")
				must(w.t, err)
			}
		}, false},
		{"not me", operation.PushHeldNotMe, func(w *world, p *phone) {
			expect(w.t, w.answer(p.denial(w.ask("usr_1", late), "not_me")), operation.Accepted, "not_me")
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0, reached)
			p := w.phone("usr_1")
			test.first(w, p)
			o := w.ask("usr_1", late)
			if o.Push != test.push || (o.Late != nil) != test.goesOver {
				t.Fatalf("it began with the notification %q and goes over by %+v", o.Push, o.Late)
			}
			w.clock.Advance(30 * time.Second)
			must(t, w.Tick(t.Context()))
			if got := w.get(o.ID); (got.Channel == operation.BySMS) != test.goesOver {
				t.Errorf("it is %+v", got)
			}
			if test.goesOver {
				return
			}
			if got, err := w.NotSent(t.Context(), o.ID, operation.ByPush); err != nil || got.Channel != operation.ByPush {
				t.Errorf("it is %+v, %v", got, err)
			}
			expect(t, p.approve(o), operation.Accepted, "")
		})
	}
}

// TestMessageThatIsRefused: the message may not be sent, so the phone keeps the question, and the others go over all the same.
func TestMessageThatIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, func(c *operation.Config) {
		c.OnChange = append(c.OnChange, func(_ storage.Tx, change operation.Change) error {
			if change.UserID == "usr_1" && change.Operation.Channel == operation.BySMS && change.What != operation.Ended {
				return fmt.Errorf("too many: %w", operation.ErrChannel)
			}
			return nil
		})
	})
	p := w.phone("usr_1")
	w.phone("usr_2")
	o, other := w.ask("usr_1", late), w.ask("usr_2", late)
	if _, _, err := w.Start(t.Context(), question("usr_1", texting)); !errors.Is(err, operation.ErrChannel) {
		t.Errorf("a start over sms: %v", err)
	}
	w.clock.Advance(30 * time.Second)
	must(t, w.Tick(t.Context()))
	if got := w.get(o.ID); got.Channel != operation.ByPush || got.Late != nil {
		t.Errorf("it is %+v", got)
	}
	if w.get(other.ID).Channel != operation.BySMS {
		t.Error("the other one stays too")
	}
	expect(t, p.approve(o), operation.Accepted, "")
	want := []string{"answer accepted", "start accepted", "switch refused not_possible"}
	if diff := cmp.Diff(want, sorted(w.reasons(o.ID))); diff != "" {
		t.Error(diff)
	}
}

// TestPhoneAndSMSAtOnce: the phone answers while SMS takes over. One of them wins, and the answer is what the record says.
func TestPhoneAndSMSAtOnce(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		for i := range 12 {
			user := fmt.Sprint("usr_", i)
			p := w.phone(user)
			o := w.ask(user, late)
			answer := p.approval(o)
			w.clock.Advance(30 * time.Second)
			var out operation.Outcome
			var wg sync.WaitGroup
			wg.Go(func() { out = w.answer(answer) })
			wg.Go(func() {
				if err := w.Tick(t.Context()); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			got := w.get(o.ID)
			switch {
			case out.Code == operation.Accepted && got.State == operation.Approved && got.Used == mobiletype.PushPIN && got.ACR == "gold":
			case out.Code == operation.Gone && got.State == operation.Pending && got.Channel == operation.BySMS:
			default:
				t.Errorf("the phone got %s for %s, and it is %s over %s", out.Code, out.Reason, got.State, got.Channel)
			}
		}
	})
}

func TestNotSent(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		w.phone("usr_1")
		notSent := func(o operation.Operation, channel operation.Channel) operation.Operation {
			t.Helper()
			got, err := w.NotSent(t.Context(), o.ID, channel)
			must(t, err)
			if diff := cmp.Diff(w.get(o.ID), got); diff != "" {
				t.Error(diff)
			}
			return got
		}
		sms := notSent(w.ask("usr_1", texting), operation.BySMS)
		if sms.State != operation.Failed || sms.Reason != operation.ReasonNotSent || len(w.standing("usr_1").Open) != 0 {
			t.Errorf("a code that was not sent: %+v", sms)
		}
		waits := notSent(w.ask("usr_1"), operation.ByPush)
		if waits.State != operation.Pending || waits.Version != 1 {
			t.Errorf("a notification that was not sent: %+v", waits)
		}
		over := notSent(w.ask("usr_1", late), operation.ByPush)
		if over.Channel != operation.BySMS || over.Skipped[0].Reason != "not_sent" {
			t.Errorf("a notification with something later: %+v", over)
		}
		again := notSent(over, operation.ByPush)
		if again.Version != over.Version {
			t.Errorf("told again: %+v", again)
		}
		if _, err := w.NotSent(t.Context(), "op_none", operation.BySMS); !errors.Is(err, operation.ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}
	})
}
