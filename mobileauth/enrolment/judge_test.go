// SPDX-License-Identifier: Apache-2.0

package enrolment_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func TestAnOlderDeviceJudges(t *testing.T) {
	for _, decision := range []envelope.Decision{envelope.Approve, envelope.Deny} {
		t.Run(string(decision), func(t *testing.T) {
			over(t, func(t *testing.T, w *world) {
				old, p := w.enrol("usr_1")
				fresh, _ := w.enrol("usr_1")
				out, err := w.Describe(t.Context(), w.device(old.ID))
				must(t, err)
				want := []envelope.WaitingDevice{{Device: fresh.ID, Name: "Phone", Model: "X", Created: fresh.CreatedAt.Unix()}}
				if diff := cmp.Diff(want, out.Waiting); diff != "" {
					t.Error(diff)
				}
				v, err := w.judge(old, p, fresh.ID, decision)
				if err != nil || !v.OK {
					t.Fatalf("%+v, %v", v, err)
				}
				got, wantStatus := w.device(fresh.ID), handset.Active
				if decision == envelope.Deny {
					wantStatus = handset.Deactivated
				}
				if got.Status != wantStatus || w.device(old.ID).Status != handset.Active {
					t.Errorf("the new one is %s, the old one %s", got.Status, w.device(old.ID).Status)
				}
				if v, err := w.judge(old, p, fresh.ID, decision); err != nil || v.OK || v.Reason != enrolment.ReasonTarget {
					t.Errorf("again: %+v, %v", v, err)
				}
			})
		})
	}
}

// TestWhoMayNotJudge: the new device itself, one of another user, of another application, one that waits too, one without its PIN.
func TestWhoMayNotJudge(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		old, p := w.enrol("usr_1")
		fresh, q := w.enrol("usr_1")
		stranger, r := w.enrol("usr_2")
		if _, err := w.judge(fresh, q, fresh.ID, envelope.Approve); !errors.Is(err, handset.ErrUnusable) {
			t.Errorf("itself: %v", err)
		}
		if v, err := w.judge(stranger, r, fresh.ID, envelope.Approve); err != nil || v.OK || v.Reason != enrolment.ReasonTarget {
			t.Errorf("a stranger: %+v, %v", v, err)
		}
		wallet, u := w.enrolWallet("usr_1")
		if v, err := w.judge(wallet, u, fresh.ID, envelope.Approve); err != nil || v.OK {
			t.Errorf("of another application: %+v, %v", v, err)
		}
		for _, target := range []string{old.ID, stranger.ID, handset.NewID(), "op_x"} {
			if v, err := w.judge(old, p, target, envelope.Approve); err != nil || v.OK || v.Reason != enrolment.ReasonTarget {
				t.Errorf("about %s: %+v, %v", target, v, err)
			}
		}
		s := envelope.Statement{Purpose: envelope.PurposeDevice, Target: fresh.ID, Decision: envelope.Approve}
		m, proof := w.says(old, p, s, secret(9))
		if v, err := w.Judge(t.Context(), m, proof); err != nil || v.OK || v.Remaining != 4 || w.device(old.ID).Failures != 1 {
			t.Errorf("with a wrong PIN: %+v, %v", v, err)
		}
		m, proof = w.says(old, p, s, secret(1))
		proof.Factors = nil
		if v, err := w.Judge(t.Context(), m, proof); err != nil || v.OK {
			t.Errorf("without a PIN: %+v, %v", v, err)
		}
		m, proof = w.says(old, p, envelope.Statement{Purpose: envelope.PurposeDisconnect}, secret(1))
		if _, err := w.Judge(t.Context(), m, proof); !errors.Is(err, enrolment.ErrInvalid) {
			t.Errorf("with a statement about something else: %v", err)
		}
		if got := w.device(fresh.ID).Status; got != handset.Quarantined {
			t.Errorf("the new one is %s", got)
		}
		m, proof = w.says(old, p, s, secret(1))
		if v, err := w.Judge(t.Context(), m, proof); err != nil || !v.OK {
			t.Errorf("at last: %+v, %v", v, err)
		}
		if _, err := w.Judge(t.Context(), m, proof); !errors.Is(err, handset.ErrReplay) {
			t.Errorf("the same message again: %v", err)
		}
	})
}

