// SPDX-License-Identifier: Apache-2.0

package enrolment_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// other are digits that are certainly not these.
func other(digits string) string {
	if digits == "000000" {
		return "000001"
	}
	return "000000"
}

func TestWrongDigits(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		b := w.start("usr_1")
		if c, err := w.Confirm(w.ctx(), b.Operation.ID, "123456"); err != nil || c.Code != operation.NotAllowed || c.Reason != enrolment.ReasonRegistered {
			t.Errorf("before a phone has registered: %+v, %v", c, err)
		}
		p := w.phone(b.Code)
		answer, err := w.register(p)
		must(t, err)
		right := p.digits(b.Operation.ID)
		for i, digits := range []string{other(right), ""} {
			c, err := w.Confirm(w.ctx(), b.Operation.ID, digits)
			if err != nil || c.Code != operation.Refused || c.Remaining != 2-i {
				t.Errorf("%q: %+v, %v", digits, c, err)
			}
		}
		c, err := w.Confirm(w.ctx(), b.Operation.ID, other(right))
		if err != nil || c.Code != operation.Refused || c.Remaining != 0 || c.Operation.State != operation.Failed || c.Operation.Reason != enrolment.ReasonDigits {
			t.Errorf("the third: %+v, %v", c, err)
		}
		if d := w.device(answer.Device); d.Status != handset.Deactivated || d.StatusReason != enrolment.ReasonDigits || d.Factors != nil {
			t.Errorf("the device is %s", d.Status)
		}
		if c, err := w.Confirm(w.ctx(), b.Operation.ID, right); err != nil || c.Code != operation.Gone {
			t.Errorf("the right ones afterwards: %+v, %v", c, err)
		}
	})
}

// TestDigitsAtOnce: guesses sent together are three, and one registration is confirmed once.
func TestDigitsAtOnce(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		b := w.start("usr_1")
		p := w.phone(b.Code)
		_, err := w.register(p)
		must(t, err)
		judged := make([]enrolment.Confirmation, 8)
		for _, err := range mobiletest.Together(8, func(i int) (err error) {
			judged[i], err = w.Confirm(w.ctx(), b.Operation.ID, other(p.digits(b.Operation.ID)))
			return err
		}) {
			must(t, err)
		}
		refused := 0
		for _, c := range judged {
			if c.Code == operation.Refused {
				refused++
			} else if c.Code != operation.Gone {
				t.Errorf("it is %+v", c)
			}
		}
		if refused != enrolment.DigitTries {
			t.Errorf("%d guesses were judged", refused)
		}
		b = w.start("usr_1")
		p = w.phone(b.Code)
		_, err = w.register(p)
		must(t, err)
		for _, err := range mobiletest.Together(8, func(i int) (err error) {
			judged[i], err = w.Confirm(w.ctx(), b.Operation.ID, p.digits(b.Operation.ID))
			return err
		}) {
			must(t, err)
		}
		accepted := 0
		for _, c := range judged {
			if c.Code == operation.Accepted {
				accepted++
			}
		}
		if accepted != 1 {
			t.Errorf("confirmed %d times", accepted)
		}
	})
}

func TestConfirmingWhatIsNotThere(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		if _, err := w.Confirm(w.ctx(), "op_nobody", "123456"); !errors.Is(err, operation.ErrNotFound) {
			t.Errorf("no operation: %v", err)
		}
		d, _ := w.enrol("usr_1")
		o, _, err := w.ops.Start(w.ctx(), operation.Start{Kind: operation.Authentication, UserID: d.UserID})
		must(t, err)
		if _, err := w.Confirm(w.ctx(), o.ID, "123456"); !errors.Is(err, operation.ErrNotFound) {
			t.Errorf("another kind: %v", err)
		}
		if _, err := w.Reject(w.ctx(), o.ID); !errors.Is(err, operation.ErrNotFound) {
			t.Errorf("rejecting another kind: %v", err)
		}
	})
}

// TestARegistrationThatIsNotConfirmed ends by itself, and frees keys and place.
func TestARegistrationThatIsNotConfirmed(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		b := w.start("usr_1")
		p := w.phone(b.Code)
		answer, err := w.register(p)
		must(t, err)
		w.clock.Advance(enrolment.TimeToLive)
		if c, err := w.Confirm(w.ctx(), b.Operation.ID, p.digits(b.Operation.ID)); err != nil || c.Code != operation.Gone {
			t.Errorf("too late: %+v, %v", c, err)
		}
		if _, err := w.devices.Get(t.Context(), answer.Device); !errors.Is(err, handset.ErrNotFound) {
			t.Errorf("the device: %v", err)
		}
		b = w.start("usr_1")
		again := w.phone(b.Code, func(q *phone) { q.keys, q.said.Keys = p.keys, p.said.Keys })
		if _, err := w.register(again); err != nil {
			t.Errorf("the same keys in another registration: %v", err)
		}
	})
}

