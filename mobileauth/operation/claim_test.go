// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// scanning is an authentication of whoever scans it.
func scanning(s *operation.Start) {
	s.Kind, s.UserID, s.NumberMatch, s.Methods = operation.Authentication, "", 2, []string{"possession"}
	s.Asked = "scan"
	s.Way = operation.Way{Channel: operation.ByOTP, Type: "scan", Of: mobiletype.OTP, Attempts: 3}
}

func (p *phone) claim(otp string) operation.Outcome {
	p.w.t.Helper()
	out, err := p.w.Claim(p.w.from(p.id), operation.Claim{Message: p.message(), OTP: otp})
	must(p.w.t, err)
	return out
}

func TestScanNamesTheUser(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		p, other := w.phone("usr_1"), w.phone("usr_1")
		o := w.ask("", scanning, key("again"))
		if len(o.OTP) != 32 || o.UserID != "" || o.Number == "" || o.Push != "" || strings.Contains(string(o.Display), o.OTP) {
			t.Fatalf("it began as %+v", o)
		}
		same, created, err := w.Start(t.Context(), question("", scanning, key("again")))
		if err != nil || created || same.OTP != o.OTP {
			t.Errorf("asked again: created %t, %v", created, err)
		}
		if _, err := w.Deliver(t.Context(), o.ID, p.id); err == nil {
			t.Error("a phone fetches what it has not scanned")
		}
		out := p.claim(o.OTP)
		expect(t, out, operation.Accepted, "")
		if c := out.Operation; c.UserID != "usr_1" || c.DeviceID != p.id || c.State != operation.Delivered || c.OTP != "" ||
			!c.ClaimedAt.Equal(w.clock.Now()) || string(c.Display) != string(o.Display) || c.Number != o.Number {
			t.Errorf("claimed as %+v", c)
		}
		open, err := w.Pending(t.Context(), p.id, 0)
		must(t, err)
		if len(open) != 1 || open[0].ID != o.ID {
			t.Errorf("open at the phone: %v", open)
		}
		if open, err := w.Pending(t.Context(), other.id, 0); err != nil || len(open) != 0 {
			t.Errorf("open at another phone: %v, %v", open, err)
		}
		expect(t, other.approve(out.Operation, by("possession", other)), operation.NotAllowed, "other_device")
		expect(t, p.approve(out.Operation, by("possession", p), number(off2(o.Number))), operation.Refused, "number_wrong")
		expect(t, p.approve(out.Operation, by("possession", p)), operation.Accepted, "")
		got := w.get(o.ID)
		if got.State != operation.Approved || got.UserID != "usr_1" || got.AnsweredBy != p.id || got.Used != mobiletype.OTP ||
			got.ACR != "otp" || !slices.Equal(got.AMR, []string{"pop", "mca"}) {
			t.Errorf("approved as %+v", got)
		}
		listed, err := w.ListByUser(t.Context(), "usr_1", "", 0)
		must(t, err)
		if len(listed) != 1 {
			t.Errorf("the user has %d operations", len(listed))
		}
		want := []string{"start accepted", "claim accepted", "answer refused other_device", "answer refused number_wrong", "answer accepted"}
		if diff := cmp.Diff(sorted(want), sorted(w.reasons(o.ID))); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"claimed delivered", "ended approved"}, w.told("usr_1", o.ID)); diff != "" {
			t.Error(diff)
		}
	})
}

// off2 is a number of two digits that is not the given one.
func off2(number string) string {
	if number == "00" {
		return "01"
	}
	return "00"
}

// TestTwoScanAtOnce: one phone wins, also where two people scan the same.
func TestTwoScanAtOnce(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		phones := []*phone{w.phone("usr_1"), w.phone("usr_2"), w.phone("usr_2"), w.phone("usr_3")}
		o := w.ask("", scanning)
		outs := make([]operation.Outcome, len(phones))
		var wg sync.WaitGroup
		for i, p := range phones {
			wg.Go(func() { outs[i] = p.claim(o.OTP) })
		}
		wg.Wait()
		winner := -1
		for i, out := range outs {
			switch {
			case out.Code == operation.Accepted && winner < 0:
				winner = i
			case out.Code != operation.Gone || out.Reason != "claimed":
				t.Errorf("phone %d: %s for %s", i, out.Code, out.Reason)
			}
		}
		if winner < 0 || w.get(o.ID).DeviceID != phones[winner].id {
			t.Fatalf("the winner is %d", winner)
		}
		expect(t, phones[winner].claim(o.OTP), operation.Accepted, "repeated")
	})
}

func TestScansThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*operation.Start)
		device func(*handset.Device)
		before func(w *world, p *phone, o operation.Operation)
		code   operation.Code
		reason string
	}{
		{"nothing of ours", nil, nil, nil, operation.Gone, "unknown_otp"},
		{"too late", nil, nil, func(w *world, _ *phone, _ operation.Operation) { w.clock.Advance(2 * time.Minute) }, operation.Gone, "is_expired"},
		{"cancelled", nil, nil, func(w *world, _ *phone, o operation.Operation) {
			_, err := w.Cancel(w.t.Context(), o.ID, "client")
			must(w.t, err)
		}, operation.Gone, "is_cancelled"},
		{"another app's", func(s *operation.Start) { s.Application = "shop" }, nil, nil, operation.NotAllowed, "device_unsuited"},
		{"a phone without PIN", func(s *operation.Start) { s.Methods = []string{"pin"} }, func(d *handset.Device) { d.Factors = nil }, nil,
			operation.NotAllowed, "device_unsuited"},
		{"a phone in quarantine", nil, func(d *handset.Device) { d.Status = handset.Quarantined }, nil, operation.NotAllowed, "device_unusable"},
		{"a locked phone", nil, nil, func(w *world, p *phone, _ operation.Operation) {
			_, err := w.handset.Lock(w.t.Context(), p.id, "lost sight of")
			must(w.t, err)
		}, operation.NotAllowed, "device_unusable"},
		{"a locked user", nil, nil, func(w *world, _ *phone, _ operation.Operation) { w.inactive("usr_1") }, operation.NotAllowed, "device_unusable"},
		{"a blocked user", nil, nil, func(w *world, _ *phone, _ operation.Operation) {
			for range 2 {
				other := w.ask("usr_1", texting)
				for range 3 {
					w.verify(other, off(other.SMS.Code))
				}
			}
		}, operation.NotAllowed, "user_blocked"},
		{"a user with too many open", nil, nil, func(w *world, _ *phone, _ operation.Operation) {
			for range 5 {
				w.ask("usr_1")
			}
		}, operation.NotAllowed, "too_many_open"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			p := w.phone("usr_1", func(d *handset.Device) {
				if test.device != nil {
					test.device(d)
				}
			})
			o := w.ask("", scanning, func(s *operation.Start) {
				if test.change != nil {
					test.change(s)
				}
			})
			if test.before != nil {
				test.before(w, p, o)
			}
			otp := o.OTP
			if test.reason == "unknown_otp" {
				otp = strings.Repeat("A", 32)
			}
			expect(t, p.claim(otp), test.code, test.reason)
			if got := w.get(o.ID); got.UserID != "" || got.DeviceID != "" {
				t.Errorf("it was given to %+v", got)
			}
		})
	}
}

// TestScanIsNoReplay: the message with which somebody scans is good once.
func TestScanIsNoReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	p := w.phone("usr_1")
	m := p.message()
	first, second := w.ask("", scanning), w.ask("", scanning)
	for i, o := range []operation.Operation{first, second} {
		out, err := w.Claim(t.Context(), operation.Claim{Message: m, OTP: o.OTP})
		must(t, err)
		expect(t, out, []operation.Code{operation.Accepted, operation.NotAllowed}[i], []string{"", "replay"}[i])
	}
	m.JTI, m.DeviceID = envelope.NewID(), "dev_none"
	out, err := w.Claim(t.Context(), operation.Claim{Message: m, OTP: second.OTP})
	must(t, err)
	expect(t, out, operation.NotAllowed, "unknown_device")
}

// TestScanEndsWithItsDevice: the phone that has scanned is taken out before it answers.
func TestScanEndsWithItsDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	p := w.phone("usr_1")
	o := w.ask("", scanning)
	p.claim(o.OTP)
	_, err := w.handset.Lose(t.Context(), p.id, handset.Stolen, "bus")
	must(t, err)
	if got := w.get(o.ID); got.State != operation.Cancelled || got.Reason != operation.ReasonDeviceRevoked {
		t.Errorf("it is %s for %s", got.State, got.Reason)
	}
}

// TestNeverScanned: what nobody scans ends by itself, belongs to nobody, and is not kept for long.
func TestNeverScanned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	o := w.ask("", scanning)
	w.clock.Advance(2 * time.Minute)
	must(t, w.Tick(t.Context()))
	if got := w.get(o.ID); got.State != operation.Expired || got.OTP != "" {
		t.Errorf("it is %+v", got)
	}
	w.clock.Advance(26 * time.Hour)
	if _, err := w.Get(t.Context(), o.ID); err == nil {
		t.Error("it is still there")
	}
}
