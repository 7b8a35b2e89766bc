// SPDX-License-Identifier: Apache-2.0

package httpx

import (
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
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

// Override returns the name of a header field or a parameter of the query by which some upstreams take a request for one of another
// method or target; empty where there is none. What they find in a body is for whoever reads that.
func Override(r *http.Request) string {
	for name := range r.Header {
		if slices.Contains(overrides, Fold(name)) {
			return name
		}
	}
	if r.Method != http.MethodPost {
		return ""
	}
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if Fold(strings.TrimSpace(name)) == "-method" {
			return "_method"
		}
	}
	return ""
}

// Items returns what the lists of a field hold, in their order (RFC 9110, section 5.6.1).
func Items(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for item := range strings.SplitSeq(line, ",") {
				if !yield(strings.TrimSpace(item)) {
					return
				}
			}
		}
	}
}

// hopByHop are the options of Connection that take no field away which says what a request asks for (RFC 9110, section 7.6.1).
var hopByHop = []string{"", "close", "keep-alive", "te", "proxy-connection"}

// Drops reports whether a proxy behind us would take a field off a request because its Connection says so, or change the protocol.
func Drops(h http.Header) bool {
	for option := range Items(h["Connection"]) {
		if !slices.Contains(hopByHop, strings.ToLower(option)) {
			return true
		}
	}
	return false
}

// Twin returns a field that some upstream takes for one of those named, and that one; false where each has one spelling.
func Twin(h http.Header, names []string) (twin, name string, found bool) {
	folded := make([]string, len(names))
	for i, name := range names {
		folded[i] = Fold(name)
	}
	for other := range h {
		if i := slices.Index(folded, Fold(other)); i >= 0 && other != http.CanonicalHeaderKey(names[i]) {
			return other, names[i], true
		}
	}
	return "", "", false
}
