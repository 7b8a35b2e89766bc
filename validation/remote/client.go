// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

const (
	// timeout bounds one exchange with an issuer, from the connection to the last byte.
	timeout = 5 * time.Second
	// maxRedirects is how many redirects within an origin are followed.
	maxRedirects = 3
)

// client speaks to an issuer.
type client struct {
	http *http.Client
}

// newClient returns a client with the transport of another and none of its cookies. Where follow is false a redirect is an
// answer like any other: whoever sends a secret sends it to one address.
func newClient(from *http.Client, follow bool) *client {
	restricted := *from
	restricted.Jar = nil
	restricted.CheckRedirect = sameOrigin
	if !follow {
		restricted.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return &client{&restricted}
}

// sameOrigin keeps redirects where the first request went: an issuer that sends its readers elsewhere could send them to
// hosts that only they can reach.
func sameOrigin(r *http.Request, via []*http.Request) error {
	switch first := via[0].URL; {
	case len(via) > maxRedirects:
		return errors.New("too many redirects")
	case r.URL.Scheme != first.Scheme || r.URL.Host != first.Host || r.URL.User != nil:
		return errors.New("a redirect to another origin")
	}
	return nil
}

// do sends a request and returns an answer of status 200 and at most limit bytes. The caller has put a deadline on it.
func (c *client) do(r *http.Request, limit int64) ([]byte, http.Header, error) {
	r.Header.Set("Accept", "application/json")
	response, err := c.http.Do(r)
	if err != nil {
		return nil, nil, fmt.Errorf("asking the issuer: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, nil, statusError(response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("reading the issuer's answer: %w", err)
	case int64(len(body)) > limit:
		return nil, nil, fmt.Errorf("reading the issuer's answer: it is longer than %d bytes", limit)
	}
	return body, response.Header, nil
}

func (c *client) get(ctx context.Context, address string, limit int64) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("asking the issuer: %w", err)
	}
	return c.do(r, limit)
}

// statusError is an answer of another status than 200.
type statusError int

// Error names the status.
func (e statusError) Error() string { return fmt.Sprintf("the issuer answered with status %d", int(e)) }

// checkAddress refuses an address that nothing is fetched from: it must be https, or http on a loopback host where that is
// allowed.
func checkAddress(address string, loopback bool) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("it is not an absolute URL")
	case u.User != nil || u.Fragment != "":
		return errors.New("it has user information or a fragment")
	case oauth.IsLoopback(u.Hostname()) && !loopback:
		return errors.New("it is on this host, and the issuer is not")
	case u.Scheme != "https" && (u.Scheme != "http" || !oauth.IsLoopback(u.Hostname())):
		return errors.New("it is not https")
	}
	return nil
}

// onLoopback reports whether an issuer is on this host, as it is in development.
func onLoopback(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && oauth.IsLoopback(u.Hostname())
}

// host names an address in an error: without the credentials that somebody may have put into it.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "a malformed address"
	}
	return u.Scheme + "://" + u.Host
}
