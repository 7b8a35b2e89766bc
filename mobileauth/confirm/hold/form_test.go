// SPDX-License-Identifier: Apache-2.0

package hold_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
)

// TestFieldsOf: what a browser writes is read as it was; what no browser writes in that way is not sent again by one.
func TestFieldsOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, body string
		want       []hold.Field
	}{
		{"nothing", "", nil},
		{"in their order, repeated and empty", "b=2&a=1&b=&b=2", []hold.Field{{"b", "2"}, {"a", "1"}, {"b", ""}, {"b", "2"}}},
		{"umlauts, blanks and signs", "n%C3%A4me=Gr%C3%BC%C3%9Fe+%26+%2B%3D%7E*-._%21%27%28%29", []hold.Field{{"näme", "Grüße & +=~*-._!'()"}}},
		{"lines", "text=a%0D%0Ab%0D%0A", []hold.Field{{"text", "a\r\nb\r\n"}}},
		{"beyond", "x=%F0%9F%92%B6%E2%80%AE%EF%BB%BF%01", []hold.Field{{"x", "💶\u202e\ufeff\x01"}}},
		{"names of a form's own members", "submit=1&action=2&method=3&_charset_=UTF-8", []hold.Field{
			{"submit", "1"}, {"action", "2"}, {"method", "3"}, {"_charset_", "UTF-8"},
		}},
	} {
		got, why := hold.FieldsOf(test.body)
		if diff := cmp.Diff(test.want, got); diff != "" || why != "" {
			t.Errorf("%s: %s %s", test.name, why, diff)
		}
	}
	for name, body := range map[string]string{
		"hex in lower case": "a=%c3%bc", "what need not be encoded": "a=%61", "what has to be": "a=~", "a blank in another way": "a=%20",
		"no sign": "a", "no name": "=1", "an empty pair": "a=1&", "two signs": "a=1=2", "not well formed": "a=%zz", "half": "a=%C", "Latin-1": "a=%FC",
		"NUL": "a=%00", "a line end of UNIX": "a=1%0A2", "a return": "a=1%0D2", "a line end in a name": "a%0A=1", "another charset": "_charset_=ISO-8859-1",
		"another charset in capitals": "_CHARSET_=x", "raw": "a=ü", "semicolons": "a=1;b=2", "too many": strings.Repeat("a=1&", 1000) + "a=1",
	} {
		if fields, why := hold.FieldsOf(body); why == "" || fields != nil {
			t.Errorf("%s: %v", name, fields)
		}
	}
	if fields, why := hold.FieldsOf(strings.Repeat("a=1&", 999) + "a=1"); why != "" || len(fields) != 1000 {
		t.Errorf("%d fields: %s", len(fields), why)
	}
}

// FuzzFieldsOf: what is taken is what a browser makes of it (URL Standard, section 5.2; HTML, section 4.10.22.5).
func FuzzFieldsOf(f *testing.F) {
	f.Add("a=1&b=%C3%BC")
	f.Add("a=%0D%0A&a=")
	f.Add("a=%0D%0D%0A")
	written := strings.NewReplacer("~", "%7E", "%2A", "*")
	lines := strings.NewReplacer("\r\n", "\r\n", "\n", "\r\n", "\r", "\r\n")
	f.Fuzz(func(t *testing.T, body string) {
		fields, why := hold.FieldsOf(body)
		if why != "" {
			return
		}
		var pairs []string
		for _, field := range fields {
			pairs = append(pairs, written.Replace(url.QueryEscape(lines.Replace(field.Name)))+"="+written.Replace(url.QueryEscape(lines.Replace(field.Value))))
		}
		if got := strings.Join(pairs, "&"); got != body {
			t.Errorf("%q is sent again as %q", body, got)
		}
	})
}
