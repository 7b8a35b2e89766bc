// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/egress"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/internal/signedpost"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
)

// Typ is the type of a notification's signature.
const Typ = "gatehouse-push+jws"

// Header fields of a notification.
const (
	DeliveryField  = "Gatehouse-Delivery"
	SignatureField = "Gatehouse-Signature"
)

// MaxAddress bounds an address, in bytes.
const MaxAddress = 4 << 10

// Config is what a sender needs.
type Config struct {
	// Receiver is the service. Required.
	Receiver signedpost.Receiver
	// Key returns the key that signs now; its public half is published by the issuer. Required.
	Key func() (jose.PrivateKey, error)
	// Now is the clock. Required.
	Now func() time.Time
	// Roots may vouch for the service. Default: those of the system.
	Roots *x509.CertPool
	// Resolver looks names up. Default: the system's.
	Resolver *net.Resolver
	// Timeout bounds one request. Default: [signedpost.DefaultTimeout].
	Timeout time.Duration
	// Places is how many requests are under way at once. Default: [provider.DefaultPlaces].
	Places int
}

// Sender hands notifications to one service. It is safe for concurrent use. It does not print its credentials.
type Sender struct {
	client *signedpost.Client
	places chan struct{}
	now    func() time.Time
}

var _ push.Sender = (*Sender)(nil)

// New returns a sender, or an error that says what in the configuration does not fit. It connects to nothing yet.
func New(c Config) (*Sender, error) {
	if c.Places < 0 || c.Places > provider.MaxPlaces {
		return nil, fmt.Errorf("configuring push by a service of yours: the number of places is not from 1 to %d", provider.MaxPlaces)
	}
	if c.Places == 0 {
		c.Places = provider.DefaultPlaces
	}
	client, err := signedpost.New(signedpost.Config{
		Receiver: c.Receiver, Key: c.Key, Typ: Typ, Field: SignatureField, Now: c.Now, Roots: c.Roots, Resolver: c.Resolver, Timeout: c.Timeout,
	})
	if err != nil {
		return nil, fmt.Errorf("configuring push by a service of yours: %w", err)
	}
	return &Sender{client: client, places: make(chan struct{}, c.Places), now: c.Now}, nil
}

// body is what is sent.
type body struct {
	ID        string `json:"id"`
	Operation string `json:"operation"`
	Device    string `json:"device,omitempty"`
	App       string `json:"app,omitempty"`
	Address   string `json:"address"`
	Expires   string `json:"expires"`
}

// Send hands one notification to the service. It repeats nothing.
func (s *Sender) Send(ctx context.Context, m push.Message) error {
	if err := m.Check(s.now()); err != nil {
		return err
	}
	if err := s.Check(m.Address); err != nil {
		return &push.Failure{Class: push.Refused, Reason: "malformed_address", Err: err}
	}
	content, err := json.Marshal(body{m.ID, m.Operation, m.Device, m.App, m.Address, m.Expires.UTC().Format(time.RFC3339)})
	if err != nil {
		return &push.Failure{Class: push.Refused, Reason: "malformed_message"}
	}
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	case <-ctx.Done():
		return judge(provider.Plain(ctx.Err()))
	}
	return judge(s.client.Post(ctx, http.Header{DeliveryField: {m.ID}}, content))
}

// Check refuses, wrapping [push.ErrAddress], an address that is empty, too long or no text.
func (s *Sender) Check(address string) error {
	if address == "" || len(address) > MaxAddress || !utf8.ValidString(address) || strings.ContainsFunc(address, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("reading an address for a service of yours: it is empty, too long or has control characters: %w", push.ErrAddress)
	}
	return nil
}

// judge says what follows from what came of a call.
func judge(err error) error {
	if err == nil {
		return nil
	}
	var answer *signedpost.Answer
	if errors.As(err, &answer) {
		return answered(answer)
	}
	f := &push.Failure{Class: push.Transient, Reason: "network", Err: err}
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, signedpost.ErrSigning):
		f.Reason = "signing"
	case errors.Is(err, egress.ErrAddress):
		f.Class, f.Reason = push.Config, "address_not_public"
	case errors.As(err, &certificate):
		f.Class, f.Reason = push.Config, "certificate"
	case errors.Is(err, provider.ErrTimeout):
		f.Reason = "timeout"
	case errors.Is(err, provider.ErrCancelled):
		f.Reason = "cancelled"
	}
	return f
}

func answered(a *signedpost.Answer) *push.Failure {
	f := &push.Failure{Class: push.Refused, Reason: "status_" + strconv.Itoa(a.Status), Status: a.Status, RetryAfter: a.RetryAfter}
	var said struct {
		Reason string `json:"reason"`
	}
	if json.Unmarshal(a.Body, &said) == nil && push.Word(said.Reason) != "" {
		f.Reason = push.Word(said.Reason)
	}
	switch {
	case a.Status == http.StatusGone:
		f.Class = push.Dead
	case a.Status == http.StatusTooManyRequests:
		f.Class = push.Throttled
	case a.Status == http.StatusServiceUnavailable:
		f.Class = push.Overloaded
	case a.Status == http.StatusRequestTimeout || a.Status >= 500:
		f.Class = push.Transient
	case a.Status < 400, a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden, a.Status == http.StatusNotFound,
		a.Status == http.StatusMethodNotAllowed:
		f.Class = push.Config // it is not the service, or does not know us
	}
	return f
}

// Close lets go of connections that wait for the next notification.
func (s *Sender) Close() { s.client.Close() }

// String names the service by its host.
func (s *Sender) String() string { return "push by the service at " + s.client.Host() }

// GoString keeps %#v from printing credentials.
func (s *Sender) GoString() string { return s.String() }

// LogValue keeps structured logs from printing credentials.
func (s *Sender) LogValue() slog.Value { return slog.StringValue(s.String()) }
