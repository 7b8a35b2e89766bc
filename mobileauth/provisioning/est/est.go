// SPDX-License-Identifier: Apache-2.0

package est

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

// wellKnown is where EST servers are, unless the address says otherwise (RFC 7030 3.2.2).
const wellKnown = "/.well-known/est"

// What stands below the address (RFC 7030 3.2.2).
const (
	pathCerts    = "/cacerts"
	pathEnroll   = "/simpleenroll"
	pathReenroll = "/simplereenroll"
)

// Media types (RFC 7030 4.1.3, 4.2.1, 4.2.3).
const (
	typeRequest = "application/pkcs10"
	typeAnswer  = "application/pkcs7-mime"
	certsOnly   = "certs-only"
)

// Limits.
const (
	maxAnswer = 32 << 10 // bytes of an answer: a few certificates
	maxCerts  = 16       // certificates in an answer
	places    = 16       // calls at once
)

// Config describes a certification authority.
type Config struct {
	// URL is its address: https, with a path that leads to the operations, or without one for the usual path.
	URL string
	// Roots vouch for the server. Required: nothing else does.
	Roots *x509.CertPool
	// Certificates tell the server who is calling.
	Certificates []tls.Certificate
	// Username and Password do the same (HTTP Basic). Both or none.
	Username, Password string
	// AnyNames takes a certificate whatever it calls the device. Otherwise it has the subject of the request, and no other names.
	AnyNames bool
	// Timeout bounds one call. Default: that of internal/provider.
	Timeout time.Duration
	Now     func() time.Time
}

// Authority is a [provisioning.Authority]. It is safe for concurrent use.
type Authority struct {
	c       Config
	service *provider.Client
	http    *http.Client
	pending pending

	mu    sync.Mutex
	certs []*x509.Certificate // of the authority, as it last said
	asked time.Time
}

var (
	_ provisioning.Authority = (*Authority)(nil)
	_ provisioning.Sovereign = (*Authority)(nil)
)

// New returns an authority, or an error that says what does not fit. It connects to nothing yet.
func New(c Config) (*Authority, error) {
	switch {
	case !strings.HasPrefix(c.URL, "https://"):
		return nil, errors.New("the address of the EST server is not https")
	case c.Roots == nil:
		return nil, errors.New("whoever vouches for the EST server is not named: nobody else is believed")
	case (c.Username == "") != (c.Password == "") || strings.Contains(c.Username, ":"):
		return nil, errors.New("a name and a password belong together, and the name has no colon")
	case c.Now == nil:
		return nil, errors.New("a clock is required")
	}
	if at, err := url.Parse(c.URL); err == nil && at.Path == "" {
		c.URL += wellKnown
	}
	service, err := provider.New(provider.Config{
		URL: c.URL, Roots: c.Roots, Certificates: c.Certificates, Timeout: c.Timeout, Places: places, MaxAnswer: maxAnswer + 1,
	})
	if err != nil {
		return nil, err
	}
	return &Authority{c: c, service: service, http: service.HTTP(), pending: pending{now: c.Now, waits: map[string]waiting{}}}, nil
}

// Close lets go of connections.
func (a *Authority) Close() { a.service.Close() }

// Sovereign reports that what certificates call devices is the certification authority's to say, and was looked at here.
func (a *Authority) Sovereign() bool { return true }

// Issue asks for a certificate. Where the certification authority has not decided yet the error is a [provisioning.Refusal] that says
// when to ask again.
func (a *Authority) Issue(ctx context.Context, order provisioning.Order) ([]*x509.Certificate, error) {
	send, wait := a.pending.take(order.CSR)
	if wait > 0 {
		return nil, provisioning.Pending(wait)
	}
	operation := pathEnroll
	if order.Renews != nil && sameNames(order) {
		operation = pathReenroll
	}
	got, err := a.enroll(ctx, operation, send.Raw)
	if late, ok := errors.AsType[*laterError](err); ok {
		return nil, provisioning.Pending(a.pending.put(send, late.after))
	}
	if !errors.Is(err, errUnanswered) { // whoever did not hear the request still waits for it
		a.pending.decided(send.Key)
	}
	if err != nil {
		return nil, err
	}
	leaf, err := a.find(got, send.Parsed)
	if err != nil {
		return nil, err
	}
	return a.chain(ctx, leaf, got)
}