// enrolWallet brings a device of the other application to active.
func (w *world) enrolWallet(userID string) (handset.Device, *phone) {
	w.t.Helper()
	b := w.start(userID, func(s *enrolment.Start) { s.Application, s.Proofed = "wallet", true })
	p := w.phone(b.Code, func(p *phone) { p.said.Application = "wallet" })
	_, err := w.register(p)
	must(w.t, err)
	c, err := w.Confirm(w.ctx(), b.Operation.ID, p.digits(b.Operation.ID))
	must(w.t, err)
	return c.Device, p
}

// TestAnOverrideByTheOldDevice: it goes when it lets the new one in, not before.
func TestAnOverrideByTheOldDevice(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		w.policy.PushMode = enrolment.Override
		old, p := w.enrol("usr_1")
		fresh, _ := w.enrol("usr_1")
		v, err := w.judge(old, p, fresh.ID, envelope.Approve)
		if err != nil || !v.OK {
			t.Fatalf("%+v, %v", v, err)
		}
		if a, b := w.device(old.ID), w.device(fresh.ID); a.Status != handset.Deactivated || b.Status != handset.Active {
			t.Errorf("the old one is %s, the new one %s", a.Status, b.Status)
		}
	})
}

// transfer has a device ask for a new phone in its place.
func (w *world) transfer(d handset.Device, p *phone) envelope.Invitation {
	w.t.Helper()
	m, proof := w.says(d, p, envelope.Statement{Purpose: envelope.PurposeTransfer}, secret(1))
	answer, v, err := w.Transfer(w.t.Context(), m, proof)
	must(w.t, err)
	if !v.OK || answer.Expires <= w.clock.Now().Unix() {
		w.t.Fatalf("the transfer is %+v, %+v", answer, v)
	}
	invitation, err := envelope.ParseInvitation(answer.Invitation)
	must(w.t, err)
	return invitation
}

// TestMovingToANewPhone works with every push mode, and the old phone has the last word.
func TestMovingToANewPhone(t *testing.T) {
	for _, mode := range []enrolment.Mode{enrolment.Single, enrolment.Override, enrolment.Multiple} {
		t.Run(string(mode), func(t *testing.T) {
			over(t, func(t *testing.T, w *world) {
				w.policy.PushMode = mode
				old, p := w.enrol("usr_1")
				invitation := w.transfer(old, p)
				q := w.phone(invitation.Code.Text())
				answer, err := w.register(q)
				must(t, err)
				if answer.Status != "quarantined" || answer.Policy.Confirmation != enrolment.ConfirmNone || answer.Operation != invitation.Operation {
					t.Errorf("the answer is %+v", answer)
				}
				if o := w.op(invitation.Operation); o.State != operation.Approved || o.AnsweredBy != answer.Device {
					t.Errorf("the operation is %+v", o)
				}
				fresh := w.device(answer.Device)
				if fresh.TransferOf != old.ID || w.device(old.ID).Status != handset.Active {
					t.Errorf("the new one is %+v, the old one %s", fresh, w.device(old.ID).Status)
				}
				v, err := w.judge(old, p, fresh.ID, envelope.Approve)
				if err != nil || !v.OK {
					t.Fatalf("%+v, %v", v, err)
				}
				a, b := w.device(old.ID), w.device(fresh.ID)
				if a.Status != handset.Deactivated || a.StatusReason != enrolment.ReasonDisplaced || b.Status != handset.Active {
					t.Errorf("the old one is %s for %q, the new one %s", a.Status, a.StatusReason, b.Status)
				}
				if _, err := w.judge(old, p, fresh.ID, envelope.Deny); !errors.Is(err, handset.ErrUnusable) {
					t.Errorf("the old one afterwards: %v", err)
				}
				if v, err := w.judge(b, q, old.ID, envelope.Deny); err != nil || v.OK {
					t.Errorf("the new one about the old one: %+v, %v", v, err)
				}
			})
		})
	}
}

