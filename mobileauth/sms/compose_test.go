// SPDX-License-Identifier: Apache-2.0

package sms_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

func TestCompose(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, template, origin, want string }{
		{"a placeholder", "Your code: {code}", "", "Your code: 123456"},
		{"two placeholders", "{code}, I said {code}.", "", "123456, I said 123456."},
		{"no placeholder", "Your code:", "", "123456"},
		{"nothing", "", "", "123456"},
		{"another spelling of the placeholder", "Your code: {Code} [code]", "", "123456"},
		{"text that cannot be shown, and is not sent", "\u202eyour code", "", "123456"},
		{"blanks around it", "  Your code: {code}\r\n", "", "Your code: 123456"},
		{"two lines", "Example\r\nYour code: {code}", "", "Example\nYour code: 123456"},
		{"Arabic", "رمز التحقق: {code}", "", "رمز التحقق: 123456"},
		{"composed letters", "Co\u0301digo {code}", "", "C\u00f3digo 123456"},
		{"an origin", "Your code: {code}. Do not share it.", "login.example.com", "Your code: 123456. Do not share it.\n@login.example.com #123456"},
		{"an origin with a port", "{code}", "login.example.com:8443", "123456\n@login.example.com:8443 #123456"},
		{"an origin, and no placeholder", "Hello", "example.com", "123456\n@example.com #123456"},
		{"an origin in other letters", "{code}", "Bücher.EXAMPLE", "123456\n@xn--bcher-kva.example #123456"},
		{"the line is there already", "Hello\n@Example.com #{code}", "example.com", "Hello\n@example.com #123456"},
		{"a line of another origin, and none wanted", "Hello\n@example.com #{code}", "", "Hello\n@example.com #123456"},
		{"an address in the middle", "Ask @example #1 for help: {code}\nBye", "example.com", "Ask @example #1 for help: 123456\nBye\n@example.com #123456"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := sms.Compose(tt.template, "123456", tt.origin)
			if err != nil || got != tt.want {
				t.Errorf("Compose = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestComposeRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, template, code, origin string
		want                         error
	}{
		{"no code", "{code}", "", "", sms.ErrCode},
		{"a code with a blank", "{code}", "987 654", "", sms.ErrCode},
		{"a code with a line", "{code}", "987\n@evil.test #1", "", sms.ErrCode},
		{"a code with a hash", "{code}", "#987654", "", sms.ErrCode},
		{"a code without end", "{code}", strings.Repeat("9", 33), "", sms.ErrCode},
		{"text in the other direction", "\u202eedoc {code}", "987654", "", sms.ErrTemplate},
		{"text that takes no room", "co\u200bde {code}", "987654", "", sms.ErrTemplate},
		{"a control character", "code\x00 {code}", "987654", "", sms.ErrTemplate},
		{"a line that is pushed out of sight", "code\n\n\n\n\n\n{code}", "987654", "", sms.ErrTemplate},
		{"no UTF-8", "\xff {code}", "987654", "", sms.ErrTemplate},
		{"the line of another origin", "{code}\n@evil.test #{code}", "987654", "example.com", sms.ErrTemplate},
		{"the line of an embedded frame", "{code}\n@example.com #{code} @evil.test", "987654", "example.com", sms.ErrTemplate},
		{"10 KB in Arabic with emoji", "{code} " + strings.Repeat("رمز🎉", 1300), "987654", "", sms.ErrLong},
		{"one character too many", "{code}" + strings.Repeat("x", sms.MaxText-5), "987654", "", sms.ErrLong},
		{"too long by its last line", "{code}" + strings.Repeat("x", sms.MaxText-6), "987654", "example.com", sms.ErrLong},
		{"a URL for an origin", "{code}", "987654", "https://example.com", sms.ErrOrigin},
		{"a path", "{code}", "987654", "example.com/login", sms.ErrOrigin},
		{"a port that is none", "{code}", "987654", "example.com:x", sms.ErrOrigin},
		{"a port of zero", "{code}", "987654", "example.com:0", sms.ErrOrigin},
		{"a port with a zero before it", "{code}", "987654", "example.com:0443", sms.ErrOrigin},
		{"a port beyond all", "{code}", "987654", "example.com:65536", sms.ErrOrigin},
		{"a port alone", "{code}", "987654", ":443", sms.ErrOrigin},
		{"an address", "{code}", "987654", "192.0.2.1", sms.ErrOrigin},
		{"an address of IPv6", "{code}", "987654", "[2001:db8::1]:443", sms.ErrOrigin},
		{"a blank", "{code}", "987654", "example .com", sms.ErrOrigin},
		{"an embedded frame", "{code}", "987654", "example.com @evil.test", sms.ErrOrigin},
		{"a name without a label", "{code}", "987654", "example..com", sms.ErrOrigin},
		{"a dot at the end", "{code}", "987654", "example.com.", sms.ErrOrigin},
		{"a name without end", "{code}", "987654", strings.Repeat("abcdefg.", 40) + "com", sms.ErrOrigin},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := sms.Compose(tt.template, tt.code, tt.origin)
			if !errors.Is(err, tt.want) || got != "" {
				t.Fatalf("Compose = %q, %v, want %v", got, err, tt.want)
			}
			if strings.Contains(err.Error(), "987") || strings.Contains(err.Error(), "edoc") {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
}

// What fits exactly goes through.
func TestComposeAtItsLimit(t *testing.T) {
	t.Parallel()
	for _, template := range []string{"{code}" + strings.Repeat("x", sms.MaxText-6), "{code}" + strings.Repeat("🎉", sms.MaxText/2-3)} {
		if text, err := sms.Compose(template, "123456", ""); err != nil || !strings.HasPrefix(text, "123456") {
			t.Errorf("Compose = %v", err)
		}
	}
}

// bound is Chromium's grammar of the line.
var bound = regexp.MustCompile(`(?:^|\s)@([a-z0-9.-]+(?::[0-9]+)?) #([^#\s]+)(?:\s|$)`)

// Whatever the template, a browser finds one code for one host in the last line.
func FuzzCompose(f *testing.F) {
	for _, template := range []string{"Your code: {code}", "", "{code}\n@evil.test #{code}", "@a #b\n{code}", "\u200b{code}", "{code} @evil.test #123456"} {
		f.Add(template, "example.com")
		f.Add(template, "")
	}
	f.Add("{code}", "a.b:1")
	f.Fuzz(func(t *testing.T, template, origin string) {
		text, err := sms.Compose(template, "483912", origin)
		if err != nil {
			if text != "" {
				t.Errorf("an error, and a text: %q", text)
			}
			return
		}
		if !strings.Contains(text, "483912") {
			t.Errorf("no code in %q", text)
		}
		if n, _ := sms.Segments(text); n < 1 || n > 24 {
			t.Errorf("%d segments", n)
		}
		if origin == "" {
			return
		}
		last := text[strings.LastIndexByte(text, '\n')+1:]
		found := bound.FindStringSubmatch(last)
		if found == nil || found[0] != last || found[2] != "483912" {
			t.Errorf("the last line is %q", last)
		}
	})
}
