// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// CheckIssuer refuses a URL that cannot be an issuer: it has https, or http on a loopback host for development, and no
// query, fragment, user information or trailing slash (RFC 8414 2). It is compared byte for byte everywhere else.
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return errors.New("it must be an absolute URL")
	case u.Scheme != "https" && (u.Scheme != "http" || !IsLoopback(u.Hostname())):
		return errors.New("it must have https (http is allowed on a loopback host only)")
	case strings.ContainsAny(issuer, "?#") || u.User != nil:
		return errors.New("it must have no query, fragment or user information")
	case strings.HasSuffix(issuer, "/"):
		return errors.New("it must not end in a slash")
	case !plainPath(u.EscapedPath()):
		return errors.New("its path must be plain")
	case u.Scheme+"://"+strings.ToLower(u.Host)+u.Path != issuer:
		return errors.New("its scheme and host must be in lower case")
	case !plainHost(u):
		return errors.New("its host must be a name or an address in its one spelling, with a port from 1 to 65535 if any")
	}
	return nil
}

// CheckOrigin reports whether text is an origin in its one spelling: https, or http on a loopback host; lower-case host, no
// default port, nothing after it.
func CheckOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme+"://"+u.Host != text || !plainHost(u) {
		return false
	}
	switch u.Scheme {
	case "https":
		return u.Port() != "443"
	case "http":
		return u.Port() != "80" && IsLoopback(u.Hostname())
	}
	return false
}

// plainPath admits the unreserved characters of RFC 3986 2.3 in segments: what stands in a cookie's path, in a URL and in
// a route without being escaped in any of them.
func plainPath(path string) bool {
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if segment == "" && path != "" || segment == "." || segment == ".." {
			return false
		}
	}
	return !strings.ContainsFunc(path, func(c rune) bool {
		return c != '/' && c != '-' && c != '.' && c != '_' && c != '~' && !isAlphanumeric(c)
	})
}

// plainHost reports whether the host of a URL has the one spelling that browsers give it: a lower-case ASCII name or an
// address, and a port without leading zeros. What browsers would rewrite would never compare equal.
func plainHost(u *url.URL) bool {
	host, port := u.Hostname(), u.Port()
	want := host
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.String() != host {
			return false
		}
		if ip.Is6() {
			want = "[" + host + "]"
		}
	} else if !plainName(host) {
		return false
	}
	if port != "" {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			return false
		}
		want += ":" + strconv.FormatUint(number, 10)
	}
	return u.Host == want
}

// plainName admits a lower-case host name. A last label that begins with a digit makes it an address to browsers.
func plainName(host string) bool {
	if strings.Contains("."+host+".", "..") || strings.ToLower(host) != host {
		return false
	}
	if last := host[strings.LastIndexByte(host, '.')+1:]; last[0] >= '0' && last[0] <= '9' {
		return false
	}
	return !strings.ContainsFunc(host, func(c rune) bool { return c != '-' && c != '.' && c != '_' && !isAlphanumeric(c) })
}

func isAlphanumeric(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