func TestConfirmingForALockedUser(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		b := w.start("usr_1")
		p := w.phone(b.Code)
		answer, err := w.register(p)
		must(t, err)
		w.users.Lock("usr_1")
		c, err := w.Confirm(w.ctx(), b.Operation.ID, p.digits(b.Operation.ID))
		if err != nil || c.Code != operation.NotAllowed || c.Reason != enrolment.ReasonUser || w.device(answer.Device).Status != handset.Pending {
			t.Errorf("it is %+v, %v", c, err)
		}
	})
}

func TestRejecting(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		b := w.start("usr_1")
		p := w.phone(b.Code)
		answer, err := w.register(p)
		must(t, err)
		o, err := w.Reject(w.ctx(), b.Operation.ID)
		if err != nil || o.State != operation.Denied || o.Reason != enrolment.ReasonRejected {
			t.Errorf("it is %+v, %v", o, err)
		}
		if d := w.device(answer.Device); d.Status != handset.Deactivated {
			t.Errorf("the device is %s", d.Status)
		}
		if _, err := w.Reject(w.ctx(), b.Operation.ID); !errors.Is(err, enrolment.ErrTransition) {
			t.Errorf("twice: %v", err)
		}
		if _, err := w.Reject(w.ctx(), "op_nobody"); !errors.Is(err, operation.ErrNotFound) {
			t.Errorf("nobody's: %v", err)
		}
		bare := w.start("usr_1")
		if _, err := w.Reject(w.ctx(), bare.Operation.ID); err != nil {
			t.Errorf("before a phone has registered: %v", err)
		}
	})
}

// TestPushModes: what becomes of a second device beside one of each status.
func TestPushModes(t *testing.T) {
	type outcome struct {
		refused     bool // at the start
		first, then handset.Status
	}
	const active, locked, lost, gone = handset.Active, handset.Locked, handset.Lost, handset.Deactivated
	tests := []struct {
		mode  enrolment.Mode
		first handset.Status
		want  outcome
	}{
		{enrolment.Single, active, outcome{refused: true}},
		{enrolment.Single, handset.Quarantined, outcome{refused: true}},
		{enrolment.Single, locked, outcome{refused: true}},
		{enrolment.Single, lost, outcome{first: gone, then: active}},
		{enrolment.Single, handset.Stolen, outcome{first: gone, then: active}},
		{enrolment.Single, gone, outcome{first: gone, then: active}},
		{enrolment.Override, active, outcome{first: gone, then: active}},
		{enrolment.Override, locked, outcome{first: gone, then: active}},
		{enrolment.Override, lost, outcome{first: gone, then: active}},
		{enrolment.Multiple, active, outcome{first: active, then: active}},
		{enrolment.Multiple, lost, outcome{first: lost, then: active}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.mode, " beside ", tt.first), func(t *testing.T) {
			over(t, func(t *testing.T, w *world) {
				first, _ := w.enrol("usr_1")
				w.bring(first.ID, tt.first)
				if tt.want.refused {
					if _, _, err := w.Start(w.ctx(), enrolment.Start{UserID: "usr_1", Application: "bank"}); !errors.Is(err, enrolment.ErrSingle) {
						t.Errorf("starting: %v", err)
					}
					if _, _, err := w.Start(w.ctx(), enrolment.Start{UserID: "usr_1", Application: "wallet"}); err != nil {
						t.Errorf("of another application: %v", err)
					}
					return
				}
				second, _ := w.enrol("usr_1")
				if got := w.device(first.ID).Status; got != tt.want.first || second.Status != tt.want.then {
					t.Errorf("the first is %s, the second %s", got, second.Status)
				}
			}, with(func(p *enrolment.Policy) { p.PushMode, p.Quarantine = tt.mode, false }))
		})
	}
}

// bring takes a device to a status.
func (w *world) bring(id string, status handset.Status) {
	w.t.Helper()
	var err error
	switch status {
	case handset.Quarantined:
		_, err = w.devices.Quarantine(w.ctx(), id, "")
	case handset.Locked:
		_, err = w.devices.Lock(w.ctx(), id, "")
	case handset.Lost, handset.Stolen:
		_, err = w.devices.Lose(w.ctx(), id, status, "")
	case handset.Deactivated:
		_, err = w.devices.Deactivate(w.ctx(), id, "")
	}
	must(w.t, err)
}

