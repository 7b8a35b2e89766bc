// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

func TestScan(t *testing.T) {
	t.Parallel()
	s, _, d := enrolled(t)
	otp, other := strings.Repeat("A", 32), strings.Repeat("B", 32)
	operation := s.ask(question("possession"), "42")
	elsewhere := s.ask(question("possession"), "")
	s.do(func() { s.scans = map[string]string{otp: operation} })
	text := envelope.Scan{Issuer: s.url, OTP: otp}.Text()
	q, err := d.Scan(t.Context(), text)
	if err != nil || q.Operation != operation || q.NumberMatch != 2 {
		t.Fatalf("scanned %+v, %v", q, err)
	}
	if err := d.Approve(t.Context(), q, device.Approval{Number: "42"}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, text string
		want       error
	}{
		{"nothing of the kind", "https://example.com", device.ErrInput},
		{"another server's", envelope.Scan{Issuer: "https://evil.example", OTP: otp}.Text(), device.ErrInput},
		{"what somebody else has claimed", envelope.Scan{Issuer: s.url, OTP: other}.Text(), device.ErrGone},
	} {
		if _, err := d.Scan(t.Context(), test.text); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	s.do(func() { s.mixUp = elsewhere })
	if _, err := d.Scan(t.Context(), text); !errors.Is(err, device.ErrAnswer) {
		t.Errorf("the bytes of another operation: %v", err)
	}
}
