// SPDX-License-Identifier: Apache-2.0

package signedpost

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/egress"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/provider"
)

// Defaults and limits of a [Config].
const (
	DefaultTimeout = 5 * time.Second
	// MaxAnswer is how much of an answer is read, in bytes: enough to see whether it is empty and to use the connection again.
	MaxAnswer = 4 << 10
	// maxHeader bounds the header of an answer, in bytes.
	maxHeader = 16 << 10
	// idle is how many connections to one receiver are kept, and for how long.
	idle, idleFor = 4, 90 * time.Second
)

// Errors of [Client.Post].
var (
	// ErrAnswer is an answer that accepts nothing.
	ErrAnswer = errors.New("the receiver did not accept it")
	// ErrSigning is a failure of ours: the receiver was not called.
	ErrSigning = errors.New("the signature could not be made")
)

// Config is what a client needs.
type Config struct {
	// Receiver is who is called. Required.
	Receiver Receiver
	// Key returns the key that signs now. Required.
	Key func() (jose.PrivateKey, error)
	// Typ is the type of the signature, so that what was signed for one purpose is nothing for another. Required.
	Typ string
	// Field is the header field of the signature. Required.
	Field string
	// Now is the clock that dates in Retry-After are read by. Required.
	Now func() time.Time
	// Roots are the certificate authorities that may vouch for the receiver. Default: those of the system.
	Roots *x509.CertPool
	// Resolver looks names up. Default: the system's.
	Resolver *net.Resolver
	// Timeout bounds one call, from the connection to the last byte. Default: [DefaultTimeout].
	Timeout time.Duration
}

// Client calls one receiver. No connection is shared with another: what is allowed for one is not for another. It is safe for
// concurrent use.
type Client struct {
	c         Config
	host      string
	transport *http.Transport
}

// New returns a client, or an error that says what in the configuration does not fit. It connects to nothing yet.
func New(c Config) (*Client, error) {
	if c.Key == nil || c.Now == nil || c.Typ == "" || c.Field == "" {
		return nil, errors.New("a key, a clock, a type and a field for the signature are required")
	}
	if c.Timeout < 0 {
		return nil, errors.New("the time-out is negative")
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	host, err := c.Receiver.check()
	if err != nil {
		return nil, err
	}
	guard := &egress.Guard{Allow: c.Receiver.Allow}
	dialer := &net.Dialer{Control: guard.Control, Resolver: c.Resolver}
	return &Client{c: c, host: host, transport: &http.Transport{
		Proxy:                  nil, // the environment has no say in where this goes
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConnsPerHost:    idle,
		IdleConnTimeout:        idleFor,
	}}, nil
}

// Host names the receiver without the rest of its address.
func (c *Client) Host() string { return c.host }

// Answer is one that did not accept. It wraps [ErrAnswer].
type Answer struct {
	// Status is that of the answer.
	Status int
	// RetryAfter is how long the receiver wants to be left alone; zero where it does not say.
	RetryAfter time.Duration
	// Body is what was read of it, [MaxAnswer] bytes at most. It may hold anything, what was sent included.
	Body []byte
	// page says that it was a page of HTML instead of an answer.
	page bool
}

// Error says what the answer was.
func (a *Answer) Error() string {
	switch {
	case a.page:
		return fmt.Sprintf("it answered with a page: %v", ErrAnswer)
	case a.Status >= 300 && a.Status < 400:
		return fmt.Sprintf("it redirects with status %d, which is not followed: %v", a.Status, ErrAnswer)
	}
	return fmt.Sprintf("status %d: %v", a.Status, ErrAnswer)
}

// Unwrap returns [ErrAnswer].
func (a *Answer) Unwrap() error { return ErrAnswer }

// Post tells the receiver something, once: a JSON object, signed now, so that a repetition is signed by a key that is still
// published, with further header fields. It returns nil when the receiver has accepted, with a status from 200 to 299 and no page
// of HTML; an [Answer] when it has not; [ErrSigning] before it was
// called; and what is plain of any other error ([provider.Plain]).
func (c *Client) Post(ctx context.Context, header http.Header, content []byte) error {
	signature, err := c.sign(content)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSigning, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.c.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.c.Receiver.URL, bytes.NewReader(content))
	if err != nil {
		return provider.Plain(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Gatehouse")
	r.Header.Set(c.c.Field, signature)
	if c.c.Receiver.Credentials.header != "" {
		r.Header.Set("Authorization", c.c.Receiver.Credentials.header)
	}
	response, err := c.transport.RoundTrip(r) // which follows no redirect
	if err != nil {
		return provider.Plain(err)
	}
	defer func() { _ = response.Body.Close() }() // it was read, or is of no use
	answer, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", provider.Plain(err))
	}
	return c.accepted(response, answer)
}

// sign returns a JWS with its content taken out (RFC 7515, appendix F).
func (c *Client) sign(content []byte) (string, error) {
	key, err := c.c.Key()
	if err != nil {
		return "", err
	}
	token, err := jose.Sign(key, c.c.Typ, content)
	if err != nil {
		return "", err
	}
	return token[:strings.IndexByte(token, '.')+1] + token[strings.LastIndexByte(token, '.'):], nil
}

// accepted judges an answer. A page of HTML comes from something in front of the receiver, which asks to log in or to come back
// later, and not from the receiver.
func (c *Client) accepted(response *http.Response, answer []byte) error {
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	page := len(answer) > 0 && (kind == "text/html" || kind == "application/xhtml+xml")
	good := response.StatusCode >= 200 && response.StatusCode <= 299
	if good && !page {
		return nil
	}
	return &Answer{
		Status: response.StatusCode, RetryAfter: provider.RetryAfter(response.Header, c.c.Now()), Body: answer, page: good && page,
	}
}

// Close lets go of connections that wait for the next call.
func (c *Client) Close() { c.transport.CloseIdleConnections() }