// TestTwoFirstDevicesAtOnce: with single one of them wins, wherever they meet; with override the last one is left.
func TestTwoFirstDevicesAtOnce(t *testing.T) {
	for _, mode := range []enrolment.Mode{enrolment.Single, enrolment.Override} {
		t.Run(string(mode), func(t *testing.T) {
			over(t, func(t *testing.T, w *world) {
				const n = 4
				var begun [n]enrolment.Begun
				var phones [n]*phone
				for i := range n {
					begun[i] = w.start("usr_1")
					phones[i] = w.phone(begun[i].Code)
					_, err := w.register(phones[i])
					must(t, err)
				}
				for _, err := range mobiletest.Together(n, func(i int) error {
					_, err := w.Confirm(w.ctx(), begun[i].Operation.ID, phones[i].digits(begun[i].Operation.ID))
					return err
				}) {
					if err != nil {
						t.Error(err)
					}
				}
				devices, err := w.devices.ByUser(t.Context(), "usr_1")
				must(t, err)
				active := 0
				for _, d := range devices {
					if d.Status == handset.Active {
						active++
					}
				}
				if active != 1 {
					t.Errorf("%d are active", active)
				}
			}, with(func(p *enrolment.Policy) { p.PushMode, p.Quarantine = mode, false }))
		})
	}
}

// TestQuarantine: which new devices have to wait.
func TestQuarantine(t *testing.T) {
	proofed := func(s *enrolment.Start) { s.Proofed = true }
	tests := []struct {
		name   string
		policy func(*enrolment.Policy)
		first  handset.Status // of an older device; empty for none
		start  []func(*enrolment.Start)
		want   string
	}{
		{"the first one", nil, "", nil, ""},
		{"a second one", nil, handset.Active, nil, enrolment.ReasonSecond},
		{"beside one that is locked", nil, handset.Locked, nil, enrolment.ReasonSecond},
		{"beside one that is lost", nil, handset.Lost, nil, enrolment.ReasonSecond},
		{"beside one that is gone", nil, handset.Deactivated, nil, ""},
		{"a second one of somebody proofed", nil, handset.Active, []func(*enrolment.Start){proofed}, ""},
		{"a second one where none wait", func(p *enrolment.Policy) { p.Quarantine = false }, handset.Active, nil, ""},
		{"the first one where it waits", func(p *enrolment.Policy) { p.QuarantineFirst = true }, "", nil, enrolment.ReasonUnproofed},
		{
			"the first one of somebody proofed", func(p *enrolment.Policy) { p.QuarantineFirst = true },
			"", []func(*enrolment.Start){proofed}, "",
		},
		{
			"one that is not genuine for certain", func(p *enrolment.Policy) { p.Attestation = enrolment.AttestationPreferred },
			"", []func(*enrolment.Start){proofed}, enrolment.ReasonUnattested,
		},
		{
			"in the place of another", func(p *enrolment.Policy) { p.PushMode = enrolment.Override }, handset.Active, nil,
			enrolment.ReasonSecond,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			over(t, func(t *testing.T, w *world) {
				var first handset.Device
				if tt.first != "" {
					first, _ = w.enrol("usr_1")
					w.bring(first.ID, tt.first)
				}
				if tt.policy != nil {
					tt.policy(w.policy)
				}
				d, _ := w.enrol("usr_1", tt.start...)
				want := handset.Active
				if tt.want != "" {
					want = handset.Quarantined
				}
				if d.Status != want || d.StatusReason != tt.want || w.op(d.Operation).Reason != tt.want {
					t.Errorf("it is %s for %q", d.Status, d.StatusReason)
				}
				if tt.first != "" && w.device(first.ID).Status != tt.first {
					t.Errorf("the older one is %s", w.device(first.ID).Status)
				}
			})
		})
	}
}

func TestReleasing(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		w.policy.PushMode = enrolment.Override
		first, _ := w.enrol("usr_1")
		second, _ := w.enrol("usr_1")
		got, err := w.Release(w.ctx(), second.ID)
		if err != nil || got.Status != handset.Active || w.device(second.ID).Status != handset.Active {
			t.Errorf("it is %s, %v", got.Status, err)
		}
		if d := w.device(first.ID); d.Status != handset.Deactivated || d.StatusReason != enrolment.ReasonReplaced {
			t.Errorf("the older one is %s for %q", d.Status, d.StatusReason)
		}
		again, err := w.Release(w.ctx(), second.ID)
		if err != nil || again.Version != got.Version {
			t.Errorf("again: %v", err)
		}
		if _, err := w.Release(w.ctx(), first.ID); !errors.Is(err, enrolment.ErrTransition) {
			t.Errorf("the older one: %v", err)
		}
		if _, err := w.Release(w.ctx(), handset.NewID()); !errors.Is(err, handset.ErrNotFound) {
			t.Errorf("nobody: %v", err)
		}
	})
}

