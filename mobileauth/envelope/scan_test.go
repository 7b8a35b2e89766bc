// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

var scanned = envelope.Scan{Issuer: "https://id.example.com/a", OTP: "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"}

func TestScan(t *testing.T) {
	t.Parallel()
	const text = "gatehouse://claim?v=1&issuer=https%3A%2F%2Fid.example.com%2Fa&otp=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	if scanned.Text() != text {
		t.Errorf("it says %s", scanned.Text())
	}
	for _, spelling := range []string{text, " " + text + "\n", strings.Replace(text, "v=1&", "", 1) + "&v=1"} {
		if got, err := envelope.ParseScan(spelling); err != nil || got != scanned {
			t.Errorf("%q: %+v, %v", spelling, got, err)
		}
	}
	for name, spoiled := range map[string]string{
		"nothing":              "",
		"an invitation":        strings.Replace(text, "claim", "enroll", 1),
		"a page":               "https://id.example.com/claim?v=1",
		"a parameter more":     text + "&x=1",
		"a parameter twice":    text + "&v=1",
		"one missing":          strings.Replace(text, "v=1&", "", 1),
		"another version":      strings.Replace(text, "v=1", "v=2", 1),
		"a short otp":          strings.Replace(text, "ABCDEFGH", "", 1),
		"an otp in lower case": strings.Replace(text, "ABC", "abc", 1),
		"an issuer of a file":  strings.Replace(text, "https%3A", "file%3A", 1),
		"an issuer with user":  strings.Replace(text, "id.example", "me%40id.example", 1),
		"too long":             text + strings.Repeat(" ", 2048),
		"a bad escape":         strings.Replace(text, "%3A", "%3", 1),
	} {
		_, err := envelope.ParseScan(spoiled)
		if !errors.Is(err, envelope.ErrRefused) || strings.Contains(fmt.Sprint(err), "QRSTUV") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if said := fmt.Sprintf("%v %#v", envelope.ClaimRequest{OTP: scanned.OTP}, envelope.ClaimRequest{OTP: scanned.OTP}); strings.Contains(said, scanned.OTP) {
		t.Errorf("it prints %s", said)
	}
}

// FuzzScan: what is read is written the same.
func FuzzScan(f *testing.F) {
	f.Add(scanned.Text())
	f.Add("gatehouse://claim?v=1&issuer=http%3A%2F%2F127.0.0.1%3A80&otp=ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	f.Add("gatehouse://claim?otp=&v=1&issuer=%00")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := envelope.ParseScan(text)
		if err != nil {
			return
		}
		if again, err := envelope.ParseScan(s.Text()); err != nil || again != s {
			t.Errorf("%q is read as %+v, then as %+v, %v", text, s, again, err)
		}
	})
}