// TestATransferThatSomebodyElsePhotographed: the old phone shows what has registered, and says no.
func TestATransferThatSomebodyElsePhotographed(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		old, p := w.enrol("usr_1")
		beside, r := w.enrol("usr_1", func(s *enrolment.Start) { s.Proofed = true })
		invitation := w.transfer(old, p)
		thief := w.phone(invitation.Code.Text())
		answer, err := w.register(thief)
		must(t, err)
		if _, err := w.register(w.phone(invitation.Code.Text())); !refusedFor(err, enrolment.ReasonOver) {
			t.Errorf("the owner's new phone: %v", err)
		}
		if v, err := w.judge(beside, r, answer.Device, envelope.Approve); err != nil || v.OK || v.Reason != enrolment.ReasonTarget {
			t.Errorf("judged by a device whose place it is not: %+v, %v", v, err)
		}
		if c, err := w.Confirm(w.ctx(), invitation.Operation, thief.digits(invitation.Operation)); err != nil || c.Code != operation.Gone {
			t.Errorf("confirmed by digits: %+v, %v", c, err)
		}
		if v, err := w.judge(old, p, answer.Device, envelope.Deny); err != nil || !v.OK {
			t.Errorf("%+v, %v", v, err)
		}
		if a, b := w.device(old.ID).Status, w.device(answer.Device).Status; a != handset.Active || b != handset.Deactivated {
			t.Errorf("the old one is %s, the thief's %s", a, b)
		}
	})
}

// TestATransferThatBreaksOff is finished by the phone that registers, and by no digits.
func TestATransferThatBreaksOff(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		old, p := w.enrol("usr_1")
		invitation := w.transfer(old, p)
		q := w.phone(invitation.Code.Text())
		w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Nth: 2, Err: errDown})
		if _, err := w.register(q); !errors.Is(err, errDown) {
			t.Fatalf("registering: %v", err)
		}
		c, err := w.Confirm(w.ctx(), invitation.Operation, q.digits(invitation.Operation))
		if err != nil || c.Code != operation.Refused {
			t.Errorf("confirmed by digits: %+v, %v", c, err)
		}
		q.ask(w, invitation.Code.Text())
		answer, err := w.register(q)
		if err != nil || answer.Status != "quarantined" {
			t.Errorf("said again: %+v, %v", answer, err)
		}
	})
}

func TestTransfersThatAreRefused(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		d, p := w.enrol("usr_1")
		ask := func(s envelope.Statement, pin envelope.Secret) (handset.Verdict, error) {
			m, proof := w.says(d, p, s, pin)
			answer, v, err := w.Transfer(t.Context(), m, proof)
			if (err != nil || !v.OK) && answer != (envelope.TransferAnswer{}) {
				t.Errorf("refused, and the answer is %+v", answer)
			}
			return v, err
		}
		about := envelope.Statement{Purpose: envelope.PurposeTransfer}
		if v, err := ask(about, secret(9)); err != nil || v.OK || v.Remaining != 4 {
			t.Errorf("with a wrong PIN: %+v, %v", v, err)
		}
		if _, err := ask(envelope.Statement{Purpose: envelope.PurposeDisconnect}, secret(1)); !errors.Is(err, enrolment.ErrInvalid) {
			t.Errorf("with a statement about something else: %v", err)
		}
		w.policy.Transfer = false
		if _, err := ask(about, secret(1)); !errors.Is(err, handset.ErrInvalid) || !errors.Is(err, enrolment.ErrOff) {
			t.Errorf("switched off: %v", err)
		}
		w.policy.Transfer = true
		w.bring(d.ID, handset.Quarantined)
		if _, err := ask(about, secret(1)); !errors.Is(err, handset.ErrUnusable) {
			t.Errorf("of a quarantined device: %v", err)
		}
		if ops, err := w.ops.ListByUser(t.Context(), "usr_1", "", 0); err != nil || len(ops) != 1 {
			t.Errorf("there are %d operations, %v", len(ops), err)
		}
	})
}

