// SPDX-License-Identifier: Apache-2.0

package fcm

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/way"
)

// Service is the address of Firebase Cloud Messaging.
const Service = "https://fcm.googleapis.com"

// maxTTL is how long Google keeps a message at most.
const maxTTL = 28 * 24 * time.Hour

// Config is what a sender needs. It does not print its credential.
type Config struct {
	// Account sends for its project. Required.
	Account *ServiceAccount
	// BaseURL is the service. Default: [Service].
	BaseURL string
	// Proxy connects to the service and to where tokens come from (CONNECT); none by default.
	Proxy *url.URL
	// Roots may vouch for both. Default: those of the system.
	Roots *x509.CertPool
	// Timeout bounds one request. Default: [provider.DefaultTimeout].
	Timeout time.Duration
	// Places is how many requests are under way at once. Default: [provider.DefaultPlaces].
	Places int
	// Now is the clock. Required.
	Now func() time.Time
}

// String keeps the credential from being printed.
func (c Config) String() string { return "a configuration of Firebase Cloud Messaging" }

// GoString keeps %#v from printing the credential.
func (c Config) GoString() string { return c.String() }

// Sender sends pushes through Firebase. It is safe for concurrent use.
type Sender struct {
	now             func() time.Time
	url             string
	service, tokens *provider.Client
	access          *access
}

var _ push.Sender = (*Sender)(nil)

var (
	registration = regexp.MustCompile(`^[A-Za-z0-9_:.-]+$`)
	packageName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)+$`)
)

// Lengths in bytes.
const (
	minRegistration = 16
	maxRegistration = 4096
	maxPackage      = 255
)

// New returns a sender, or an error that says what in the configuration does not fit. It connects to nothing yet.
func New(c Config) (*Sender, error) {
	if c.Now == nil {
		return nil, errors.New("building a sender for Firebase Cloud Messaging: a clock is required")
	}
	if c.Account == nil {
		return nil, fmt.Errorf("a service account is needed: %w", ErrCredential)
	}
	if c.BaseURL == "" {
		c.BaseURL = Service
	}
	reach := provider.Config{URL: c.BaseURL, Proxy: c.Proxy, Roots: c.Roots, Timeout: c.Timeout, Places: c.Places, Single: true}
	service, err := provider.New(reach)
	if err != nil {
		return nil, fmt.Errorf("reaching Firebase Cloud Messaging: %w", err)
	}
	reach.URL, reach.Single, reach.Places = c.Account.tokenURL, false, 1
	tokens, err := provider.New(reach)
	if err != nil {
		return nil, fmt.Errorf("reaching where access tokens come from: %w", err)
	}
	return &Sender{
		now: c.Now, service: service, tokens: tokens, access: newAccess(c.Account, tokens, c.Now),
		url: c.BaseURL + "/v1/projects/" + url.PathEscape(c.Account.project) + "/messages:send",
	}, nil
}

// Close lets go of the connections.
func (s *Sender) Close() {
	s.service.Close()
	s.tokens.Close()
}

// Check refuses, wrapping [push.ErrAddress], what is no registration token.
func (s *Sender) Check(address string) error {
	if len(address) < minRegistration || len(address) > maxRegistration || !registration.MatchString(address) {
		return fmt.Errorf("a registration token of Firebase has 16 to 4096 letters, digits and :_.- signs: %w", push.ErrAddress)
	}
	return nil
}

// Send asks Firebase to deliver a message to an app, at once and no later than the operation expires. A token that is refused is
// replaced once.
func (s *Sender) Send(ctx context.Context, m push.Message) error {
	body, err := s.body(m)
	if err != nil {
		return err
	}
	token, err := s.access.get(ctx, "")
	if err != nil {
		return failure(err)
	}
	stale, err := s.post(ctx, body, token)
	if !stale {
		return failure(err)
	}
	if token, err = s.access.get(ctx, token); err != nil {
		return failure(err)
	}
	_, err = s.post(ctx, body, token)
	return failure(err)
}

// body is the message as Google wants it. A message without "notification" is given to the app, which shows it.
func (s *Sender) body(m push.Message) ([]byte, error) {
	now := s.now()
	switch err := m.Check(now); {
	case err != nil:
		return nil, err
	case s.Check(m.Address) != nil:
		return nil, &push.Failure{Class: push.Refused, Reason: "malformed_address"}
	case len(m.App) > maxPackage || !packageName.MatchString(m.App):
		return nil, &push.Failure{Class: push.Refused, Reason: "malformed_app"}
	}
	type android struct {
		Priority string `json:"priority"`
		TTL      string `json:"ttl"`
		Package  string `json:"restricted_package_name"`
	}
	type message struct {
		Token   string            `json:"token"`
		Data    map[string]string `json:"data"`
		Android android           `json:"android"`
	}
	left := int(min(m.Expires.Sub(now), maxTTL) / time.Second)
	data, err := json.Marshal(struct {
		Message message `json:"message"`
	}{message{m.Address, map[string]string{"op": m.Operation}, android{"HIGH", strconv.Itoa(left) + "s", m.App}}})
	if err != nil {
		return nil, fmt.Errorf("writing a message: %w", err)
	}
	return data, nil
}

// post sends a message, and tells whether the access token was what was wrong.
func (s *Sender) post(ctx context.Context, body []byte, token string) (stale bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := s.service.RoundTrip(r)
	if err != nil {
		return false, err
	}
	said, err := io.ReadAll(response.Body)
	if err != nil {
		return false, err
	}
	if response.StatusCode == http.StatusOK {
		return false, accepted(said)
	}
	a := parseAnswer(response.StatusCode, said)
	return a.staleToken(), a.failure(provider.RetryAfter(response.Header, s.now()))
}

// accepted wants the name of the message: a page that says 200 has delivered nothing.
func accepted(said []byte) error {
	var message struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(said, &message) != nil || !strings.HasPrefix(message.Name, "projects/") {
		return &push.Failure{Class: push.Transient, Reason: reasonUnexpected, Status: http.StatusOK}
	}
	return nil
}

// failure turns what went wrong on the way into what happens next.
func failure(err error) error {
	var f *push.Failure
	if err == nil || errors.As(err, &f) {
		return err
	}
	return way.Failure(err)
}
