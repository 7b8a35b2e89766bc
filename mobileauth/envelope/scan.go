// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"net/url"
	"regexp"
	"strings"
)

// Scan is what a QR code or a link says to a phone whose person is to answer a question that was put to nobody in particular.
type Scan struct {
	// Issuer is the server's identifier. A phone answers that of its own server alone.
	Issuer string
	// OTP names the question, once: whoever claims it first is asked.
	OTP string
}

var validOTP = regexp.MustCompile(`^[A-Z2-7]{26,64}$`)

// Text returns the content of the QR code, which is a link as well.
func (s Scan) Text() string {
	return "gatehouse://claim?v=1&issuer=" + url.QueryEscape(s.Issuer) + "&otp=" + s.OTP
}

// ParseScan reads the content of a QR code. It takes each of the three parameters once and no other. The error wraps [ErrRefused]
// and does not quote the text.
func ParseScan(text string) (Scan, error) {
	query, ok := strings.CutPrefix(strings.TrimSpace(text), "gatehouse://claim?")
	if !ok || len(text) > 2048 {
		return Scan{}, refuse(ReasonMalformed, "reading what was scanned: not an address of gatehouse://claim")
	}
	values, err := url.ParseQuery(query)
	if err != nil || len(values) != 3 {
		return Scan{}, refuse(ReasonMalformed, "reading what was scanned: not its three parameters")
	}
	for _, name := range []string{"v", "issuer", "otp"} {
		if len(values[name]) != 1 {
			return Scan{}, refuse(ReasonMalformed, "reading what was scanned: %q is missing or repeated", name)
		}
	}
	if values.Get("v") != "1" {
		return Scan{}, refuse(ReasonVersion, "reading what was scanned, of another version: a newer app is needed")
	}
	s := Scan{Issuer: values.Get("issuer"), OTP: values.Get("otp")}
	if !validOTP.MatchString(s.OTP) || !validIssuer(s.Issuer) {
		return Scan{}, refuse(ReasonMalformed, "reading what was scanned: a parameter is malformed")
	}
	return s, nil
}