// TestFactorsThatThePolicyLacks: a device comes to no factor later with which it could not have registered.
func TestFactorsThatThePolicyLacks(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		d, p := w.enrol("usr_1")
		set := func(kind string, secretOf *envelope.Secret) (handset.Verdict, error) {
			about := envelope.Statement{Purpose: envelope.PurposeFactor, Kind: kind}
			if secretOf != nil {
				about.SecretHash = secretOf.Hash()
			}
			m, proof := w.says(d, p, about, secret(1))
			_, v, err := w.ChangeFactor(t.Context(), m, proof, kind, secretOf)
			return v, err
		}
		fresh := secret(7)
		w.policy.Biometric, w.policy.Custom = true, []string{"token"}
		for _, kind := range []string{envelope.FactorBiometric, "custom:token"} {
			if v, err := set(kind, &fresh); err != nil || !v.OK {
				t.Errorf("%s, which the policy has: %+v, %v", kind, v, err)
			}
		}
		w.policy.Biometric, w.policy.Custom = false, nil
		for _, kind := range []string{envelope.FactorBiometric, "custom:token", "custom:other"} {
			if _, err := set(kind, &fresh); !errors.Is(err, handset.ErrInvalid) || !errors.Is(err, enrolment.ErrOff) {
				t.Errorf("%s, which the policy lacks: %v", kind, err)
			}
		}
		if v, err := set(envelope.FactorBiometric, nil); err != nil || !v.OK {
			t.Errorf("removing what the policy lacks: %+v, %v", v, err)
		}
		if v, err := set(envelope.FactorPIN, &fresh); err != nil || !v.OK {
			t.Errorf("another PIN: %+v, %v", v, err)
		}
		var kinds []string
		for _, f := range w.device(d.ID).Factors {
			kinds = append(kinds, f.Kind)
		}
		slices.Sort(kinds)
		if !slices.Equal(kinds, []string{"custom:token", envelope.FactorPIN}) {
			t.Errorf("the device has %q", kinds)
		}
		d.ID = handset.NewID()
		if _, err := set(envelope.FactorBiometric, &fresh); !errors.Is(err, handset.ErrNotFound) {
			t.Errorf("of a device that is not there: %v", err)
		}
	})
}

func TestWhatADeviceIsTold(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		first, p := w.enrol("usr_1")
		m, _ := w.says(first, p, envelope.Statement{Purpose: envelope.PurposeDisconnect}, secret(1))
		_, err := w.ChangePush(t.Context(), m, &handset.Push{Service: "fcm", Address: "a"})
		must(t, err)
		first, err = w.devices.PushDead(w.ctx(), first.ID, "fcm", "a")
		must(t, err)
		second, q := w.enrol("usr_1")
		describe := func(d handset.Device) envelope.DeviceAnswer {
			t.Helper()
			got, err := w.Describe(t.Context(), d)
			must(t, err)
			return got
		}
		factors := func(p *phone) []envelope.FactorInfo {
			return []envelope.FactorInfo{{Kind: envelope.FactorPIN, SetBy: p.request.ID}}
		}
		want := envelope.DeviceAnswer{
			Device: first.ID, Status: "active", Name: "Phone", Policy: w.policy.Wire(), PushService: "fcm", PushDead: true,
			Factors: factors(p),
			Waiting: []envelope.WaitingDevice{{Device: second.ID, Name: "Phone", Model: "X", Created: second.CreatedAt.Unix()}},
		}
		if diff := cmp.Diff(want, describe(first)); diff != "" {
			t.Errorf("an active device:\n%s", diff)
		}
		want = envelope.DeviceAnswer{
			Device: second.ID, Status: "quarantined", Name: "Phone", Policy: w.policy.Wire(), Factors: factors(q),
		}
		if diff := cmp.Diff(want, describe(second)); diff != "" {
			t.Errorf("a quarantined device, which sees nobody else:\n%s", diff)
		}
	})
}

// TestAPlaceThatWasTakenTwice: two transfers of one device; when one has its place the other is judged by nobody.
func TestAPlaceThatWasTakenTwice(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		old, p := w.enrol("usr_1")
		one, err := w.register(w.phone(w.transfer(old, p).Code.Text()))
		must(t, err)
		two, err := w.register(w.phone(w.transfer(old, p).Code.Text()))
		must(t, err)
		answers := []string{one.Device, two.Device}
		done := 0
		for _, err := range mobiletest.Together(2, func(i int) error {
			v, err := w.judge(old, p, answers[i], envelope.Approve)
			if err == nil && !v.OK {
				err = errors.New(v.Reason)
			}
			return err
		}) {
			if err == nil {
				done++
			} else if !errors.Is(err, handset.ErrUnusable) {
				t.Error(err)
			}
		}
		a, b := w.device(one.Device).Status, w.device(two.Device).Status
		if done != 1 || (a == handset.Active) == (b == handset.Active) {
			t.Errorf("%d took its place; they are %s and %s", done, a, b)
		}
	})
}

