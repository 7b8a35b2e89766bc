// SPDX-License-Identifier: Apache-2.0

package apns

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/sideshow/apns2"

	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/way"
)

// The addresses of Apple's service.
const (
	Production = "https://api.push.apple.com"
	Sandbox    = "https://api.sandbox.push.apple.com"
)

// Config is what a sender needs. It does not print its credentials.
type Config struct {
	// Key signs provider tokens of the team, and is known at Apple's by the key id; both ids have ten letters and digits.
	Key           *Key
	TeamID, KeyID string
	// Certificate stands instead of a key. It is the older way: it ends after a year, and serves one application.
	Certificate *Certificate
	// BaseURL is the service for applications in production. Default: [Production].
	BaseURL string
	// SandboxURL is the service for builds in development. Default: [Sandbox], or BaseURL where that is given.
	SandboxURL string
	// Alert is what the phone shows until the app shows more.
	Alert Alert
	// Proxy connects to the service (CONNECT); none by default.
	Proxy *url.URL
	// Roots may vouch for the service. Default: those of the system.
	Roots *x509.CertPool
	// Timeout bounds one request. Default: [provider.DefaultTimeout].
	Timeout time.Duration
	// Places is how many requests are under way at once in one environment. Default: [provider.DefaultPlaces].
	Places int
	// Now is the clock. Required.
	Now func() time.Time
}

// Alert names texts in the app's own strings, so that Apple sees none and the phone shows its language. All have defaults.
type Alert struct {
	// Title and Body are keys of Localizable.strings. Defaults: GATEHOUSE_TITLE and GATEHOUSE_BODY.
	Title, Body string
	// Sound is a sound of the app. Default: "default", the system's.
	Sound string
	// Category is the kind of notification that the app has registered. Default: APPROVAL.
	Category string
}

func (a Alert) orDefault() Alert {
	use := func(s *string, or string) {
		if *s == "" {
			*s = or
		}
	}
	use(&a.Title, "GATEHOUSE_TITLE")
	use(&a.Body, "GATEHOUSE_BODY")
	use(&a.Sound, "default")
	use(&a.Category, "APPROVAL")
	return a
}

// Sender sends pushes through Apple's service. It is safe for concurrent use.
type Sender struct {
	now                 func() time.Time
	alert               Alert
	until               time.Time // when the certificate ends; zero with a key
	production, sandbox *environment
}

// environment is one of the two services.
type environment struct {
	service *provider.Client
	library *apns2.Client
}

var _ push.Sender = (*Sender)(nil)

