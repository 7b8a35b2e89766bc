// SPDX-License-Identifier: Apache-2.0

package webpush

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/egress"
	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
)

// Limits.
const (
	// padTo is what payloads are padded to a multiple of, in bytes: lengths tell nothing.
	padTo = 256
	// maxAnswer and maxHeader bound what is read of an answer, in bytes.
	maxAnswer = 4 << 10
	maxHeader = 16 << 10
	idleFor   = 90 * time.Second
)

// Config is what a sender needs.
type Config struct {
	// Keys are the VAPID keys. The first is current: it is that of subscriptions which name none. The others are kept for
	// subscriptions that were made with them. Required.
	Keys []*Key
	// Subject is how the services reach the operator: a mailto: or https: address. Required.
	Subject string
	// Hosts are the hosts at which endpoints may be, "*.example.com" for all below one. Default: any.
	Hosts []string
	// Allow names addresses beside the public ones that endpoints may stand for.
	Allow []netip.Prefix
	// Declarative has browsers that know it show the notification by themselves; nil leaves it to the page's worker.
	Declarative *Declarative

	// Proxy connects to the services (CONNECT). It looks names up itself, so it needs Hosts. None by default.
	Proxy *url.URL
	// Roots may vouch for the services. Default: those of the system.
	Roots *x509.CertPool
	// Resolver looks names up. Default: the system's.
	Resolver *net.Resolver
	// Timeout bounds one request. Default: [provider.DefaultTimeout].
	Timeout time.Duration
	// Places is how many requests are under way at once. Default: [provider.DefaultPlaces]. A quarter of them is for one domain, since
	// a device has named it; where Hosts says which there are, a half.
	Places int
	// Now is the clock. Required.
	Now func() time.Time
}

// Declarative is what a browser shows by itself (Declarative Web Push). It is the same for every operation.
type Declarative struct {
	// Title is shown, and Body below it if it is not empty.
	Title, Body string
	// Navigate is the https address that is opened; the id of the operation becomes its parameter "operation".
	Navigate string
}

// Sender sends to subscriptions. It is safe for concurrent use. It does not print its keys.
type Sender struct {
	keys        map[string]*Key
	hosts       []string
	guard       *egress.Guard
	declarative *Declarative
	tokens      *tokens
	transport   *http.Transport
	places      chan struct{}
	shares      *shares
	timeout     time.Duration
	now         func() time.Time
}

var _ push.Sender = (*Sender)(nil)

// New returns a sender, or an error that says what in the configuration does not fit. It connects to nothing yet.
func New(c Config) (*Sender, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("configuring web push: %w", err)
	}
	s := &Sender{
		keys: map[string]*Key{"": c.Keys[0]}, guard: &egress.Guard{Allow: c.Allow}, declarative: c.Declarative, now: c.Now, timeout: c.Timeout,
		tokens: &tokens{subject: c.Subject, now: c.Now, kept: map[tokenFor]token{}},
		places: make(chan struct{}, max(c.Places, 0)),
	}
	if c.Places == 0 {
		s.places = make(chan struct{}, provider.DefaultPlaces)
	}
	s.shares = newShares(cap(s.places), len(c.Hosts) > 0)
	if c.Timeout == 0 {
		s.timeout = provider.DefaultTimeout
	}
	for _, host := range c.Hosts {
		s.hosts = append(s.hosts, strings.ToLower(host))
	}
	for _, key := range c.Keys {
		s.keys[key.id], s.keys[key.public] = key, key
	}
	s.transport = s.newTransport(&c)
	return s, nil
}

func (c *Config) check() error {
	if c.Now == nil || len(c.Keys) == 0 {
		return errors.New("a clock and a VAPID key are required")
	}
	for i, key := range c.Keys {
		if key == nil {
			return fmt.Errorf("the VAPID key %d is none", i+1)
		}
	}
	if err := checkSubject(c.Subject); err != nil {
		return err
	}
	for _, host := range c.Hosts {
		if name := strings.TrimPrefix(host, "*."); name == "" || strings.ContainsAny(name, "*:/ ") {
			return fmt.Errorf("the host %q is neither a name nor *. and a name", host)
		}
	}
	for _, prefix := range c.Allow {
		if !prefix.IsValid() {
			return errors.New("what is allowed is not a range of addresses")
		}
	}
	if c.Timeout < 0 || c.Places < 0 || c.Places > provider.MaxPlaces {
		return fmt.Errorf("the time-out or the number of places (at most %d) is out of range", provider.MaxPlaces)
	}
	if c.Proxy != nil && (len(c.Hosts) == 0 || c.Proxy.Scheme != "http" && c.Proxy.Scheme != "https" || c.Proxy.Hostname() == "") {
		return errors.New("a proxy is an http or https URL, and needs a list of hosts: it would connect to anything that a device names")
	}
	if d := c.Declarative; d != nil {
		u, err := url.Parse(d.Navigate)
		if err != nil || d.Title == "" || u.Scheme != "https" || u.Hostname() == "" || u.Fragment != "" || len(d.Title)+len(d.Body)+len(d.Navigate) > 2048 {
			return errors.New("a declarative notification needs a title and an https address to open")
		}
	}
	return nil
}

