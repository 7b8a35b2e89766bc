// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

func TestApproveAndRedeem(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		o := w.ask("usr_1")
		w.clock.Advance(time.Second)
		shown, err := w.Deliver(t.Context(), o.ID, p.id)
		must(t, err)
		if shown.State != operation.Delivered || !shown.DeliveredAt.Equal(w.clock.Now()) {
			t.Fatalf("delivered: %+v", shown)
		}
		w.clock.Advance(10 * time.Second)
		a := p.approval(shown)
		expect(t, w.answer(a), operation.Accepted, "")
		got := w.get(o.ID)
		want := shown
		want.State, want.Method, want.Factor, want.AnsweredBy, want.Statement = operation.Approved, "pin", true, p.id, a.Statement.Raw()
		want.SignedBy = p.keys.Public().Sign.ID()
		want.Used, want.AMR, want.ACR = mobiletype.PushPIN, []string{"pop", "pin", "mfa"}, "push_pin"
		want.AnsweredAt, want.EndedAt, want.RedeemBy = w.clock.Now(), w.clock.Now(), w.clock.Now().Add(time.Minute)
		want.Version++
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("approved (-want +got):\n%s", diff)
		}
		w.clock.Advance(59 * time.Second)
		out, err := w.Redeem(t.Context(), o.ID, "portal")
		must(t, err)
		expect(t, out, operation.Accepted, "")
		want.State, want.RedeemedAt = operation.Redeemed, w.clock.Now()
		want.Version++
		if diff := cmp.Diff(want, out.Operation); diff != "" {
			t.Errorf("redeemed (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"started pending", "fetched delivered", "ended approved", "redeemed redeemed"}, w.told("usr_1", o.ID)); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		said := []string{"start accepted", "deliver accepted", "answer accepted", "redeem accepted"}
		if diff := cmp.Diff(said, w.reasons(o.ID)); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
		if open := w.standing("usr_1").Open; len(open) != 0 {
			t.Errorf("still open: %v", open)
		}
	})
}

// TestRedeemRefused: an approval is used once, by who asked, in time, and while device and user are what they were.
func TestRedeemRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		before func(w *world, p *phone, o operation.Operation)
		client string
		code   operation.Code
		reason string
	}{
		{"another client", func(*world, *phone, operation.Operation) {}, "other", operation.NotAllowed, "other_client"},
		{"too late", func(w *world, _ *phone, _ operation.Operation) { w.clock.Advance(time.Minute) }, "portal", operation.Gone, "redeem_window"},
		{"twice", func(w *world, _ *phone, o operation.Operation) {
			_, err := w.Redeem(w.t.Context(), o.ID, "portal")
			must(w.t, err)
		}, "portal", operation.Gone, "is_redeemed"},
		{"taken back", func(w *world, _ *phone, o operation.Operation) {
			_, err := w.TakeBack(w.t.Context(), o.ID, "withdrawn")
			must(w.t, err)
		}, "portal", operation.Gone, "is_cancelled"},
		{"the device is lost", func(w *world, p *phone, _ operation.Operation) {
			_, err := w.handset.Lose(w.t.Context(), p.id, handset.Lost, "")
			must(w.t, err)
		}, "portal", operation.NotAllowed, operation.ReasonDeviceRevoked},
		{"the user is locked", func(w *world, _ *phone, _ operation.Operation) { w.inactive("usr_1") }, "portal", operation.NotAllowed, operation.ReasonUserRevoked},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			p := w.phone("usr_1")
			o := w.ask("usr_1")
			expect(t, p.approve(o), operation.Accepted, "")
			test.before(w, p, o)
			was := w.get(o.ID)
			out, err := w.Redeem(t.Context(), o.ID, test.client)
			must(t, err)
			expect(t, out, test.code, test.reason)
			if diff := cmp.Diff(was, w.get(o.ID)); diff != "" {
				t.Errorf("a refused redemption changed it:\n%s", diff)
			}
			if said := w.reasons(o.ID); !slices.Contains(said, "redeem refused "+test.reason) {
				t.Errorf("audit: %q", said)
			}
		})
	}
	t.Run("before the answer", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 0)
		w.phone("usr_1")
		out, err := w.Redeem(t.Context(), w.ask("usr_1").ID, "portal")
		must(t, err)
		expect(t, out, operation.Gone, "is_pending")
		if _, err := w.Redeem(t.Context(), "op_x", "portal"); !errors.Is(err, operation.ErrNotFound) {
			t.Errorf("an unknown one: %v", err)
		}
	})
}

