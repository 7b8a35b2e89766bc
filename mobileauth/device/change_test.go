// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"errors"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

const newPIN = "820461"

// approves reports what an approval with the PIN comes to.
func approves(t *testing.T, s *server, d *device.Device, pin string) error {
	t.Helper()
	return d.Approve(t.Context(), mustFetch(t, d, s.ask(question("pin"), "")), device.Approval{Proof: device.Proof{PIN: pin}})
}

func TestChangePIN(t *testing.T) {
	t.Parallel()
	s, p, d := enrolled(t)
	old := s.factors["pin"]
	if err := d.ChangePIN(t.Context(), device.Proof{PIN: pin}, newPIN); err != nil {
		t.Fatal(err)
	}
	if s.factors["pin"] == old {
		t.Error("the new PIN has the old secret: two copies of the state would tell PINs apart")
	}
	d = p.restart(t)
	if err := approves(t, s, d, newPIN); err != nil {
		t.Errorf("the new PIN: %v", err)
	}
	if err := approves(t, s, d, pin); !errors.Is(err, device.ErrRefused) {
		t.Errorf("the old PIN: %v", err)
	}
}

func TestChangePINRefused(t *testing.T) {
	t.Parallel()
	s, p, d := enrolled(t)
	for _, weak := range []string{"", "12345", "123456", "987654", "777777", "48a817"} {
		if err := d.ChangePIN(t.Context(), device.Proof{PIN: pin}, weak); !errors.Is(err, device.ErrInput) {
			t.Errorf("PIN %q: %v", weak, err)
		}
	}
	if err := d.ChangePIN(t.Context(), device.Proof{PIN: "111112"}, newPIN); !errors.Is(err, device.ErrRefused) {
		t.Errorf("a wrong old PIN: %v", err)
	}
	if d.State().NextPIN != nil {
		t.Error("a PIN that was refused is kept")
	}
	if err := approves(t, s, p.restart(t), pin); err != nil {
		t.Errorf("the old PIN: %v", err)
	}
}

// Whether a change of the PIN happened is not guessed, which would cost tries: the server says which statement counts.
func TestChangePINWithALostAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		happens bool
		counts  string
	}{
		{"it happened", true, newPIN},
		{"it did not happen", false, pin},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, p, d := enrolled(t)
			s.do(func() {
				if s.lose[envelope.PathFactor] = 1; !tt.happens {
					s.lose[envelope.PathFactor], s.broken = 0, unavailable(envelope.PathFactor)
				}
			})
			err := d.ChangePIN(t.Context(), device.Proof{PIN: pin}, newPIN)
			if !errors.Is(err, device.ErrNetwork) && !errors.Is(err, device.ErrUnavailable) {
				t.Fatalf("ChangePIN = %v", err)
			}
			s.do(func() { s.broken = nil })
			d = p.restart(t)
			if err := approves(t, s, d, tt.counts); err != nil {
				t.Errorf("the PIN that counts: %v", err)
			}
			if s.failed != 0 || d.State().NextPIN != nil {
				t.Errorf("%d tries were lost, next is %v", s.failed, d.State().NextPIN)
			}
		})
	}
}

func TestRollKeys(t *testing.T) {
	t.Parallel()
	s, p, d := enrolled(t)
	old := s.device
	if err := d.RollKeys(t.Context(), device.Proof{PIN: pin}); err != nil {
		t.Fatal(err)
	}
	if s.device.Sign.ID() == old.Sign.ID() || s.device.Enc.ID() == old.Enc.ID() {
		t.Error("a key is still the old one")
	}
	for _, d := range []*device.Device{d, p.restart(t)} {
		if err := approves(t, s, d, pin); err != nil {
			t.Error(err)
		}
	}
	if d.State().NextKeys != "" {
		t.Error("keys are still on their way")
	}
}

// A server may answer under either key.
func TestRollKeysAnsweredUnderTheNewOnes(t *testing.T) {
	t.Parallel()
	s, p, d := enrolled(t)
	s.early = true
	if err := d.RollKeys(t.Context(), device.Proof{PIN: pin}); err != nil {
		t.Fatal(err)
	}
	if err := approves(t, s, p.restart(t), pin); err != nil {
		t.Error(err)
	}
}

func TestRollKeysWithALostAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		after func(t *testing.T, d *device.Device) error
	}{
		{"and then something else", func(t *testing.T, d *device.Device) error { _, err := d.Refresh(t.Context()); return err }},
		{"and then again", func(t *testing.T, d *device.Device) error { return d.RollKeys(t.Context(), device.Proof{PIN: pin}) }},
	} {
		for _, happens := range []bool{true, false} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				s, p, d := enrolled(t)
				s.do(func() {
					if s.lose[envelope.PathKeys] = 1; !happens {
						s.lose[envelope.PathKeys], s.broken = 0, unavailable(envelope.PathKeys)
					}
				})
				if err := d.RollKeys(t.Context(), device.Proof{PIN: pin}); !errors.Is(err, device.ErrNetwork) && !errors.Is(err, device.ErrUnavailable) {
					t.Fatalf("RollKeys = %v", err)
				}
				s.do(func() { s.broken = nil })
				d = p.restart(t)
				if err := tt.after(t, d); err != nil {
					t.Fatal(err)
				}
				if err := approves(t, s, p.restart(t), pin); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestRollKeysRefused(t *testing.T) {
	t.Parallel()
	s, p, d := enrolled(t)
	if err := d.RollKeys(t.Context(), device.Proof{PIN: "111112"}); !errors.Is(err, device.ErrRefused) {
		t.Fatalf("RollKeys = %v", err)
	}
	if d.State().NextKeys != "" {
		t.Error("keys that were refused are kept")
	}
	if err := approves(t, s, p.restart(t), pin); err != nil {
		t.Error(err)
	}
}

func TestOtherFactors(t *testing.T) {
	t.Parallel()
	s, p, d := enrolled(t)
	const kind = "custom:token"
	if err := d.AddFactor(t.Context(), device.Proof{PIN: pin}, kind); err != nil {
		t.Fatal(err)
	}
	d = p.restart(t)
	approve := func(kind string) error {
		q := mustFetch(t, d, s.ask(question(kind), ""))
		return d.Approve(t.Context(), q, device.Approval{Proof: device.Proof{Factor: kind}})
	}
	if err := approve(kind); err != nil {
		t.Error(err)
	}
	if err := d.AddFactor(t.Context(), device.Proof{PIN: "111112"}, "biometric"); !errors.Is(err, device.ErrRefused) {
		t.Errorf("with a wrong PIN: %v", err)
	}
	if err := approve("biometric"); err != nil {
		t.Errorf("the factor that was not replaced: %v", err)
	}
	if err := d.RemoveFactor(t.Context(), device.Proof{PIN: pin}, kind); err != nil {
		t.Error(err)
	}
	if _, there := s.factors[kind]; there || d.State().Vault[kind] != "" {
		t.Error("the factor is still there")
	}
	for _, bad := range []string{"pin", "", "custom:", "face", kind} {
		if err := d.RemoveFactor(t.Context(), device.Proof{PIN: pin}, bad); !errors.Is(err, device.ErrInput) {
			t.Errorf("removing %q: %v", bad, err)
		}
		if bad != kind && !errors.Is(d.AddFactor(t.Context(), device.Proof{PIN: pin}, bad), device.ErrInput) {
			t.Errorf("%q was added", bad)
		}
	}
}

// A factor of which nobody knows whether it was set is not used: a wrong MAC costs a try.
func TestOtherFactorWithALostAnswer(t *testing.T) {
	t.Parallel()
	s, _, d := enrolled(t)
	s.do(func() { s.lose[envelope.PathFactor] = 1 })
	if err := d.AddFactor(t.Context(), device.Proof{PIN: pin}, "biometric"); !errors.Is(err, device.ErrNetwork) {
		t.Fatalf("AddFactor = %v", err)
	}
	q := mustFetch(t, d, s.ask(question("biometric"), ""))
	if err := d.Approve(t.Context(), q, device.Approval{Proof: device.Proof{Factor: "biometric"}}); !errors.Is(err, device.ErrInput) {
		t.Errorf("Approve = %v", err)
	}
	if err := d.AddFactor(t.Context(), device.Proof{PIN: pin}, "biometric"); err != nil {
		t.Error(err)
	}
	if err := d.Approve(t.Context(), q, device.Approval{Proof: device.Proof{Factor: "biometric"}}); err != nil || s.failed != 0 {
		t.Errorf("Approve = %v after %d lost tries", err, s.failed)
	}
}
