// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode/utf16"

	"golang.org/x/net/idna"

	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

// MaxText is how long a message may be, in UTF-16 code units, which is how networks count. Twilio takes no longer one.
const MaxText = 1600

// Placeholder stands in a template where the code shall be.
const Placeholder = "{code}"

// Errors of [Compose]. None of them holds the code or the text.
var (
	// ErrTemplate is a template with characters that do not show themselves, or one that would bind the code to another origin.
	ErrTemplate = errors.New("the text cannot be sent")
	// ErrLong is a message of more than [MaxText].
	ErrLong = fmt.Errorf("the message is longer than %d characters", MaxText)
	// ErrOrigin is an origin that is no host.
	ErrOrigin = errors.New("the origin is not a host with an optional port")
	// ErrCode is a code that cannot stand in a message.
	ErrCode = errors.New("the code is empty, or has characters other than letters and digits")
)

// maxCode bounds a code, in bytes.
const maxCode = 32

// Compose returns the text of a message with a code.
//
// Every [Placeholder] in the template becomes the code; of a template without one, the code alone is sent, as the systems do whose
// back ends come here. With an origin (a host, with a port only if the origin has one) the last line binds the code to it, so that
// browsers offer the code to this site and no other (WICG, origin-bound one-time codes):
//
//	Your code: 123456. Do not share it.
//	@login.example.com #123456
//
// Such a line that the template has already is not repeated; one for another host is refused with [ErrTemplate], and so is text that
// would not show itself as it is (see package shown).
func Compose(template, code, originHost string) (string, error) {
	if code == "" || len(code) > maxCode || strings.ContainsFunc(code, func(r rune) bool { return !alphanumeric(r) }) {
		return "", fmt.Errorf("composing a message: %w", ErrCode)
	}
	text, err := fill(template, code)
	if err != nil {
		return "", fmt.Errorf("composing a message: %w", err)
	}
	if originHost != "" {
		if text, err = bind(text, code, originHost); err != nil {
			return "", fmt.Errorf("composing a message: %w", err)
		}
	}
	if units(text) > MaxText {
		return "", fmt.Errorf("composing a message: %w", ErrLong)
	}
	return text, nil
}

func alphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

func fill(template, code string) (string, error) {
	template = strings.TrimSpace(strings.ReplaceAll(template, "\r\n", "\n"))
	if !strings.Contains(template, Placeholder) {
		return code, nil
	}
	if units(template) > MaxText {
		return "", ErrLong
	}
	checked, err := shown.Context{Content: template}.Check(shown.Content{Most: MaxText, Lines: true})
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	return strings.ReplaceAll(checked.Content, Placeholder, code), nil
}

// bind adds the line that browsers look for: it is the last one, and between host and code stands exactly one blank.
func bind(text, code, originHost string) (string, error) {
	host, err := origin(originHost)
	if err != nil {
		return "", err
	}
	line := "@" + host + " #" + code
	last := text[strings.LastIndexByte(text, '\n')+1:]
	switch {
	case strings.EqualFold(last, line):
		return text[:len(text)-len(last)] + line, nil
	case strings.HasPrefix(last, "@") && strings.Contains(last, "#"):
		return "", fmt.Errorf("%w: its last line binds the code to another origin", ErrTemplate)
	}
	return text + "\n" + line, nil
}

// hosts is how browsers look a name up, with the limits of the DNS on labels besides.
var hosts = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

// origin returns a host as browsers compare it: lower case, in ASCII (RFC 5891), with the port if there is one.
func origin(text string) (string, error) {
	host, port := text, ""
	if strings.Contains(text, ":") {
		var err error
		if host, port, err = net.SplitHostPort(text); err != nil {
			return "", ErrOrigin
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
			return "", ErrOrigin
		}
		port = ":" + port
	}
	ascii, err := hosts.ToASCII(host)
	if err != nil || strings.HasSuffix(ascii, ".") || net.ParseIP(ascii) != nil {
		return "", ErrOrigin
	}
	return ascii + port, nil
}

func units(text string) (n int) {
	for _, r := range text {
		n += max(1, utf16.RuneLen(r)) // what is no UTF-8 is one replacement character
	}
	return n
}