// TestAnOverrideThatBreaksOff is finished by saying the digits again, and in between no two devices are active.
func TestAnOverrideThatBreaksOff(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		first, _ := w.enrol("usr_1")
		b := w.start("usr_1")
		p := w.phone(b.Code)
		answer, err := w.register(p)
		must(t, err)
		w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Nth: 3, Err: errDown})
		if _, err := w.Confirm(w.ctx(), b.Operation.ID, p.digits(b.Operation.ID)); !errors.Is(err, errDown) {
			t.Fatalf("confirming: %v", err)
		}
		if a, b := w.device(first.ID).Status, w.device(answer.Device).Status; a != handset.Deactivated || b != handset.Pending {
			t.Errorf("the first is %s, the second %s", a, b)
		}
		c, err := w.Confirm(w.ctx(), b.Operation.ID, p.digits(b.Operation.ID))
		if err != nil || c.Code != operation.Accepted || c.Device.Status != handset.Active {
			t.Errorf("again: %+v, %v", c, err)
		}
	}, with(func(p *enrolment.Policy) { p.PushMode, p.Quarantine = enrolment.Override, false }))
}

// TestASwitchThatIsTurnedMeanwhile: what the policy says when it matters counts.
func TestASwitchThatIsTurnedMeanwhile(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		b := w.start("usr_1")
		p := w.phone(b.Code)
		answer, err := w.register(p)
		must(t, err)
		w.policy.Keys = false
		c, err := w.Confirm(w.ctx(), b.Operation.ID, p.digits(b.Operation.ID))
		if err != nil || c.Code != operation.NotAllowed || c.Reason != enrolment.ReasonPolicy || w.device(answer.Device).Status != handset.Deactivated {
			t.Errorf("switched off: %+v, %v", c, err)
		}
		w.policy.Keys = true
		b, other := w.start("usr_1"), w.start("usr_1")
		p = w.phone(b.Code)
		_, err = w.register(p)
		must(t, err)
		q := w.phone(other.Code)
		_, err = w.register(q)
		must(t, err)
		if _, err := w.Confirm(w.ctx(), other.Operation.ID, q.digits(other.Operation.ID)); err != nil {
			t.Fatal(err)
		}
		w.policy.PushMode = enrolment.Single
		c, err = w.Confirm(w.ctx(), b.Operation.ID, p.digits(b.Operation.ID))
		if err != nil || c.Code != operation.NotAllowed || c.Reason != enrolment.ReasonSingle || c.Operation.State != operation.Failed {
			t.Errorf("single: %+v, %v", c, err)
		}
	})
}

// TestADeviceThatWentMeanwhile: an operator was quicker.
func TestADeviceThatWentMeanwhile(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		b := w.start("usr_1")
		p := w.phone(b.Code)
		answer, err := w.register(p)
		must(t, err)
		w.bring(answer.Device, handset.Deactivated)
		c, err := w.Confirm(w.ctx(), b.Operation.ID, p.digits(b.Operation.ID))
		if err != nil || c.Code != operation.Gone || c.Operation.State != operation.Failed || c.Reason != enrolment.ReasonGone {
			t.Errorf("it is %+v, %v", c, err)
		}
	})
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*enrolment.Policy)
		ok     bool
	}{
		{"the default", func(*enrolment.Policy) {}, true},
		{"nothing said", func(p *enrolment.Policy) { *p = enrolment.Policy{} }, true},
		{"a mode that is none", func(p *enrolment.Policy) { p.PushMode = "double" }, false},
		{"a confirmation that is none", func(p *enrolment.Policy) { p.Confirmation = "yes" }, false},
		{"an encryption that is none", func(p *enrolment.Policy) { p.Encryption = "rot13" }, false},
		{"an attestation that is none", func(p *enrolment.Policy) { p.Attestation = "please" }, false},
		{"a short PIN", func(p *enrolment.Policy) { p.PIN.MinLength = enrolment.LeastPIN - 1 }, false},
		{"a long PIN", func(p *enrolment.Policy) { p.PIN.MinLength = enrolment.MostPIN + 1 }, false},
		{"many tries", func(p *enrolment.Policy) { p.PIN.MaxAttempts = handset.MaxMaxFailures + 1 }, false},
		{"tries below nothing", func(p *enrolment.Policy) { p.PIN.MaxAttempts = -1 }, false},
		{"a custom factor", func(p *enrolment.Policy) { p.Custom = []string{"voice"} }, true},
		{"a custom factor without a name", func(p *enrolment.Policy) { p.Custom = []string{""} }, false},
		{"many custom factors", func(p *enrolment.Policy) { p.Custom = make([]string, 9) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := enrolment.DefaultPolicy()
			tt.change(&p)
			got, err := p.Normalize()
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, enrolment.ErrInvalid) {
				t.Fatal(err)
			}
			if again, err := got.Normalize(); tt.ok && (err != nil || fmt.Sprint(again) != fmt.Sprint(got)) {
				t.Errorf("normalized again it is %+v, %v", again, err)
			}
		})
	}
}
