// SPDX-License-Identifier: Apache-2.0

package callout

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Defaults and limits.
const (
	// DefaultTimeout is the default of [Config].Timeout.
	DefaultTimeout = 5 * time.Second
	// DefaultMaxAnswer is the default of [Config].MaxAnswer.
	DefaultMaxAnswer = 64 << 10
	// maxHeader bounds the header of an answer, in bytes.
	maxHeader = 16 << 10
	// idle is how many connections are kept for the next call, and for how long.
	idle, idleFor = 16, 90 * time.Second
)

// ErrAnswer is an answer that is none: another status than 200, another type than JSON, or more than was agreed.
var ErrAnswer = errors.New("the back end gave no usable answer")

// StatusError is an answer of another status than 200, for callers to whom some of them say something. It is an [ErrAnswer].
type StatusError struct {
	Status int
	// RetryAfter is the header field of that name, as it stands there.
	RetryAfter string
}

// Error names the status.
func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %v", e.Status, ErrAnswer) }

// Unwrap returns [ErrAnswer].
func (e *StatusError) Unwrap() error { return ErrAnswer }

// Config describes a back end.
type Config struct {
	// URL is the address: https, or http on a loopback host. It holds no user information and no fragment.
	URL string
	// Header is sent with every call. It tells the back end who is calling.
	Header http.Header
	// Roots are the certificate authorities that may vouch for the back end. Default: those of the system.
	Roots *x509.CertPool
	// Certificates are shown to a back end that asks who is calling by TLS; none by default.
	Certificates []tls.Certificate
	// Timeout bounds one call, from the connection to the last byte. Default: [DefaultTimeout].
	Timeout time.Duration
	// MaxAnswer bounds an answer, in bytes. Default: [DefaultMaxAnswer].
	MaxAnswer int64
}

// Client calls one back end. It is safe for concurrent use.
type Client struct {
	http      *http.Client
	transport *http.Transport
	url       string
	host      string
	header    http.Header
	timeout   time.Duration
	maxAnswer int64
}

// New returns a client, or an error that says what in the configuration does not fit. It connects to nothing yet.
func New(c Config) (*Client, error) {
	at, err := checkURL(c.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the back end: %w", err)
	}
	if err := checkHeader(c.Header); err != nil {
		return nil, err
	}
	if c.Timeout < 0 || c.MaxAnswer < 0 {
		return nil, errors.New("a limit of the back end is negative")
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.MaxAnswer == 0 {
		c.MaxAnswer = DefaultMaxAnswer
	}
	transport := &http.Transport{
		TLSClientConfig:        &tls.Config{RootCAs: c.Roots, Certificates: c.Certificates, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConnsPerHost:    idle,
		IdleConnTimeout:        idleFor,
	}
	return &Client{
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		transport: transport, url: c.URL, host: at.Host, header: c.Header.Clone(), timeout: c.Timeout, maxAnswer: c.MaxAnswer,
	}, nil
}

// checkURL repeats nothing of what it refuses: an address may hold a secret.
func checkURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("it is not an absolute URL")
	case u.User != nil || u.Fragment != "" || strings.Contains(address, "#"):
		return nil, errors.New("it has user information or a fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !oauth.IsLoopback(u.Hostname())):
		return nil, errors.New("it is not https")
	}
	return u, nil
}

// ours are the fields that the call itself is made of.
var ours = []string{
	"Accept", "Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

// checkHeader names a field that cannot be sent, and not its value.
func checkHeader(header http.Header) error {
	for name, values := range header {
		if !validName(name) || slices.Contains(ours, http.CanonicalHeaderKey(name)) {
			return fmt.Errorf("the header field %q cannot be set", name)
		}
		for _, value := range values {
			if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return fmt.Errorf("the value of the header field %q is empty or has a control character", name)
			}
		}
	}
	return nil
}

// validName admits the tokens of RFC 9110 5.6.2.
func validName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// Post says something to the back end as JSON and returns its answer, which has status 200, the type application/json and at
// most the agreed size. Whether it is JSON is for the caller to see. Any other answer is [ErrAnswer], and one of another status
// a [StatusError].
func (c *Client) Post(ctx context.Context, what any) ([]byte, error) {
	said, err := json.Marshal(what)
	if err != nil {
		return nil, fmt.Errorf("asking the back end at %s: %w", c.host, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(said))
	if err != nil {
		return nil, fmt.Errorf("asking the back end at %s: %w", c.host, unnamed(err))
	}
	for name, values := range c.header {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	response, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking the back end at %s: %w", c.host, unnamed(err))
	}
	defer func() { _ = response.Body.Close() }() // it was read, or is of no use
	answer, err := c.read(response)
	if err != nil {
		return nil, fmt.Errorf("reading the answer of the back end at %s: %w", c.host, err)
	}
	return answer, nil
}

// unnamed is the cause of an error of net/http without the address, whose path or query may hold a secret.
func unnamed(err error) error {
	var named *url.Error
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}

func (c *Client) read(response *http.Response) ([]byte, error) {
	if response.StatusCode != http.StatusOK {
		return nil, &StatusError{Status: response.StatusCode, RetryAfter: response.Header.Get("Retry-After")}
	}
	if kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, fmt.Errorf("it is not application/json: %w", ErrAnswer)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, c.maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if int64(len(answer)) > c.maxAnswer {
		return nil, fmt.Errorf("it is longer than %d bytes: %w", c.maxAnswer, ErrAnswer)
	}
	return answer, nil
}

// Close lets go of connections that wait for the next call.
func (c *Client) Close() { c.transport.CloseIdleConnections() }
