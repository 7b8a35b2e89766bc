// SPDX-License-Identifier: Apache-2.0

package deviceapi_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// scannable starts an operation for whoever scans it, and returns it with what the QR code says.
func (s *server) scannable(change ...func(*operation.Start)) (operation.Operation, string) {
	s.t.Helper()
	start := operation.Start{
		Kind: operation.Authentication, ClientID: "shop", Way: operation.Way{Channel: operation.ByOTP},
		Context: operation.Context{Content: "Log in at the shop, from Utrecht"},
	}
	for _, fn := range change {
		fn(&start)
	}
	o, _, err := s.operations.Start(s.t.Context(), start)
	must(s.t, err)
	return o, envelope.Scan{Issuer: s.url, OTP: o.OTP}.Text()
}

// TestWhoeverScansIsLoggedIn: the phone shows the context, the number beside the QR code is typed, and the result names the user.
func TestWhoeverScansIsLoggedIn(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a, b := s.enrol(alice), s.enrol(bob)
	o, text := s.scannable()
	q, err := a.Scan(t.Context(), text)
	must(t, err)
	if q.Content != "Log in at the shop, from Utrecht" || q.NumberMatch != 2 {
		t.Errorf("shown %+v", q)
	}
	if _, err := b.Scan(t.Context(), text); !errors.Is(err, device.ErrGone) {
		t.Errorf("scanned by another: %v", err)
	}
	if _, err := b.Fetch(t.Context(), o.ID); !errors.Is(err, device.ErrNotAllowed) {
		t.Errorf("fetched by another: %v", err)
	}
	if _, err := a.Scan(t.Context(), text); err != nil {
		t.Errorf("scanned again: %v", err)
	}
	must(t, a.Approve(t.Context(), q, device.Approval{Number: o.Number}))
	got, err := s.operations.Get(t.Context(), o.ID)
	must(t, err)
	if got.State != operation.Approved || got.UserID != alice || got.ACR != "otp" {
		t.Errorf("it is %s for %s, worth %q", got.State, got.UserID, got.ACR)
	}
	if _, err := a.Scan(t.Context(), text); !errors.Is(err, device.ErrGone) {
		t.Errorf("scanned once more: %v", err)
	}
}

// TestOneScanWins: two phones scan at once.
func TestOneScanWins(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	phones := []*phone{s.enrol(alice), s.enrol(bob)}
	_, text := s.scannable()
	errs := make([]error, len(phones))
	var wg sync.WaitGroup
	for i, p := range phones {
		wg.Go(func() { _, errs[i] = p.Scan(t.Context(), text) })
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), device.ErrGone) {
		t.Errorf("two at once: %v", errs)
	}
}

// TestScanOfAnotherApp: the starter has named the application.
func TestScanOfAnotherApp(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, text := s.scannable(func(start *operation.Start) { start.Application = "another" })
	if _, err := s.enrol(alice).Scan(t.Context(), text); !errors.Is(err, device.ErrNotAllowed) {
		t.Errorf("scanned: %v", err)
	}
}
