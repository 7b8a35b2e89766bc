// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// What a person is told.
func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&device.RefusedError{Remaining: 2}, "2 tries remain"},
		{&device.RefusedError{Remaining: 0}, "no tries remain"},
		{&device.RefusedError{Remaining: -1}, "refused"},
		{&device.RetryError{After: 7 * time.Second}, "in 7s"},
		{&device.RetryError{}, "cannot answer now"},
	} {
		if got := tt.err.Error(); !strings.Contains(got, tt.want) {
			t.Errorf("%#v says %q", tt.err, got)
		}
	}
}

// Everything that asks says when it cannot, and does nothing.
func TestNothingHappensWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	s, p, d := enrolled(t)
	q := mustFetch(t, d, s.ask(question("pin"), ""))
	s.do(func() { s.broken = func(http.ResponseWriter, string) bool { panic(http.ErrAbortHandler) } })
	proof := device.Proof{PIN: pin}
	for name, ask := range map[string]func() error{
		"Pending":    func() error { _, err := d.Pending(t.Context(), 0); return err },
		"Fetch":      func() error { _, err := d.Fetch(t.Context(), "op_1"); return err },
		"Approve":    func() error { return d.Approve(t.Context(), q, device.Approval{Proof: proof}) },
		"Deny":       func() error { return d.Deny(t.Context(), q, envelope.Denied) },
		"SetPush":    func() error { return d.SetPush(t.Context(), nil) },
		"Transfer":   func() error { _, err := d.Transfer(t.Context(), proof); return err },
		"Release":    func() error { return d.Release(t.Context(), proof, "dev_2", envelope.Deny) },
		"Disconnect": func() error { return d.Disconnect(t.Context()) },
		"Remove":     func() error { return d.RemoveFactor(t.Context(), proof, "biometric") },
	} {
		if err := ask(); !errors.Is(err, device.ErrNetwork) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.do(func() { s.broken = nil })
	if len(s.answers) != 0 {
		t.Errorf("the server has %v", s.answers)
	}
	if err := p.restart(t).Approve(t.Context(), q, device.Approval{Proof: proof}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// What the server says has to be of the right form, however well it is signed.
func TestBodiesThatSayNothing(t *testing.T) {
	t.Parallel()
	s, _, d := enrolled(t)
	operation := s.ask(question("pin"), "")
	s.do(func() { s.empty = true })
	for name, ask := range map[string]func() error{
		"Fetch":    func() error { _, err := d.Fetch(t.Context(), operation); return err },
		"Refresh":  func() error { _, err := d.Refresh(t.Context()); return err },
		"Transfer": func() error { _, err := d.Transfer(t.Context(), device.Proof{PIN: pin}); return err },
	} {
		if err := ask(); !errors.Is(err, device.ErrAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := newServer(t)
	other.empty = true
	if _, err := device.Enrol(t.Context(), newPhone(t).config, enrolment(other)); !errors.Is(err, device.ErrAnswer) {
		t.Errorf("Enrol: %v", err)
	}
}

// An operation that claims to be another one is not shown.
func TestAnotherOperationIsNotShown(t *testing.T) {
	t.Parallel()
	s, _, d := enrolled(t)
	one, two := s.ask(question("pin"), ""), s.ask(question("possession"), "")
	s.do(func() { s.display[one] = s.display[two] })
	if _, err := d.Fetch(t.Context(), one); !errors.Is(err, device.ErrAnswer) {
		t.Errorf("Fetch = %v", err)
	}
}

func TestPINsThatAreNotThere(t *testing.T) {
	t.Parallel()
	s, p := newServer(t), newPhone(t)
	e := enrolment(s)
	e.PIN = ""
	d, err := device.Enrol(t.Context(), p.config, e)
	if err != nil {
		t.Fatal(err)
	}
	if err := approves(t, s, d, pin); !errors.Is(err, device.ErrInput) {
		t.Errorf("a PIN that is not there: %v", err)
	}
	if err := d.ChangePIN(t.Context(), device.Proof{Factor: "biometric"}, newPIN); err != nil {
		t.Errorf("a first PIN, by fingerprint: %v", err)
	}
	if err := approves(t, s, p.restart(t), newPIN); err != nil {
		t.Error(err)
	}
}

// Who hears nothing asks again, and learns that it was done. Another answer is another one.
func TestApprovalWithALostAnswer(t *testing.T) {
	t.Parallel()
	s, p, d := enrolled(t)
	approval := device.Approval{Proof: device.Proof{PIN: pin}, Number: "42"}
	q := mustFetch(t, d, s.ask(question("pin"), "42"))
	s.do(func() { s.lose[envelope.PathAnswer] = 1 })
	if err := d.Approve(t.Context(), q, approval); !errors.Is(err, device.ErrNetwork) {
		t.Fatalf("Approve = %v", err)
	}
	if err := d.Deny(t.Context(), q, envelope.Denied); !errors.Is(err, device.ErrGone) {
		t.Errorf("another answer: %v", err)
	}
	q = mustFetch(t, d, s.ask(question("pin"), "42"))
	s.do(func() { s.lose[envelope.PathAnswer] = 1 })
	if err := d.Approve(t.Context(), q, approval); !errors.Is(err, device.ErrNetwork) {
		t.Fatalf("Approve = %v", err)
	}
	if err := d.Approve(t.Context(), q, approval); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := d.Approve(t.Context(), q, approval); !errors.Is(err, device.ErrGone) {
		t.Errorf("after it was heard: %v", err)
	}
	q = mustFetch(t, d, s.ask(question("pin"), "42"))
	s.do(func() { s.lose[envelope.PathAnswer] = 1 })
	if err := d.Approve(t.Context(), q, approval); !errors.Is(err, device.ErrNetwork) {
		t.Fatalf("Approve = %v", err)
	}
	s.do(func() { s.now = s.now.Add(2 * time.Minute) })
	p.now = p.now.Add(2 * time.Minute)
	if err := d.Approve(t.Context(), q, approval); !errors.Is(err, device.ErrGone) {
		t.Errorf("much later: %v", err)
	}
	if len(s.answers) != 3 {
		t.Errorf("the server has %d answers", len(s.answers))
	}
}
