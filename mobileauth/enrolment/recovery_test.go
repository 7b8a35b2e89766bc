// SPDX-License-Identifier: Apache-2.0

package enrolment_test

import (
	"encoding/base32"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func recoverable(p *enrolment.Policy) { p.Recovery = true }

// use uses a recovery code of a user.
func (w *world) use(userID, code string) (enrolment.Recovered, error) {
	return w.Recover(w.ctx(), enrolment.Start{UserID: userID, Application: "bank", ClientID: "portal"}, code)
}

func TestRecoveryCodes(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		first, _ := w.enrol("usr_1")
		codes, err := w.NewRecoveryCodes(w.ctx(), "usr_1")
		must(t, err)
		seen := map[string]bool{}
		for _, code := range codes {
			raw, err := base32.StdEncoding.DecodeString(strings.ReplaceAll(code, "-", ""))
			if err != nil || len(raw)*8 < 64 || seen[code] {
				t.Errorf("%q: %v", code, err)
			}
			seen[code] = true
		}
		left, since, err := w.RecoveryLeft(t.Context(), "usr_1")
		if err != nil || left != enrolment.RecoveryCodes || len(codes) != left || !since.Equal(w.clock.Now().Truncate(time.Millisecond)) {
			t.Errorf("%d are left since %s, %v", left, since, err)
		}
		out, err := w.use("usr_1", strings.ToLower(strings.ReplaceAll(codes[3], "-", " ")))
		must(t, err)
		if !out.OK || out.Replacement == "" || seen[out.Replacement] || out.Begun.Code == "" {
			t.Fatalf("the code gives %+v", out)
		}
		p := w.phone(out.Begun.Code)
		_, err = w.register(p)
		must(t, err)
		c, err := w.Confirm(w.ctx(), out.Begun.Operation.ID, p.digits(out.Begun.Operation.ID))
		if err != nil || c.Device.Status != handset.Active || w.device(first.ID).Status != handset.Active {
			t.Errorf("the device is %+v, %v", c, err)
		}
		if again, err := w.use("usr_1", codes[3]); err != nil || again.OK || again.Begun.Code != "" {
			t.Errorf("used again: %v", err)
		}
		if next, err := w.use("usr_1", out.Replacement); err != nil || !next.OK {
			t.Errorf("the replacement: %v", err)
		}
		if left, _, err := w.RecoveryLeft(t.Context(), "usr_1"); err != nil || left != enrolment.RecoveryCodes {
			t.Errorf("%d are left, %v", left, err)
		}
	}, with(recoverable))
}

func TestRecoveryCodesThatAreNone(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		codes, err := w.NewRecoveryCodes(w.ctx(), "usr_1")
		must(t, err)
		_, err = w.NewRecoveryCodes(w.ctx(), "usr_2")
		must(t, err)
		for name, try := range map[string][2]string{
			"of another user":       {"usr_2", codes[0]},
			"of a user without any": {"usr_3", codes[0]},
			"nothing":               {"usr_1", ""},
			"no code":               {"usr_1", "hello"},
			"cut":                   {"usr_1", codes[0][:15]},
			"too long":              {"usr_1", codes[0] + strings.Repeat("A", 100)},
			"one that was not made": {"usr_1", "AAAA-AAAA-AAAA-AAAA"},
		} {
			if out, err := w.use(try[0], try[1]); err != nil || out.OK || out.Replacement != "" || out.Begun.Operation.ID != "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		fresh, err := w.NewRecoveryCodes(w.ctx(), "usr_1")
		must(t, err)
		if out, err := w.use("usr_1", codes[0]); err != nil || out.OK {
			t.Errorf("an earlier one: %v", err)
		}
		must(t, w.db.Update(t.Context(), func(tx storage.Tx) error { return w.DropRecoveryCodes(tx, "usr_1") }))
		if out, err := w.use("usr_1", fresh[0]); err != nil || out.OK {
			t.Errorf("after they were dropped: %v", err)
		}
		events, err := w.trail.List(t.Context(), time.Time{}, 0)
		must(t, err)
		noted := 0
		for _, e := range events {
			if e.Name == "recovery.used" && e.Reason == enrolment.ReasonRecovery {
				noted++
			}
		}
		if noted != 9 {
			t.Errorf("%d refusals are in the audit trail", noted)
		}
	}, with(recoverable))
}

// TestACodeUsedTwiceAtOnce gives one registration.
func TestACodeUsedTwiceAtOnce(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		codes, err := w.NewRecoveryCodes(w.ctx(), "usr_1")
		must(t, err)
		outs := make([]enrolment.Recovered, 6)
		for _, err := range mobiletest.Together(6, func(i int) (err error) { outs[i], err = w.use("usr_1", codes[0]); return err }) {
			must(t, err)
		}
		good := 0
		for _, out := range outs {
			if out.OK {
				good++
			}
		}
		if good != 1 {
			t.Errorf("it was good %d times", good)
		}
	}, with(recoverable))
}

// TestARecoveryThatFailsKeepsTheCode: what was not begun has used nothing up.
func TestARecoveryThatFailsKeepsTheCode(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		codes, err := w.NewRecoveryCodes(w.ctx(), "usr_1")
		must(t, err)
		w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Nth: 1, Err: errDown})
		if _, err := w.use("usr_1", codes[0]); !errors.Is(err, errDown) {
			t.Fatalf("with the store down: %v", err)
		}
		w.users.Lock("usr_1")
		if _, err := w.use("usr_1", codes[0]); !errors.Is(err, operation.ErrUser) {
			t.Errorf("of a locked user: %v", err)
		}
		if _, err := w.NewRecoveryCodes(w.ctx(), "usr_1"); !errors.Is(err, mobileauth.ErrInactive) {
			t.Errorf("codes of a locked user: %v", err)
		}
		w.users.Say("usr_1", nil)
		w.policy.Recovery = false
		if _, err := w.use("usr_1", codes[0]); !errors.Is(err, enrolment.ErrOff) {
			t.Errorf("switched off: %v", err)
		}
		w.policy.Recovery = true
		if out, err := w.use("usr_1", codes[0]); err != nil || !out.OK {
			t.Errorf("at last: %v", err)
		}
	}, with(recoverable))
}

// TestRecoveryCodesAreKeptAsHashes: neither they nor what they are recognised by is readable in the store.
func TestRecoveryCodesAreKeptAsHashes(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		codes, err := w.NewRecoveryCodes(w.ctx(), "usr_1")
		must(t, err)
		must(t, w.db.View(t.Context(), func(tx storage.Tx) error {
			for item, err := range tx.Scan("", "", 0) {
				if err != nil {
					return err
				}
				for _, code := range codes {
					if strings.Contains(string(item.Value), code) || strings.Contains(string(item.Value), strings.ReplaceAll(code, "-", "")) {
						t.Errorf("%s holds a code", item.Key)
					}
				}
			}
			return nil
		}))
	})
}
