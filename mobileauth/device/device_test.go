// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

func TestEnrolAndApprove(t *testing.T) {
	t.Parallel()
	s, p, d := enrolled(t)
	state := d.State()
	if state.Device != "dev_1" || state.Status != "pending" || state.Digits != s.digits || state.Policy.PIN.MinLength != 6 {
		t.Errorf("the state is %+v, the server shows %q", state, s.digits)
	}
	if s.push == nil || s.push.Address != "token-1" || len(s.factors) != 2 {
		t.Errorf("the server knows push %v and %d factors", s.push, len(s.factors))
	}
	if about, err := d.Refresh(t.Context()); err != nil || about.Status != "active" || d.State().Status != "active" {
		t.Errorf("Refresh = %+v, %v", about, err)
	}
	for _, tt := range []struct {
		name     string
		methods  []string
		number   string
		approval device.Approval
	}{
		{"possession", []string{"possession"}, "", device.Approval{}},
		{"possession and a number", []string{"possession"}, "42", device.Approval{Number: "42"}},
		{"PIN", []string{"pin"}, "", device.Approval{Proof: device.Proof{PIN: pin}}},
		{"biometric", []string{"biometric"}, "07", device.Approval{Proof: device.Proof{Factor: "biometric"}, Number: "07"}},
		{"PIN for biometric", []string{"biometric"}, "", device.Approval{Proof: device.Proof{PIN: pin}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := p.restart(t)
			operation := s.ask(question(tt.methods...), tt.number)
			list, err := d.Pending(t.Context(), 20*time.Second)
			if err != nil || len(list) != 1 || list[0].Operation != operation {
				t.Fatalf("Pending = %v, %v", list, err)
			}
			q := mustFetch(t, d, operation)
			if q.Fields[0].Value != "100.00" {
				t.Errorf("shown: %+v", q)
			}
			if err := d.Approve(t.Context(), q, tt.approval); err != nil {
				t.Fatal(err)
			}
			got := s.answers[len(s.answers)-1]
			if got.Operation != operation || got.Decision != envelope.Approve || got.Number != tt.number {
				t.Errorf("the server has %+v", got)
			}
			if err := d.Approve(t.Context(), q, tt.approval); !errors.Is(err, device.ErrGone) {
				t.Errorf("a second answer: %v", err)
			}
		})
	}
}

func TestDenyNeedsNoFactor(t *testing.T) {
	t.Parallel()
	s, _, d := enrolled(t)
	for _, reason := range []string{envelope.Denied, envelope.NotMe, envelope.IncorrectData} {
		q := mustFetch(t, d, s.ask(question("pin"), "42"))
		if err := d.Deny(t.Context(), q, reason); err != nil {
			t.Fatal(err)
		}
		if got := s.answers[len(s.answers)-1]; got.Decision != envelope.Deny || got.Reason != reason || got.Number != "" || got.Method != "" {
			t.Errorf("the server has %+v", got)
		}
	}
	if err := d.Deny(t.Context(), mustFetch(t, d, s.ask(question("pin"), "")), "whatever"); !errors.Is(err, device.ErrInput) {
		t.Errorf("an unknown reason: %v", err)
	}
}

// What cannot be right is not sent: it would cost a try.
func TestApproveRefusesWithoutAsking(t *testing.T) {
	t.Parallel()
	s, _, d := enrolled(t)
	q := mustFetch(t, d, s.ask(question("pin"), "42"))
	sent := len(s.requests)
	for _, tt := range []struct {
		name     string
		question device.Question
		approval device.Approval
	}{
		{"no factor", q, device.Approval{Number: "42"}},
		{"another factor", q, device.Approval{Number: "42", Proof: device.Proof{Factor: "biometric"}}},
		{"two factors", q, device.Approval{Number: "42", Proof: device.Proof{PIN: pin, Factor: "biometric"}}},
		{"no number", q, device.Approval{Proof: device.Proof{PIN: pin}}},
		{"a long number", q, device.Approval{Number: "421", Proof: device.Proof{PIN: pin}}},
		{"letters", q, device.Approval{Number: "4z", Proof: device.Proof{PIN: pin}}},
		{"nothing fetched", device.Question{Display: question("pin")}, device.Approval{Proof: device.Proof{PIN: pin}}},
		{"a factor that is not there", mustFetchOther(t, s, d, "custom:token"), device.Approval{Proof: device.Proof{Factor: "custom:token"}}},
	} {
		before := len(s.answers)
		if err := d.Approve(t.Context(), tt.question, tt.approval); !errors.Is(err, device.ErrInput) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if len(s.answers) != before {
			t.Errorf("%s was sent", tt.name)
		}
	}
	if len(s.requests) != sent+1 { // the one that fetched the other question
		t.Errorf("%d requests were sent", len(s.requests)-sent)
	}
}

