// SPDX-License-Identifier: Apache-2.0

package provisioning_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

// sovereign is an authority that calls devices what it likes, or does not decide.
type sovereign struct {
	*authority
	own     bool
	change  func(*x509.Certificate)
	pending time.Duration
}

func (s *sovereign) Sovereign() bool { return s.own }

func (s *sovereign) Issue(ctx context.Context, order provisioning.Order) ([]*x509.Certificate, error) {
	if s.pending > 0 {
		return nil, provisioning.Pending(s.pending)
	}
	template := *order.Template
	s.change(&template)
	order.Template = &template
	return s.authority.Issue(ctx, order)
}

// TestAuthorityTakesItsTime: a certificate may begin when it is signed, which is later than it was ordered.
func TestAuthorityTakesItsTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.config.Authority = &sovereign{authority: f.ca, change: func(c *x509.Certificate) {
		f.clock.Advance(3 * time.Second)
		c.NotBefore = f.clock.Now()
	}}
	var err error
	f.Store, err = provisioning.New(f.config)
	must(t, err)
	c := f.issue(t, newPhone(t))
	if !c.NotBefore.Equal(f.clock.Now().Truncate(time.Second)) || c.IssuedAt.Before(c.NotBefore) {
		t.Errorf("it begins at %s and was issued at %s", c.NotBefore, c.IssuedAt)
	}
}

// TestSovereign: whoever may say what devices are called is not held to the names ordered; to everything else he is.
func TestSovereign(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	by := &sovereign{authority: f.ca}
	f.config.Authority = by
	var err error
	f.Store, err = provisioning.New(f.config)
	must(t, err)
	named := func(c *x509.Certificate) {
		c.URIs, c.Subject, c.DNSNames = nil, pkix.Name{CommonName: "phone-17"}, []string{"phone-17.example.com"}
	}
	for _, tt := range []struct {
		name   string
		change func(*x509.Certificate)
		good   bool
	}{
		{"names of its own", named, true},
		{"another purpose beside", func(c *x509.Certificate) {
			c.ExtKeyUsage = append([]x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, c.ExtKeyUsage...)
		}, true},
		{"another purpose", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, false},
		{"an authority", func(c *x509.Certificate) { c.IsCA = true }, false},
		{"over", func(c *x509.Certificate) { c.NotAfter = f.clock.Now() }, false},
	} {
		by.change = tt.change
		for _, by.own = range []bool{true, false} {
			c, err := f.Issue(t.Context(), newPhone(t).asks())
			if good := err == nil && c.ID != ""; good != (tt.good && by.own) || !good && !errors.Is(err, provisioning.ErrAuthority) {
				t.Errorf("%s, where names are its own to say is %v: %+v, %v", tt.name, by.own, c, err)
			}
		}
	}
	p := newPhone(t)
	by.own, by.change = true, named
	c := f.issue(t, p)
	if _, err := f.Present(t.Context(), p.shows(c)); err != nil {
		t.Errorf("with such a certificate: %v", err)
	}
}

// TestPending: an authority that has not decided says when to come again, and nothing has failed.
func TestPending(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	by := &sovereign{authority: f.ca, pending: time.Minute, change: func(*x509.Certificate) {}}
	f.config.Authority = by
	var err error
	f.Store, err = provisioning.New(f.config)
	must(t, err)
	p := newPhone(t)
	_, err = f.Issue(t.Context(), p.asks())
	refused(t, err, provisioning.ReasonPending)
	if refusal, _ := errors.AsType[*provisioning.Refusal](err); refusal == nil || refusal.RetryAfter != time.Minute || errors.Is(err, provisioning.ErrAuthority) {
		t.Errorf("the answer is %v", err)
	}
	if strings.Contains(f.trail.String(), provisioning.EventFailed) {
		t.Errorf("the trail says %s", &f.trail)
	}
	by.pending = 0
	f.issue(t, p)
}
