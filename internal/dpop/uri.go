// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"net/url"
	"strings"
)

// sameURI reports whether two addresses are the same but for query and fragment, after syntax-based and scheme-based normalization
// (RFC 9449 section 4.3-9, RFC 3986 sections 6.2.2 and 6.2.3). Dot segments are not removed: no client sends a request with them, and
// what an upstream makes of them is not for us to say.
func sameURI(a, b string) bool {
	a, b = bare(a), bare(b)
	if a == b {
		return a != ""
	}
	left, ok := normal(a)
	if !ok {
		return false
	}
	right, ok := normal(b)
	return ok && left == right
}

// bare returns an address without query and fragment.
func bare(uri string) string {
	if i := strings.IndexAny(uri, "?#"); i >= 0 {
		return uri[:i]
	}
	return uri
}

var defaultPorts = map[string]string{"http": "80", "https": "443"}

// normal returns the normal form of an address with scheme and host; false where it has none.
func normal(uri string) (string, bool) {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.Opaque != "" || u.User != nil {
		return "", false
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if port := u.Port(); port == "" || port == defaultPorts[scheme] {
		host = strings.TrimSuffix(strings.TrimSuffix(host, port), ":")
	}
	path := normalPath(u.EscapedPath())
	if path == "" {
		path = "/"
	}
	return scheme + "://" + host + path, true
}

// normalPath has escapes in upper case, and none for what needs none (RFC 3986 sections 6.2.2.1 and 6.2.2.2).
func normalPath(path string) string {
	if strings.IndexByte(path, '%') < 0 {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		escape := strings.ToUpper(path[i : i+3])
		if plain, err := url.PathUnescape(escape); err == nil && unreserved(plain[0]) {
			b.WriteByte(plain[0])
		} else {
			b.WriteString(escape)
		}
		i += 2
	}
	return b.String()
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
