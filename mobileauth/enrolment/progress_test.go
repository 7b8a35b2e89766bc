// SPDX-License-Identifier: Apache-2.0

package enrolment_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func own(s *enrolment.Start) { s.Own, s.ClientID = true, "" }

func TestProgress(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		b := w.start("usr_1", own)
		at := func() enrolment.Progress {
			t.Helper()
			p, err := w.Progress(t.Context(), b.Operation.ID)
			must(t, err)
			return p
		}
		if p := at(); p.Code != b.Code || p.QR != b.QR || p.Device.ID != "" || p.DigitsLeft != enrolment.DigitTries || !p.Expires.Equal(b.Expires) {
			t.Errorf("before a phone comes: %+v", p)
		}
		phone := w.phone(b.Code)
		answer, err := w.register(phone)
		must(t, err)
		if p := at(); p.Code != "" || p.QR != "" || p.Device.ID != answer.Device || p.DigitsLeft != enrolment.DigitTries {
			t.Errorf("with a phone: %+v", p)
		}
		right := phone.digits(b.Operation.ID)
		_, err = w.Confirm(w.ctx(), b.Operation.ID, other(right))
		must(t, err)
		if p := at(); p.DigitsLeft != enrolment.DigitTries-1 || !p.Operation.State.Open() {
			t.Errorf("after wrong digits: %+v", p)
		}
		_, err = w.Confirm(w.ctx(), b.Operation.ID, right)
		must(t, err)
		if p := at(); p.Operation.State != operation.Approved || p.Device.Status != handset.Active || p.Code != "" {
			t.Errorf("in the end: %+v", p)
		}
	})
}

func TestProgressIsNotForOthers(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		d, p := w.enrol("usr_1")
		w.clock.Advance(time.Second) // the newest operation stands first
		m, proof := w.says(d, p, envelope.Statement{Purpose: envelope.PurposeTransfer}, secret(1))
		_, _, err := w.Transfer(t.Context(), m, proof)
		must(t, err)
		ops, err := w.ops.ListByUser(t.Context(), "usr_1", "", 1)
		must(t, err)
		asked, _, err := w.ops.Start(w.ctx(), operation.Start{Kind: operation.Authentication, UserID: "usr_1"})
		must(t, err)
		for name, id := range map[string]string{"a transfer": ops[0].ID, "a question": asked.ID, "nothing": "op_none"} {
			if got, err := w.Progress(t.Context(), id); !errors.Is(err, operation.ErrNotFound) || got.Code != "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.db.Inject(storagetest.Fault{Op: storagetest.OnView, Err: errDown})
		if _, err := w.Progress(t.Context(), ops[0].ID); !errors.Is(err, errDown) {
			t.Errorf("with the store down: %v", err)
		}
	})
}

// TestOwnRegistrations: whoever stole a login cannot get rid of the old phone, and with it of the quarantine.
func TestOwnRegistrations(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		first, _ := w.enrol("usr_1", own)
		if first.Status != handset.Active {
			t.Fatalf("the first phone is %s", first.Status)
		}
		second, _ := w.enrol("usr_1", own)
		if second.Status != handset.Quarantined || second.StatusReason != enrolment.ReasonSecond {
			t.Errorf("the second phone is %s", second.Status)
		}
		for _, d := range []handset.Device{first, second} {
			_, err := w.devices.Deactivate(w.ctx(), d.ID, "removed")
			must(t, err)
		}
		if d, _ := w.enrol("usr_1", own); d.Status != handset.Quarantined || d.StatusReason != enrolment.ReasonSecond {
			t.Errorf("a phone after the first was removed is %s", d.Status)
		}
		if d, _ := w.enrol("usr_1", own, func(s *enrolment.Start) { s.Proofed = true }); d.Status != handset.Active {
			t.Errorf("one that a back end vouched for is %s", d.Status)
		}
	})
}

// TestOwnRegistrationsThatFailed: a person who mistyped gets another chance; one who fails again and again so that what was
// before is forgotten does not.
func TestOwnRegistrationsThatFailed(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		fail := func() {
			t.Helper()
			b := w.start("usr_1", own)
			_, err := w.register(w.phone(b.Code))
			must(t, err)
			_, err = w.Reject(w.ctx(), b.Operation.ID)
			must(t, err)
		}
		fail()
		d, _ := w.enrol("usr_1", own)
		if d.Status != handset.Active {
			t.Fatalf("the first phone is %s", d.Status)
		}
		_, err := w.devices.Deactivate(w.ctx(), d.ID, "removed")
		must(t, err)
		for range 20 {
			fail()
		}
		if d, _ := w.enrol("usr_1", own); d.Status != handset.Quarantined {
			t.Errorf("after the first phone was forgotten a phone is %s", d.Status)
		}
	})
}