func mustFetchOther(t *testing.T, s *server, d *device.Device, methods ...string) device.Question {
	t.Helper()
	return mustFetch(t, d, s.ask(question(methods...), ""))
}

func TestWrongPINIsCountedByTheServer(t *testing.T) {
	t.Parallel()
	s, p, d := enrolled(t)
	q := mustFetch(t, d, s.ask(question("pin"), ""))
	for left := maxTries - 1; left >= 0; left-- {
		err := d.Approve(t.Context(), q, device.Approval{Proof: device.Proof{PIN: "111112"}})
		var refused *device.RefusedError
		if !errors.As(err, &refused) || refused.Remaining != left || !errors.Is(err, device.ErrRefused) {
			t.Fatalf("with %d left: %v", left, err)
		}
	}
	if err := d.Approve(t.Context(), q, device.Approval{Proof: device.Proof{PIN: pin}}); !errors.Is(err, device.ErrMessage) {
		t.Errorf("the right PIN after all tries: %v", err)
	}
	if len(s.answers) != 0 {
		t.Error("an answer was taken")
	}
	if bytes.Contains(p.saved, []byte("111112")) || bytes.Contains(p.saved, []byte(pin)) {
		t.Error("the state has a PIN")
	}
}

func TestWrongNumberIsRefused(t *testing.T) {
	t.Parallel()
	s, _, d := enrolled(t)
	q := mustFetch(t, d, s.ask(question("possession"), "42"))
	var refused *device.RefusedError
	if err := d.Approve(t.Context(), q, device.Approval{Number: "41"}); !errors.As(err, &refused) || refused.Remaining != -1 {
		t.Errorf("a wrong number: %v", err)
	}
	if err := d.Approve(t.Context(), q, device.Approval{Number: "42"}); err != nil {
		t.Error(err)
	}
}

func TestManage(t *testing.T) {
	t.Parallel()
	s, p, d := enrolled(t)
	if err := d.SetPush(t.Context(), &envelope.PushAddress{Service: "google", Address: "token-2"}); err != nil || s.push.Address != "token-2" {
		t.Errorf("SetPush: %v, %v", err, s.push)
	}
	if err := d.SetPush(t.Context(), nil); err != nil || s.push != nil {
		t.Errorf("SetPush: %v, %v", err, s.push)
	}
	if err := d.SetPush(t.Context(), &envelope.PushAddress{Service: "google"}); !errors.Is(err, device.ErrInput) {
		t.Errorf("an empty address: %v", err)
	}
	answer, err := d.Transfer(t.Context(), device.Proof{PIN: pin})
	if err != nil {
		t.Fatal(err)
	}
	if i, err := envelope.ParseInvitation(answer.Invitation); err != nil || i.Code.Text() != s.code.Text() {
		t.Errorf("the invitation is %v, %v", i, err)
	}
	if err := d.Release(t.Context(), device.Proof{PIN: pin}, "dev_2", envelope.Approve); err != nil {
		t.Error(err)
	}
	if got := s.answers[len(s.answers)-1]; got.Target != "dev_2" || got.Decision != envelope.Approve {
		t.Errorf("the server has %+v", got)
	}
	if err := d.Disconnect(t.Context()); err != nil || s.status != "deactivated" {
		t.Errorf("Disconnect: %v, %s", err, s.status)
	}
	if kept, err := p.store.MarshalJSON(); err != nil || strings.Contains(string(kept), "sign") || strings.Contains(string(kept), "secrets") {
		t.Errorf("after Disconnect there are %s, %v", kept, err)
	}
	if _, err := d.Refresh(t.Context()); !errors.Is(err, device.ErrMessage) {
		t.Errorf("after Disconnect: %v", err)
	}
}