// TestAnswerRefused: each fault has its own reason in the trail, changes nothing, and looks the same from outside.
func TestAnswerRefused(t *testing.T) {
	t.Parallel()
	type scene struct {
		w     *world
		p     *phone
		o     operation.Operation
		reply func(...func(*reply)) operation.Answer
	}
	for _, test := range []struct {
		name   string
		answer func(s scene) operation.Answer
		reason string
	}{
		{"an unknown operation", func(s scene) operation.Answer {
			return s.reply(func(r *reply) { r.statement.Operation = "op_unknown" })
		}, "unknown_operation"},
		{"another user's device", func(s scene) operation.Answer { return s.w.phone("usr_2").approval(s.o) }, "other_user"},
		{"another device than the one asked", func(s scene) operation.Answer {
			return s.p.approval(s.w.ask("usr_1", at(s.w.phone("usr_1"))))
		}, "other_device"},
		{"a device of another app", func(s scene) operation.Answer {
			q := s.w.phone("usr_1", func(d *handset.Device) { d.Application = "shop" })
			return q.approval(s.w.ask("usr_1", func(st *operation.Start) { st.Application = "bank" }))
		}, "other_device"},
		{"a registration", func(s scene) operation.Answer {
			return s.p.approval(s.w.ask("usr_1", func(st *operation.Start) { st.Kind = operation.Registration }))
		}, "other_device"},
		{"a message seen before", func(s scene) operation.Answer {
			first := s.w.ask("usr_1", login, with("possession"))
			a := s.p.approval(first)
			s.w.answer(a)
			return s.reply(func(r *reply) { r.message = a.Message })
		}, "replay"},
		{"a clock far off", func(s scene) operation.Answer {
			return s.reply(func(r *reply) { r.message.IssuedAt = r.message.IssuedAt.Add(-61 * time.Second) })
		}, "replay"},
		{"an unknown device", func(s scene) operation.Answer {
			return s.reply(func(r *reply) { r.message.DeviceID, r.statement.Device = "dev_unknown", "dev_unknown" })
		}, "unknown_device"},
		{"a statement of another device", func(s scene) operation.Answer {
			return s.reply(func(r *reply) { r.statement.Device = "dev_other" })
		}, "statement"},
		{"a statement for another purpose", func(s scene) operation.Answer {
			a := s.reply()
			a.Statement.Purpose = envelope.PurposeDisconnect
			return a
		}, "statement"},
		{"a statement that nobody signed", func(s scene) operation.Answer {
			a := s.reply()
			a.Statement = envelope.Statement{
				Device: s.p.id, Purpose: envelope.PurposeApproval, SigningKey: a.Message.KID, Operation: s.o.ID, Decision: envelope.Approve,
			}
			return a
		}, "statement"},
		{"a request under another key", func(s scene) operation.Answer {
			return s.reply(func(r *reply) { r.message.KID = "other" })
		}, "statement"},
		{"a locked device", func(s scene) operation.Answer {
			_, err := s.w.handset.Lock(s.w.t.Context(), s.p.id, "")
			must(s.w.t, err)
			return s.reply()
		}, "device_unusable"},
		{"a deactivated device", func(s scene) operation.Answer {
			_, err := s.w.handset.Deactivate(s.w.t.Context(), s.p.id, "")
			must(s.w.t, err)
			return s.reply()
		}, "device_unusable"},
		{"a quarantined device", func(s scene) operation.Answer {
			_, err := s.w.handset.Quarantine(s.w.t.Context(), s.p.id, "")
			must(s.w.t, err)
			return s.reply()
		}, "device_unusable"},
		{"a locked user", func(s scene) operation.Answer {
			s.w.inactive("usr_1")
			return s.reply()
		}, "device_unusable"},
		{"one byte of the display changed", func(s scene) operation.Answer {
			changed := s.o
			changed.Display = slices.Clone(s.o.Display)
			changed.Display[len(changed.Display)/2] ^= 1
			return s.p.approval(changed)
		}, "display_hash"},
		{"a denial of another display", func(s scene) operation.Answer {
			changed := s.o
			changed.Display = []byte(`{}`)
			return s.p.denial(changed, envelope.Denied)
		}, "display_hash"},
		{"no factor", func(s scene) operation.Answer { return s.reply(by("possession", s.p)) }, handset.FactorMissing},
		{"a factor that is not accepted", func(s scene) operation.Answer { return s.reply(by("biometric", s.p)) }, handset.FactorNotAccepted},
		{"two factors", func(s scene) operation.Answer {
			return s.reply(func(r *reply) { r.factors["biometric"] = s.p.secrets["biometric"] })
		}, "method"},
		{"a factor that the statement does not name", func(s scene) operation.Answer {
			return s.reply(func(r *reply) { r.statement.Method = "biometric" })
		}, "method"},
		{"a factor beside possession", func(s scene) operation.Answer {
			return s.reply(func(r *reply) { r.statement.Method = "possession" })
		}, "method"},
		{"a decision that is none", func(s scene) operation.Answer {
			a := s.reply()
			a.Statement.Decision = "maybe"
			return a
		}, "decision"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			s := scene{w: w, p: w.phone("usr_1")}
			s.o = w.ask("usr_1")
			s.reply = func(spoil ...func(*reply)) operation.Answer { return s.p.approval(s.o, spoil...) }
			a := test.answer(s)
			was, before := w.get(s.o.ID), w.standing("usr_1")
			out := w.answer(a)
			expect(t, out, operation.NotAllowed, test.reason)
			if out.Operation.ID != "" || out.Remaining != 0 {
				t.Errorf("the outcome tells more: %+v", out)
			}
			if diff := cmp.Diff(was, w.get(s.o.ID)); diff != "" {
				t.Errorf("it changed the operation:\n%s", diff)
			}
			if diff := cmp.Diff(before, w.standing("usr_1")); diff != "" {
				t.Errorf("it changed the standing:\n%s", diff)
			}
			if said := w.reasons(a.Statement.Operation); !slices.Contains(said, "answer refused "+test.reason) {
				t.Errorf("audit: %q", said)
			}
		})
	}
}

