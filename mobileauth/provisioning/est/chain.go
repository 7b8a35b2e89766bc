// SPDX-License-Identifier: Apache-2.0

package est

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"time"
)

// How often the authority is asked for its own certificates because one of a device is by none of those that are known, at most; and
// how many certificates lead from that of a device towards a root.
const (
	askAgain = time.Minute
	maxChain = 4
)

// errNoIssuer says that nobody knows who has signed a certificate.
var errNoIssuer = errors.New("the EST server does not say who has signed the certificate")

// chain returns a certificate with those that lead from it towards a root. The answer to a request has it alone; the others the authority
// gives away once (RFC 7030 4.1), and again when it has taken another key.
func (a *Authority) chain(ctx context.Context, leaf *x509.Certificate, got []*x509.Certificate) ([]*x509.Certificate, error) {
	if chain := lead(leaf, append(got, a.known()...)); len(chain) > 1 {
		return chain, nil
	}
	fresh, err := a.fetch(ctx)
	if err != nil {
		return nil, err
	}
	if chain := lead(leaf, append(got, fresh...)); len(chain) > 1 {
		return chain, nil
	}
	return nil, errNoIssuer
}

func (a *Authority) known() []*x509.Certificate {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.certs
}

// fetch asks the authority for its certificates, once in a while.
func (a *Authority) fetch(ctx context.Context) ([]*x509.Certificate, error) {
	if !a.due() {
		return a.known(), nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.c.URL+pathCerts, nil)
	if err != nil {
		return nil, err
	}
	found, err := a.call(r, pathCerts)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.asked = time.Time{}
		return nil, err
	}
	a.certs = found
	return found, nil
}

// due reports whether the authority may be asked, and takes the turn.
func (a *Authority) due() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.c.Now()
	if !a.asked.IsZero() && now.Before(a.asked.Add(askAgain)) {
		return false
	}
	a.asked = now
	return true
}

// lead puts certificates into the order in which each is signed by the next, beginning with the first, until one has signed itself or
// nobody is left.
func lead(first *x509.Certificate, others []*x509.Certificate) []*x509.Certificate {
	chain := []*x509.Certificate{first}
	for len(chain) <= maxChain {
		last := chain[len(chain)-1]
		next := signerOf(last, others)
		if next == nil || bytes.Equal(next.Raw, last.Raw) {
			break
		}
		chain = append(chain, next)
	}
	return chain
}

func signerOf(c *x509.Certificate, among []*x509.Certificate) *x509.Certificate {
	for _, by := range among {
		if bytes.Equal(by.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(by) == nil {
			return by
		}
	}
	return nil
}
