// SPDX-License-Identifier: Apache-2.0

package hold

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// formType is the one type of a form that a browser sends the same each time: the parts of another stand between words that it draws
// anew.
const formType = "application/x-www-form-urlencoded"

// maxFields is how many fields a form may have that is written into a page.
const maxFields = 1000

// Field is a field of a form.
type Field struct{ Name, Value string }

// fieldsOf returns what stood in a form, in its order, and why it could not be sent again, where it could not: what a browser makes of
// the fields has to be the very bytes that have come (URL Standard, section 5; HTML, section 4.10.22).
func fieldsOf(h http.Header, body []byte) (fields []Field, why string) {
	if !slices.Equal(h["Content-Type"], []string{formType}) || len(h["Content-Encoding"]) > 0 {
		return nil, "only a form of the type " + formType + " is sent again in the same way, and none with files"
	}
	if len(body) == 0 {
		return nil, ""
	}
	pairs := strings.SplitN(string(body), "&", maxFields+1)
	if len(pairs) > maxFields {
		return nil, "the form has too many fields"
	}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		f := Field{decode(name), decode(value)}
		if !ok || !f.keeps() || encode(f.Name)+"="+encode(f.Value) != pair {
			return nil, "the form was not written as a browser writes it"
		}
		fields = append(fields, f)
	}
	return fields, ""
}

// decode returns what was encoded; what is not well formed is not encoded in the same way again.
func decode(text string) string {
	decoded, err := url.QueryUnescape(text)
	if err != nil {
		return ""
	}
	return decoded
}

// keeps reports whether a hidden field of a page keeps its name and value until they are sent: they are text, line ends are those of
// forms, and the browser puts nothing of its own in their place.
func (f *Field) keeps() bool {
	if f.Name == "" || strings.EqualFold(f.Name, "_charset_") && f.Value != "UTF-8" {
		return false
	}
	for _, text := range []string{f.Name, f.Value} {
		bare := strings.ReplaceAll(text, "\r\n", "")
		if !utf8.ValidString(text) || strings.ContainsAny(bare, "\x00\r\n") {
			return false
		}
	}
	return true
}

// encode writes text as a browser writes it in a form (URL Standard, section 5.2). url.QueryEscape keeps another set of characters.
func encode(text string) string {
	const upper = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case c == ' ':
			b.WriteByte('+')
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '*', c == '-', c == '.', c == '_':
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', upper[c>>4], upper[c&15]})
		}
	}
	return b.String()
}