// TestRefusedFactorLeavesItOpen, also where the operation is put aside while the factor is judged.
func TestRefusedFactorLeavesItOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	p := w.phone("usr_1")
	o := w.ask("usr_1", at(p))
	expect(t, p.approve(o, by("biometric", p)), operation.NotAllowed, handset.FactorNotAccepted)
	expect(t, p.approve(o, wrongPIN), operation.Refused, handset.FactorWrong)
	if diff := cmp.Diff([]string{o.ID}, w.standing("usr_1").Open); diff != "" {
		t.Errorf("open:\n%s", diff)
	}
	pending, err := w.Pending(t.Context(), p.id, 0)
	must(t, err)
	if len(pending) != 1 {
		t.Errorf("%d pending", len(pending))
	}
	expect(t, p.approve(o), operation.Accepted, "")
}

// TestMethods: which ways to approve do where which are accepted.
func TestMethods(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		accepted []string
		by       string
		ok       bool
	}{
		{[]string{"possession"}, "possession", true},
		{[]string{"possession"}, "pin", true},
		{[]string{"possession"}, "biometric", true},
		{[]string{"pin"}, "pin", true},
		{[]string{"pin"}, "possession", false},
		{[]string{"pin"}, "biometric", false},
		{[]string{"pin"}, "custom:voice", false},
		{[]string{"biometric"}, "biometric", true},
		{[]string{"biometric"}, "pin", true},
		{[]string{"biometric"}, "custom:voice", false},
		{[]string{"custom:voice"}, "custom:voice", true},
		{[]string{"custom:voice"}, "pin", true},
		{[]string{"custom:face"}, "custom:voice", false},
		{[]string{"biometric", "custom:voice"}, "custom:voice", true},
		{[]string{"biometric", "possession"}, "possession", true},
	} {
		w := newWorld(t, 0)
		p := w.phone("usr_1")
		o := w.ask("usr_1", login, with(test.accepted...))
		out := p.approve(o, by(test.by, p))
		if got := out.Code == operation.Accepted; got != test.ok || handset.Accepts(test.accepted, test.by) != test.ok {
			t.Errorf("%v by %s: %s %s", test.accepted, test.by, out.Code, out.Reason)
		}
		if got := w.get(o.ID); test.ok && (got.Method != test.by || got.Factor != (test.by != "possession")) {
			t.Errorf("%v by %s: recorded as %q, factor %t", test.accepted, test.by, got.Method, got.Factor)
		}
	}
	for _, none := range []string{"", "PIN", "sms", "custom:", "custom:UP"} {
		if handset.Accepts([]string{"possession"}, none) {
			t.Errorf("%q is taken for a method", none)
		}
	}
}

