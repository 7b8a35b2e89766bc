// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Defaults and limits of [Config].
const (
	DefaultTimeout   = 5 * time.Second
	DefaultPlaces    = 64
	DefaultMaxAnswer = 16 << 10
	MaxPlaces        = 1024
)

// What is kept of connections, and how one that died is noticed: a ping after silence, and its answer soon (RFC 9113, section 6.7).
const (
	idleFor     = 30 * time.Minute
	pingAfter   = 15 * time.Second
	pingTimeout = 5 * time.Second
	maxHeader   = 32 << 10
)

// Config describes a service.
type Config struct {
	// URL is the address that calls begin with: https, or http on a loopback host, without user information, query and fragment.
	// Without a path it has no slash at its end either.
	URL string
	// Proxy is asked to connect to the service (CONNECT, RFC 9110, section 9.3.6): http or https, with or without user information.
	// None by default: the environment is not asked.
	Proxy *url.URL
	// Roots are the certificate authorities that may vouch for the service. Default: those of the system.
	Roots *x509.CertPool
	// Certificates are shown to a service that asks who is calling by TLS.
	Certificates []tls.Certificate
	// Timeout bounds one call, from the wait for a place to the last byte. Default: [DefaultTimeout].
	Timeout time.Duration
	// Places is how many calls are under way at once, at most [MaxPlaces]. Default: [DefaultPlaces].
	Places int
	// MaxAnswer bounds what is read of an answer, in bytes; the rest is not read. Default: [DefaultMaxAnswer].
	MaxAnswer int64
	// Single keeps to one connection, on which calls are side by side once the first was answered by anything but 401 and 403. It is
	// for services that speak HTTP/2 and take many connections for an attack. A call whose connection breaks before the answer is made
	// again on a new one, twice at most, so what is sent must do no harm when it comes more often.
	Single bool
}

// Client reaches one service. It is safe for concurrent use.
type Client struct {
	config    Config
	transport atomic.Pointer[http.Transport]
	places    chan struct{}
	single    *single
}

var _ http.RoundTripper = (*Client)(nil)

// New returns a client, or an error that says what in the configuration does not fit and repeats nothing of it. It connects to
// nothing yet.
func New(c Config) (*Client, error) {
	if err := CheckURL(c.URL); err != nil {
		return nil, fmt.Errorf("the address of the service: %w", err)
	}
	if err := checkProxy(c.Proxy); err != nil {
		return nil, fmt.Errorf("the address of the proxy: %w", err)
	}
	if c.Timeout < 0 || c.Places < 0 || c.Places > MaxPlaces || c.MaxAnswer < 0 {
		return nil, fmt.Errorf("a time-out, the number of places (at most %d) or the size of answers is out of range", MaxPlaces)
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Places == 0 {
		c.Places = DefaultPlaces
	}
	if c.MaxAnswer == 0 {
		c.MaxAnswer = DefaultMaxAnswer
	}
	client := &Client{config: c, places: make(chan struct{}, c.Places)}
	if c.Single {
		var err error
		if client.single, err = newSingle(c.URL, c.Timeout); err != nil {
			return nil, fmt.Errorf("the address of the service: %w", err)
		}
	}
	client.Renew()
	return client, nil
}

// CheckURL refuses an address that [Config].URL does not take. It repeats nothing of what it refuses: an address may hold a secret.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return errors.New("it is not an absolute URL")
	case u.User != nil || strings.ContainsAny(address, "?#"):
		return errors.New("it has user information, a query or a fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !oauth.IsLoopback(u.Hostname())):
		return errors.New("it is not https")
	case strings.HasSuffix(address, "/"):
		return errors.New("it ends with a slash")
	}
	return nil
}

func checkProxy(u *url.URL) error {
	switch {
	case u == nil:
		return nil
	case u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || u.Hostname() == "":
		return errors.New("it is not an http or https URL")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("it has a path, a query or a fragment")
	}
	return nil
}

func (c *Client) newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: c.config.Timeout, KeepAlive: pingAfter}
	t := &http.Transport{
		DialContext: dialer.DialContext,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			return &ProxyError{Status: answer.StatusCode}
		},
		TLSClientConfig:        &tls.Config{RootCAs: c.config.Roots, Certificates: c.config.Certificates, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    c.config.Timeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConnsPerHost:    c.config.Places,
		IdleConnTimeout:        idleFor,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: pingAfter},
	}
	if c.config.Proxy != nil {
		t.Proxy = http.ProxyURL(c.config.Proxy)
	}
	return t
}

// HTTP returns a client for one call or for many that goes through c and follows no redirect.
func (c *Client) HTTP() *http.Client {
	return &http.Client{
		Transport:     c,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Renew has later calls use new connections. Calls under way keep theirs until they end.
func (c *Client) Renew() {
	transport := c.newTransport()
	if c.single != nil {
		c.single.renew(transport)
		return
	}
	if previous := c.transport.Swap(transport); previous != nil {
		previous.CloseIdleConnections()
	}
}

// Close lets go of connections: at once where nothing is under way, else after the last call.
func (c *Client) Close() { c.Renew() }
