// SPDX-License-Identifier: Apache-2.0

package signedpost

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// MaxURL bounds the address of a receiver, in bytes.
const MaxURL = 2048

// Credentials tell a receiver who is calling. They print as nothing.
type Credentials struct{ header string }

// Basic returns a name and a password for the Basic scheme (RFC 7617). It refuses a name with a colon and control characters.
func Basic(name, password string) (Credentials, error) {
	if name == "" || password == "" || strings.Contains(name, ":") || strings.ContainsFunc(name+password, control) {
		return Credentials{}, errors.New("a name or password is empty, or has a character that cannot be sent")
	}
	return Credentials{"Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))}, nil
}

// Bearer returns a token for the Bearer scheme (RFC 6750). It refuses what is none by section 2.1.
func Bearer(token string) (Credentials, error) {
	body := strings.TrimRight(token, "=")
	if body == "" || strings.ContainsFunc(body, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~+/", r))
	}) {
		return Credentials{}, errors.New("a token is empty, or has a character that cannot be sent")
	}
	return Credentials{"Bearer " + token}, nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// String keeps the credentials from being printed.
func (c Credentials) String() string { return "[credentials]" }

// GoString keeps %#v from printing them.
func (c Credentials) GoString() string { return c.String() }

// LogValue keeps structured logs from printing them.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText keeps JSON from holding them.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Receiver is an address that may be called.
type Receiver struct {
	// URL is https, or http on a loopback host that Allow covers.
	URL string
	// Credentials are sent with each call; the zero value sends none.
	Credentials Credentials
	// Allow names addresses beside the public ones that this receiver's name may stand for.
	Allow []netip.Prefix
}

// Check refuses an address that [New] would refuse. It looks nothing up.
func (r *Receiver) Check() error {
	_, err := r.check()
	return err
}

// check repeats nothing of what it refuses beyond the host: a path may hold a secret.
func (r *Receiver) check() (host string, err error) {
	u, err := url.Parse(r.URL)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "" || len(r.URL) > MaxURL || strings.ContainsFunc(r.URL, unprintable):
		return "", errors.New("the address of a receiver is not an absolute URL")
	case u.User != nil || u.Fragment != "" || strings.Contains(r.URL, "#"):
		return "", fmt.Errorf("the address of the receiver at %q has user information or a fragment", u.Host)
	case u.Scheme != "https" && u.Scheme != "http":
		return "", fmt.Errorf("the address of the receiver at %q is not https", u.Host)
	case u.Scheme == "http" && !(oauth.IsLoopback(u.Hostname()) && r.allowsLoopback()):
		return "", fmt.Errorf("the address of the receiver at %q is not https: http is for a loopback address that is allowed (127.0.0.0/8) alone", u.Host)
	}
	for _, prefix := range r.Allow {
		if !prefix.IsValid() {
			return "", fmt.Errorf("what is allowed for the receiver at %q is not a range of addresses", u.Host)
		}
	}
	return u.Host, nil
}

func (r *Receiver) allowsLoopback() bool {
	for _, prefix := range r.Allow {
		if prefix.Addr().IsLoopback() {
			return true
		}
	}
	return false
}

func unprintable(r rune) bool { return r <= ' ' || r > '~' }