// TestWithoutTheStore: every call says so, and is no refusal.
func TestWithoutTheStore(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		d, p := w.enrol("usr_1")
		b := w.start("usr_2")
		q := w.phone(b.Code)
		ctx := w.ctx()
		calls := map[string]func() error{
			"Start": func() error {
				_, _, err := w.Start(ctx, enrolment.Start{UserID: "usr_3", Application: "bank"})
				return err
			},
			"Register": func() error { _, err := w.register(q); return err },
			"Confirm":  func() error { _, err := w.Confirm(ctx, b.Operation.ID, "123456"); return err },
			"Reject":   func() error { _, err := w.Reject(ctx, b.Operation.ID); return err },
			"Release":  func() error { _, err := w.Release(ctx, d.ID); return err },
			"Describe": func() error { _, err := w.Describe(ctx, d); return err },
			"Judge":    func() error { _, err := w.judge(d, p, d.ID, envelope.Approve); return err },
			"Transfer": func() error {
				m, proof := w.says(d, p, envelope.Statement{Purpose: envelope.PurposeTransfer}, secret(1))
				_, _, err := w.Transfer(ctx, m, proof)
				return err
			},
			"ChangePush": func() error {
				m, _ := w.says(d, p, envelope.Statement{Purpose: envelope.PurposeDisconnect}, secret(1))
				_, err := w.ChangePush(ctx, m, &handset.Push{Service: "a", Address: "b"})
				return err
			},
			"NewRecoveryCodes": func() error { _, err := w.NewRecoveryCodes(ctx, "usr_1"); return err },
			"RecoveryLeft":     func() error { _, _, err := w.RecoveryLeft(ctx, "usr_1"); return err },
			"Recover": func() error {
				w.policy.Recovery = true
				_, err := w.Recover(ctx, enrolment.Start{UserID: "usr_1", Application: "bank"}, "AAAA-AAAA-AAAA-AAAA")
				return err
			},
		}
		for _, op := range [][]storagetest.Op{{storagetest.OnView, storagetest.OnUpdate}, {storagetest.OnView, storagetest.OnCommit}} {
			for _, o := range op {
				w.db.Inject(storagetest.Fault{Op: o, Err: errDown})
			}
			for name, call := range calls {
				if err := call(); !errors.Is(err, errDown) || errors.Is(err, envelope.ErrRefused) {
					t.Errorf("%s: %v", name, err)
				}
			}
			w.db.Clear()
		}
		if _, err := w.register(q); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestConfigurationsThatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	tests := []struct {
		name   string
		change func(*enrolment.Config)
	}{
		{"no store", func(c *enrolment.Config) { c.DB = nil }},
		{"no sealer", func(c *enrolment.Config) { c.Sealer = nil }},
		{"no users", func(c *enrolment.Config) { c.Users = nil }},
		{"no devices", func(c *enrolment.Config) { c.Devices = nil }},
		{"no operations", func(c *enrolment.Config) { c.Operations = nil }},
		{"no applications", func(c *enrolment.Config) { c.Applications = nil }},
		{"no policies", func(c *enrolment.Config) { c.Policies = nil }},
		{"no audit", func(c *enrolment.Config) { c.Audit = nil }},
		{"no issuer", func(c *enrolment.Config) { c.Issuer = "" }},
		{"no key", func(c *enrolment.Config) { c.ServerKey = nil }},
		{"no clock", func(c *enrolment.Config) { c.Now = nil }},
	}
	for _, tt := range tests {
		c := w.Config
		tt.change(&c)
		if _, err := enrolment.New(c); err == nil {
			t.Errorf("%s: it is accepted", tt.name)
		}
	}
}

// TestAServerWithoutAKey starts nothing that it could not finish.
func TestAServerWithoutAKey(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		if _, _, err := w.Start(w.ctx(), enrolment.Start{UserID: "usr_1", Application: "bank"}); !errors.Is(err, errDown) {
			t.Errorf("starting: %v", err)
		}
		if ops, err := w.ops.ListByUser(t.Context(), "usr_1", "", 0); err != nil || len(ops) != 0 {
			t.Errorf("there are %d operations, %v", len(ops), err)
		}
	}, func(c *enrolment.Config, _ *enrolment.Policy) {
		c.ServerKey = func() (string, error) { return "", errDown }
	})
}