func (s *Sender) newTransport(c *Config) *http.Transport {
	dialer := &net.Dialer{Resolver: c.Resolver}
	t := &http.Transport{
		TLSClientConfig:        &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConnsPerHost:    4,
		MaxIdleConns:           cap(s.places),
		IdleConnTimeout:        idleFor,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			return &provider.ProxyError{Status: answer.StatusCode}
		},
	}
	if c.Proxy != nil {
		t.Proxy = http.ProxyURL(c.Proxy) // it is the operator's, and need not be public
	} else {
		dialer.Control = s.guard.Control
	}
	t.DialContext = dialer.DialContext
	return t
}

// Send encrypts the id of an operation for a subscription and hands it to its service. It repeats nothing.
func (s *Sender) Send(ctx context.Context, m push.Message) error {
	now := s.now()
	if err := m.Check(now); err != nil {
		return err
	}
	to, err := s.read(m.Address)
	if err != nil {
		f := &push.Failure{Class: push.Refused, Reason: "malformed_address", Err: err}
		if errors.Is(err, errUnknownKey) {
			f.Reason = "unknown_key"
		}
		return f
	}
	r, err := s.request(m, to, now)
	if err != nil {
		return &push.Failure{Class: push.Transient, Reason: "encryption", Err: err}
	}
	return s.hand(ctx, r)
}

func (s *Sender) request(m push.Message, to *subscription, now time.Time) (*http.Request, error) {
	payload, err := s.payload(m.Operation)
	if err != nil {
		return nil, err
	}
	drawn, err := draw()
	if err != nil {
		return nil, err
	}
	size := min((len(payload)+padTo-1)/padTo*padTo, MaxPayload)
	body, err := drawn.seal(to.public, to.auth, payload, size)
	if err != nil {
		return nil, err
	}
	authorization, err := s.tokens.field(to.url, to.key)
	if err != nil {
		return nil, err
	}
	r := &http.Request{
		Method: http.MethodPost, URL: to.url, Host: to.url.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	}
	topic := sha256.Sum256([]byte(m.Operation))
	r.Header = http.Header{
		"Authorization": {authorization}, "Content-Encoding": {"aes128gcm"}, "Content-Type": {"application/octet-stream"},
		"Ttl": {strconv.FormatInt(int64(m.Expires.Sub(now)/time.Second), 10)}, "Urgency": {"high"},
		"Topic": {b64.EncodeToString(topic[:24])}, "User-Agent": {"Gatehouse"},
	}
	return r, nil
}

// payload is what the device learns: the id, and for browsers that show it themselves what is the same for all.
func (s *Sender) payload(operation string) ([]byte, error) {
	type notification struct {
		Title    string `json:"title"`
		Body     string `json:"body,omitempty"`
		Navigate string `json:"navigate"`
	}
	content := struct {
		Magic        int           `json:"web_push,omitempty"`
		Notification *notification `json:"notification,omitempty"`
		Op           string        `json:"op"`
	}{Op: operation}
	if d := s.declarative; d != nil {
		at, err := url.Parse(d.Navigate)
		if err != nil {
			return nil, fmt.Errorf("reading the address to open: %w", err)
		}
		query := at.Query()
		query.Set("operation", operation)
		at.RawQuery = query.Encode()
		content.Magic, content.Notification = 8030, &notification{d.Title, d.Body, at.String()}
	}
	return json.Marshal(content)
}

// Close lets go of connections that wait for the next message.
func (s *Sender) Close() { s.transport.CloseIdleConnections() }

// String names the sender.
func (s *Sender) String() string { return "web push" }

// GoString keeps %#v from printing keys.
func (s *Sender) GoString() string { return s.String() }

// LogValue keeps structured logs from printing keys.
func (s *Sender) LogValue() slog.Value { return slog.StringValue(s.String()) }