// sameNames reports whether a request asks for what the certificate before it says (RFC 7030 4.2.2). Names it has none.
func sameNames(order provisioning.Order) bool {
	old := order.Renews
	return bytes.Equal(old.RawSubject, order.CSR.Parsed.RawSubject) && len(old.DNSNames)+len(old.IPAddresses)+len(old.EmailAddresses)+len(old.URIs) == 0
}

// laterError says that the certification authority has not decided yet.
type laterError struct{ after time.Duration }

// Error names the time.
func (e *laterError) Error() string {
	return fmt.Sprintf("the certification authority answers in %s", e.after)
}

// errUnanswered says that a call came to nothing on its way.
var errUnanswered = errors.New("there is no answer")

// enroll hands in a request, and returns the certificates that come for it.
func (a *Authority) enroll(ctx context.Context, operation string, csr []byte) ([]*x509.Certificate, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.c.URL+operation, strings.NewReader(base64.StdEncoding.EncodeToString(csr)))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", typeRequest)
	r.Header.Set("Content-Transfer-Encoding", "base64")
	if a.c.Username != "" {
		r.SetBasicAuth(a.c.Username, a.c.Password)
	}
	return a.call(r, operation)
}

// call makes a call, and reads the certificates in the answer.
func (a *Authority) call(r *http.Request, operation string) ([]*x509.Certificate, error) {
	r.Header.Set("Accept", typeAnswer)
	response, err := a.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking the EST server for %s: %w: %w", operation, errUnanswered, provider.Plain(err))
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // it was read
	switch {
	case err != nil:
	case response.StatusCode == http.StatusAccepted:
		return nil, &laterError{provider.RetryAfter(response.Header, a.c.Now())}
	case response.StatusCode != http.StatusOK:
		err = fmt.Errorf("status %d", response.StatusCode)
	default:
		var found []*x509.Certificate
		if found, err = readCerts(response.Header.Get("Content-Type"), body); err == nil {
			return found, nil
		}
	}
	return nil, fmt.Errorf("reading what the EST server answers to %s: %w", operation, err)
}

// readCerts reads an answer: certificates and nothing else, as CMS in base64 (RFC 7030 4.1.3, 4.2.3; RFC 8951 3.1).
func readCerts(kind string, body []byte) ([]*x509.Certificate, error) {
	media, params, err := mime.ParseMediaType(kind)
	if err != nil || media != typeAnswer || params["smime-type"] != "" && params["smime-type"] != certsOnly {
		return nil, errors.New("it is of another type")
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("it has more than %d bytes", maxAnswer)
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(body)), ""))
	if err != nil {
		return nil, errors.New("it is not in base64")
	}
	content, err := pkcs7.Parse(der)
	if err != nil {
		return nil, fmt.Errorf("it holds no certificates: %w", err)
	}
	if len(content.Signers) > 0 || len(content.Content) > 0 || len(content.Certificates) == 0 || len(content.Certificates) > maxCerts {
		return nil, errors.New("it holds something else than a few certificates")
	}
	return content.Certificates, nil
}

// find returns the certificate that was asked for.
func (a *Authority) find(got []*x509.Certificate, asked *x509.CertificateRequest) (*x509.Certificate, error) {
	for _, c := range got {
		if !bytes.Equal(c.RawSubjectPublicKeyInfo, asked.RawSubjectPublicKeyInfo) {
			continue
		}
		if a.c.AnyNames {
			return c, nil
		}
		if !bytes.Equal(c.RawSubject, asked.RawSubject) || len(c.DNSNames)+len(c.IPAddresses)+len(c.EmailAddresses)+len(c.URIs) > 0 {
			return nil, errors.New("the certificate of the EST server has names that were not asked for")
		}
		return c, nil
	}
	return nil, errors.New("the certificate of the EST server is for another key")
}
