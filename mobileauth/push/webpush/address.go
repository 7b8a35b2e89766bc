// SPDX-License-Identifier: Apache-2.0

package webpush

import (
	"bytes"
	"crypto/ecdh"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/egress"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
)

// Limits of an address, in bytes.
const (
	MaxAddress  = 4 << 10
	maxEndpoint = 2 << 10
)

// subscription is an address that was read.
type subscription struct {
	endpoint string
	url      *url.URL
	public   *ecdh.PublicKey
	auth     []byte
	key      *Key
}

// wire is its JSON, as PushSubscription.toJSON of browsers makes it, with the name of the VAPID key.
type wire struct {
	Endpoint       string          `json:"endpoint"`
	ExpirationTime json.RawMessage `json:"expirationTime"`
	Keys           struct {
		P256dh string `json:"p256dh"`
		Auth   string `json:"auth"`
	} `json:"keys"`
	Key string `json:"key"`
}

// read returns the subscription of an address, or an error that wraps [push.ErrAddress] and repeats nothing of it.
func (s *Sender) read(address string) (*subscription, error) {
	if len(address) > MaxAddress {
		return nil, fmt.Errorf("reading a subscription: it is too long: %w", push.ErrAddress)
	}
	var w wire
	d := json.NewDecoder(bytes.NewReader([]byte(address)))
	d.DisallowUnknownFields()
	if err := d.Decode(&w); err != nil || d.More() {
		return nil, fmt.Errorf("reading a subscription: it is not the JSON of one: %w", push.ErrAddress)
	}
	u, err := s.endpoint(w.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("reading a subscription: %w: %w", err, push.ErrAddress)
	}
	rawPoint, errPoint := b64.DecodeString(strings.TrimRight(w.Keys.P256dh, "="))
	auth, errAuth := b64.DecodeString(strings.TrimRight(w.Keys.Auth, "="))
	public, err := point(rawPoint)
	if errPoint != nil || errAuth != nil || err != nil || len(auth) != authSize {
		return nil, fmt.Errorf("reading a subscription: its keys are not a point on P-256 and 16 bytes in base64url: %w", push.ErrAddress)
	}
	key, ok := s.keys[w.Key]
	if !ok {
		return nil, fmt.Errorf("reading a subscription: %w: %w", errUnknownKey, push.ErrAddress)
	}
	return &subscription{endpoint: w.Endpoint, url: u, public: public, auth: auth, key: key}, nil
}

var errUnknownKey = errors.New("it is bound to a VAPID key that is not here")

// endpoint judges an address that a device has named (RFC 8030, section 8.1, has https). Names are judged when they are connected to.
func (s *Sender) endpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "" || len(text) > maxEndpoint || strings.ContainsFunc(text, unprintable):
		return nil, errors.New("its endpoint is not an absolute URL")
	case u.Scheme != "https":
		return nil, errors.New("its endpoint is not https")
	case u.User != nil || strings.Contains(text, "#"):
		return nil, errors.New("its endpoint has user information or a fragment")
	case !s.wanted(u.Hostname()):
		return nil, errors.New("its endpoint is at a host that is not on the list")
	}
	if literal, err := netip.ParseAddr(u.Hostname()); err == nil && s.guard.Check(literal) != nil {
		return nil, egress.ErrAddress
	}
	return u, nil
}

func unprintable(r rune) bool { return r <= ' ' || r > '~' }

// wanted reports whether a host is on the list, if there is one. "*.example.com" stands for every name below example.com.
func (s *Sender) wanted(host string) bool {
	if len(s.hosts) == 0 {
		return true
	}
	host = strings.ToLower(host)
	for _, pattern := range s.hosts {
		if suffix, wild := strings.CutPrefix(pattern, "*"); host == pattern || wild && strings.HasSuffix(host, suffix) && len(host) > len(suffix) {
			return true
		}
	}
	return false
}

// Check refuses, wrapping [push.ErrAddress], an address that is not the JSON of a subscription at an https endpoint, of a host that
// is wanted, with keys that are some, bound to a VAPID key that is here. It looks nothing up.
func (s *Sender) Check(address string) error {
	_, err := s.read(address)
	return err
}