func TestDeny(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{envelope.Denied, envelope.NotMe, envelope.IncorrectData} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			p := w.phone("usr_1")
			o := w.ask("usr_1", digits(6))
			a := p.denial(o, reason)
			expect(t, w.answer(a), operation.Accepted, reason)
			got := w.get(o.ID)
			if got.State != operation.Denied || got.Reason != reason || got.AnsweredBy != p.id || got.Statement != a.Statement.Raw() ||
				got.Receipt != "" || !got.RedeemBy.IsZero() {
				t.Errorf("denied: %+v", got)
			}
			out, err := w.Redeem(t.Context(), o.ID, "portal")
			must(t, err)
			expect(t, out, operation.Gone, "is_denied")
			notMe := reason == envelope.NotMe
			if w.standing("usr_1").NotMe != notMe || slices.Contains(w.told("usr_1", o.ID), "not_me denied") != notMe {
				t.Errorf("told: %v", w.told("usr_1", o.ID))
			}
		})
	}
}

// TestAnsweredOnce: what came first stays, whatever comes after it.
func TestAnsweredOnce(t *testing.T) {
	t.Parallel()
	end := map[operation.State]func(w *world, p *phone, o operation.Operation){
		operation.Approved: func(_ *world, p *phone, o operation.Operation) { p.approve(o) },
		operation.Denied: func(w *world, p *phone, o operation.Operation) {
			w.answer(p.denial(o, envelope.Denied))
		},
		operation.Cancelled: func(w *world, _ *phone, o operation.Operation) {
			_, err := w.Cancel(w.t.Context(), o.ID, "changed their mind")
			must(w.t, err)
		},
		operation.Expired: func(w *world, _ *phone, _ operation.Operation) { w.clock.Advance(2 * time.Minute) },
		operation.Failed: func(_ *world, p *phone, o operation.Operation) {
			for range 3 {
				p.approve(o, wrongPIN)
			}
		},
		operation.Redeemed: func(w *world, p *phone, o operation.Operation) {
			p.approve(o)
			_, err := w.Redeem(w.t.Context(), o.ID, "portal")
			must(w.t, err)
		},
	}
	for state, first := range end {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			p := w.phone("usr_1")
			o := w.ask("usr_1")
			first(w, p, o)
			was := w.get(o.ID)
			if was.State != state {
				t.Fatalf("is %s", was.State)
			}
			for _, a := range []operation.Answer{p.approval(o), p.denial(o, envelope.NotMe), p.approval(o, wrongPIN)} {
				out := w.answer(a)
				expect(t, out, operation.Gone, "is_"+string(state))
			}
			if _, err := w.Cancel(t.Context(), o.ID, "again"); state != operation.Cancelled && !errors.Is(err, operation.ErrTransition) {
				t.Errorf("cancelling: %v", err)
			}
			if _, err := w.Deliver(t.Context(), o.ID, p.id); !errors.Is(err, operation.ErrTransition) {
				t.Errorf("delivering: %v", err)
			}
			if diff := cmp.Diff(was, w.get(o.ID)); diff != "" {
				t.Errorf("it changed:\n%s", diff)
			}
			ends := 0
			for _, told := range w.told("usr_1", o.ID) {
				if len(told) > 5 && told[:5] == "ended" {
					ends++
				}
			}
			if ends != 1 {
				t.Errorf("told: %v", w.told("usr_1", o.ID))
			}
			if w.standing("usr_1").NotMe {
				t.Error("an answer that came too late stopped notifications")
			}
		})
	}
}

// TestRepeatedStatement: a phone that did not hear that its answer was accepted sends it again, in a new message.
func TestRepeatedStatement(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	p, q := w.phone("usr_1"), w.phone("usr_1")
	o := w.ask("usr_1")
	a := p.approval(o)
	expect(t, w.answer(a), operation.Accepted, "")
	was := w.get(o.ID)
	a.Message.JTI = envelope.NewID()
	expect(t, w.answer(a), operation.Accepted, "repeated")
	if diff := cmp.Diff(was, w.get(o.ID)); diff != "" {
		t.Errorf("it changed:\n%s", diff)
	}
	expect(t, w.answer(p.approval(o)), operation.Gone, "is_approved")
	stolen := a
	stolen.Message = q.message()
	expect(t, w.answer(stolen), operation.NotAllowed, "statement")
}

