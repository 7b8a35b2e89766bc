// SPDX-License-Identifier: Apache-2.0

package httpx

import (
	"net/http"
	"slices"
)

// Fold returns the one form of every spelling of a header name that some upstream takes for the same: many do not tell "-", "_" and
// "." apart (RFC 3875, section 4.1.18).
func Fold(name string) string { return string(AppendFolded(nil, name)) }

// AppendFolded is [Fold] without an allocation: it appends the form to into.
func AppendFolded(into []byte, name string) []byte {
	for i := range len(name) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
		default:
			c = '-'
		}
		into = append(into, c)
	}
	return into
}

// overrides are the fields, in their folded form, by which some upstreams take a request for one of another method or target.
var overrides = []string{
	"x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url",
}

// Override returns the name of a field by which some upstreams take a request for one of another method or target; empty where there
// is none.
func Override(h http.Header) string {
	for name := range h {
		if slices.Contains(overrides, Fold(name)) {
			return name
		}
	}
	return ""
}