var (
	tenCharacters = regexp.MustCompile(`^[A-Za-z0-9]{10}$`)
	// deviceToken is hexadecimal of a length that Apple does not fix. It becomes a part of a path.
	deviceToken = regexp.MustCompile(`^[0-9a-fA-F]{16,200}$`)
	bundleID    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,154}$`)
)

// New returns a sender, or an error that says what in the configuration does not fit. It connects to nothing yet.
func New(c Config) (*Sender, error) {
	if c.Now == nil {
		return nil, errors.New("building a sender for Apple's push service: a clock is required")
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Sender{now: c.Now, alert: c.Alert.orDefault()}
	var tokens *bearer
	var certificates []tls.Certificate
	if c.Certificate != nil {
		s.until = c.Certificate.NotAfter()
		certificates = []tls.Certificate{c.Certificate.pair}
	} else {
		var err error
		if tokens, err = newBearer(&c); err != nil {
			return nil, err
		}
	}
	if c.SandboxURL == "" {
		c.SandboxURL = Sandbox
		if c.BaseURL != "" {
			c.SandboxURL = c.BaseURL
		}
	}
	if c.BaseURL == "" {
		c.BaseURL = Production
	}
	var err error
	if s.production, err = c.environment(c.BaseURL, tokens, certificates); err != nil {
		return nil, err
	}
	s.sandbox, err = c.environment(c.SandboxURL, tokens, certificates)
	return s, err
}

func (c *Config) check() error {
	switch {
	case (c.Key == nil) == (c.Certificate == nil):
		return fmt.Errorf("either a key with team and key id or a certificate is needed: %w", ErrCredential)
	case c.Key != nil && (!tenCharacters.MatchString(c.TeamID) || !tenCharacters.MatchString(c.KeyID)):
		return fmt.Errorf("the team id and the key id have ten letters and digits each: %w", ErrCredential)
	case c.Certificate != nil && c.TeamID+c.KeyID != "":
		return fmt.Errorf("a certificate has neither team nor key id: %w", ErrCredential)
	}
	return nil
}

func (c *Config) environment(address string, tokens *bearer, certificates []tls.Certificate) (*environment, error) {
	service, err := provider.New(provider.Config{
		URL: address, Proxy: c.Proxy, Roots: c.Roots, Certificates: certificates, Timeout: c.Timeout, Places: c.Places, Single: true,
	})
	if err != nil {
		return nil, fmt.Errorf("reaching Apple's push service: %w", err)
	}
	client := service.HTTP()
	client.Transport = &wire{service: service, bearer: tokens, now: c.Now}
	return &environment{service: service, library: &apns2.Client{Host: address, HTTPClient: client}}, nil
}

// String keeps credentials from being printed.
func (c Config) String() string {
	return "a configuration of Apple's push service for team " + c.TeamID
}

// GoString keeps %#v from printing credentials.
func (c Config) GoString() string { return c.String() }

// Close lets go of the connections.
func (s *Sender) Close() {
	s.production.service.Close()
	s.sandbox.service.Close()
}

// Check refuses, wrapping [push.ErrAddress], what is no device token.
func (s *Sender) Check(address string) error {
	if !deviceToken.MatchString(address) {
		return fmt.Errorf("a device token of Apple has 16 to 200 hexadecimal digits: %w", push.ErrAddress)
	}
	return nil
}

// Send asks Apple to show a notification. It is sent with the message's id and the operation as collapse id, so that a repetition
// replaces what is shown already.
func (s *Sender) Send(ctx context.Context, m push.Message) error {
	if err := s.checkMessage(m); err != nil {
		return err
	}
	payload, err := s.payload(m.Operation)
	if err != nil {
		return err
	}
	e := s.production
	if m.Sandbox {
		e = s.sandbox
	}
	_, err = e.library.PushWithContext(ctx, &apns2.Notification{
		ApnsID: m.ID, CollapseID: m.Operation, DeviceToken: strings.ToLower(m.Address), Topic: m.App, Expiration: m.Expires,
		Priority: apns2.PriorityHigh, PushType: apns2.PushTypeAlert, Payload: payload,
	})
	return failure(err, m.StoredAt)
}

func (s *Sender) checkMessage(m push.Message) error {
	now := s.now()
	switch err := m.Check(now); {
	case err != nil:
		return err
	case s.Check(m.Address) != nil:
		return &push.Failure{Class: push.Refused, Reason: "malformed_address"}
	case !bundleID.MatchString(m.App):
		return &push.Failure{Class: push.Refused, Reason: "malformed_app"}
	case !s.until.IsZero() && now.After(s.until):
		return &push.Failure{Class: push.Config, Reason: "certificate_expired"}
	}
	return nil
}

// payload is all that Apple and a lock screen get to see. The app fetches the rest before it is shown (mutable-content).
func (s *Sender) payload(operation string) ([]byte, error) {
	type alert struct {
		Title string `json:"title-loc-key"`
		Body  string `json:"loc-key"`
	}
	type aps struct {
		Alert    alert  `json:"alert"`
		Sound    string `json:"sound"`
		Category string `json:"category"`
		Mutable  int    `json:"mutable-content"`
		Level    string `json:"interruption-level"`
	}
	data, err := json.Marshal(struct {
		APS aps    `json:"aps"`
		Op  string `json:"op"`
	}{aps{alert{s.alert.Title, s.alert.Body}, s.alert.Sound, s.alert.Category, 1, "time-sensitive"}, operation})
	if err != nil {
		return nil, fmt.Errorf("writing a notification: %w", err)
	}
	return data, nil
}

// failure turns what came of a request into what happens next. Nothing of the library's error is kept: it holds the address.
func failure(err error, stored time.Time) error {
	var a *answer
	switch {
	case err == nil:
		return nil
	case errors.As(err, &a):
		return a.failure(stored)
	case errors.Is(err, errHeld):
		return &push.Failure{Class: push.Overloaded, Reason: tooManyUpdates, RetryAfter: updatePause, Err: errHeld}
	}
	return way.Failure(err)
}
