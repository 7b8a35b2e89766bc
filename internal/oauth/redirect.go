// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// CheckRedirectURI refuses a redirect URI that may not be registered: it must be absolute, without fragment or user
// information (RFC 6749 3.1.2); https, or http on a loopback host (RFC 9700 2.6), or a private-use scheme that holds a
// period (RFC 8252 7.1).
func CheckRedirectURI(registered string) error {
	u, err := url.Parse(registered)
	switch {
	case err != nil || !u.IsAbs() || u.Opaque != "" && u.Host == "":
		return errors.New("it must be an absolute URI")
	case strings.Contains(registered, "#"):
		return errors.New("it must not have a fragment")
	case u.User != nil:
		return errors.New("it must not have user information")
	case u.Port() != "" && !validPort(u.Port()) || strings.HasSuffix(u.Host, ":"):
		return errors.New("its port is not a number from 1 to 65535")
	case strings.ContainsAny(registered, " \\*\"<>\t\r\n") || !asciiOnly(registered):
		return errors.New("it holds characters that are not allowed")
	}
	switch {
	case u.Scheme == "https" && u.Hostname() != "":
		return nil
	case u.Scheme == "http" && IsLoopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return errors.New("http is allowed on a loopback host only")
	case u.Scheme != "https" && strings.Contains(u.Scheme, "."):
		return nil
	}
	return errors.New("a private-use scheme must be a reversed domain name, such as com.example.app")
}

// MatchRedirectURI reports whether a requested redirect URI is a registered one: equal byte for byte (RFC 9700 2.1), but
// for the port of an http URI on 127.0.0.1, [::1] or an explicitly registered localhost, which may be any (RFC 8252 7.3)
// when the registered one has none.
func MatchRedirectURI(registered, requested string) bool {
	if registered == requested {
		return true
	}
	want, err := url.Parse(registered)
	if err != nil || want.Scheme != "http" || want.Port() != "" || !IsLoopback(want.Hostname()) {
		return false
	}
	authority := want.Host
	rest, ok := strings.CutPrefix(requested, "http://"+authority+":")
	if !ok {
		return false
	}
	path := strings.TrimLeft(rest, "0123456789")
	return "http://"+authority+path == registered && validPort(rest[:len(rest)-len(path)])
}

// validPort reports whether digits are a port in its one decimal spelling.
func validPort(digits string) bool {
	port, err := strconv.ParseUint(digits, 10, 16)
	return err == nil && port > 0 && digits[0] != '0'
}

// IsLoopback reports whether host is localhost or a loopback address. It looks at the text alone and resolves nothing.
func IsLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// WithQuery returns a redirect URI with parameters added to whatever query was registered with it (RFC 6749 3.1.2).
func WithQuery(uri string, params url.Values) string {
	separator := "?"
	if strings.Contains(uri, "?") {
		separator = "&"
	}
	return uri + separator + params.Encode()
}

func asciiOnly(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}