// TestExpiryBetweenFetchAndAnswer: the answer that comes at the very moment is too late, one before is not.
func TestExpiryBetweenFetchAndAnswer(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		o, late := w.ask("usr_1"), w.ask("usr_1")
		for _, id := range []string{o.ID, late.ID} {
			_, err := w.Deliver(t.Context(), id, p.id)
			must(t, err)
		}
		w.clock.Advance(2*time.Minute - time.Millisecond)
		expect(t, p.approve(o), operation.Accepted, "")
		w.clock.Advance(time.Millisecond)
		seen := w.get(late.ID)
		if seen.State != operation.Expired || !seen.EndedAt.Equal(late.AnswerBy) {
			t.Errorf("read as %+v", seen)
		}
		expect(t, p.approve(late), operation.Gone, "is_expired")
		if diff := cmp.Diff(seen, w.get(late.ID)); diff != "" {
			t.Errorf("what was written is not what was read before (-read +written):\n%s", diff)
		}
		if got := w.told("usr_1", late.ID); !slices.Contains(got, "ended expired") {
			t.Errorf("told: %v", got)
		}
		must(t, w.Expire(t.Context()))
		if got := w.told("usr_1", late.ID); len(got) != 3 {
			t.Errorf("told again: %v", got)
		}
	})
}

// TestTwoDevicesAtOnce: of many answers to one operation, exactly one counts.
func TestTwoDevicesAtOnce(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		phones := []*phone{w.phone("usr_1"), w.phone("usr_1"), w.phone("usr_1"), w.phone("usr_1")}
		for range 10 {
			o := w.ask("usr_1")
			accepted := make([]operation.Outcome, len(phones))
			var group sync.WaitGroup
			for i, p := range phones {
				a := p.approval(o)
				if i%2 == 1 {
					a = p.denial(o, envelope.Denied)
				}
				group.Go(func() { accepted[i] = w.answer(a) })
			}
			group.Wait()
			winner := -1
			for i, out := range accepted {
				switch {
				case out.Code == operation.Accepted && winner < 0:
					winner = i
				case out.Code == operation.Accepted:
					t.Fatalf("answers %d and %d were both accepted", winner, i)
				case out.Code != operation.Gone:
					t.Errorf("answer %d: %+v", i, out)
				}
			}
			got := w.get(o.ID)
			want := []operation.State{operation.Approved, operation.Denied}[max(winner, 0)%2]
			if winner < 0 || got.AnsweredBy != phones[winner].id || got.State != want {
				t.Errorf("winner %d, and it is %s by %s", winner, got.State, got.AnsweredBy)
			}
		}
	})
}

func TestParallelRedemption(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		o := w.ask("usr_1")
		p.approve(o)
		outs := make([]operation.Outcome, 16)
		var group sync.WaitGroup
		for i := range outs {
			group.Go(func() {
				var err error
				if outs[i], err = w.Redeem(t.Context(), o.ID, "portal"); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		won := 0
		for _, out := range outs {
			if out.Code == operation.Accepted {
				won++
			}
		}
		if won != 1 {
			t.Errorf("redeemed %d times", won)
		}
	})
}

// TestAnswerFaults: a store that fails leaves nothing half done, and the phone can try again with what it has.
func TestAnswerFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		fault storagetest.Fault
		done  bool
	}{
		{"down", storagetest.Fault{Op: storagetest.OnUpdate, Err: errDown, Nth: 1}, false},
		{"full at commit", storagetest.Fault{Op: storagetest.OnCommit, Err: storage.ErrFull, Nth: 1}, false},
		{"crash between commit and reply", storagetest.Fault{Op: storagetest.OnReply, Nth: 1}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for i := range engines.All {
				w := newWorld(t, i)
				p := w.phone("usr_1")
				o := w.ask("usr_1")
				a := p.approval(o)
				w.db.Inject(test.fault)
				if _, err := w.Answer(t.Context(), a); err == nil {
					t.Fatal("the fault did not strike")
				}
				got := w.get(o.ID)
				if (got.State == operation.Approved) != test.done {
					t.Fatalf("after the fault it is %s", got.State)
				}
				if told := w.told("usr_1", o.ID); slices.Contains(told, "ended approved") != test.done {
					t.Errorf("told: %v", told)
				}
				a.Message.JTI = envelope.NewID()
				if out := w.answer(a); out.Code != operation.Accepted {
					t.Errorf("tried again: %+v", out)
				}
				if got := w.get(o.ID); got.State != operation.Approved || got.Version != 2 {
					t.Errorf("in the end: %+v", got)
				}
			}
		})
	}
	t.Run("users cannot be asked", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 0)
		p := w.phone("usr_1")
		o := w.ask("usr_1")
		w.users.say("usr_1", errDown)
		if _, err := w.Answer(t.Context(), p.approval(o)); !errors.Is(err, errDown) {
			t.Errorf("answering: %v", err)
		}
		w.users.say("usr_1", nil)
		expect(t, p.approve(o), operation.Accepted, "")
		w.users.say("usr_1", errDown)
		if _, err := w.Redeem(t.Context(), o.ID, "portal"); !errors.Is(err, errDown) {
			t.Errorf("redeeming: %v", err)
		}
	})
}
