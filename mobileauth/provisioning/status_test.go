// SPDX-License-Identifier: Apache-2.0

package provisioning_test

import (
	"context"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// serial is the serial number of a certificate.
func serial(t testing.TB, c provisioning.Certificate) *big.Int {
	t.Helper()
	leaf, err := c.Leaf()
	must(t, err)
	return leaf.SerialNumber
}

// TestIssued: a certificate is found by who has issued it and its serial number, with what has become of it.
func TestIssued(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	c := f.issue(t, p)
	got, err := f.Issued(t.Context(), c.Authority, serial(t, c))
	if err != nil || got.ID != c.ID || !got.RevokedAt.IsZero() {
		t.Errorf("found is %+v, %v", got, err)
	}
	if want := provisioning.AuthorityID(f.ca.issuer.Load().Chain[0]); c.Authority != want {
		t.Errorf("the authority is %q, want %q", c.Authority, want)
	}
	for name, find := range map[string]func() (provisioning.Certificate, error){
		"another number": func() (provisioning.Certificate, error) { return f.Issued(t.Context(), c.Authority, big.NewInt(1)) },
		"another issuer": func() (provisioning.Certificate, error) { return f.Issued(t.Context(), "x", serial(t, c)) },
	} {
		if got, err := find(); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	_, err = f.Revoke(t.Context(), c.Installation)
	must(t, err)
	if got, err = f.Issued(t.Context(), c.Authority, serial(t, c)); err != nil || !got.RevokedAt.Equal(f.clock.Now()) {
		t.Errorf("after it was revoked found is %+v, %v", got, err)
	}
	f.db.Inject(storagetest.Fault{Op: storagetest.OnView, Err: storage.ErrUnavailable})
	if _, err := f.Issued(t.Context(), c.Authority, serial(t, c)); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("without a store: %v", err)
	}
}

// TestRevokedOfAnAuthority are all certificates of installations that are out, but for those of others and those that are over.
func TestRevokedOfAnAuthority(t *testing.T) {
	t.Parallel()
	f, p, stays := newFixture(t), newPhone(t), newPhone(t)
	first := f.issue(t, p)
	f.issue(t, stays)
	f.clock.Advance(70 * 24 * time.Hour)
	second, err := f.Issue(t.Context(), p.renews(first, p.key))
	must(t, err)
	f.ca.rotate(2 * 365 * 24 * time.Hour)
	f.clock.Advance(70 * 24 * time.Hour)
	third, err := f.Issue(t.Context(), p.renews(second, p.key))
	must(t, err)
	f.clock.Advance(-60 * 24 * time.Hour)
	_, err = f.Revoke(t.Context(), first.Installation)
	must(t, err)
	ids := func(authority string) map[string]bool {
		list, err := f.Revoked(t.Context(), authority)
		must(t, err)
		found := map[string]bool{}
		for _, c := range list {
			found[c.ID] = !c.RevokedAt.IsZero() && len(c.Chain) == 0
		}
		return found
	}
	if got := ids(first.Authority); len(got) != 2 || !got[first.ID] || !got[second.ID] {
		t.Errorf("of the first authority: %v", got)
	}
	if got := ids(third.Authority); len(got) != 1 || !got[third.ID] {
		t.Errorf("of the second authority: %v", got)
	}
	f.clock.Set(first.NotAfter)
	if got := ids(first.Authority); len(got) != 1 || !got[second.ID] {
		t.Errorf("when the first one is over: %v", got)
	}
	f.db.Inject(storagetest.Fault{Op: storagetest.OnView, Err: storage.ErrUnavailable})
	if _, err := f.Revoked(t.Context(), first.Authority); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("without a store: %v", err)
	}
}

// TestBefore sees what is signed with, may add to the certificate, and may refuse.
func TestBefore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	local, err := provisioning.NewLocal(func() (provisioning.Issuer, error) { return *f.ca.issuer.Load(), nil }, f.clock.Now)
	must(t, err)
	var fails error
	local.Before(func(_ context.Context, by provisioning.Issuer, template *x509.Certificate) error {
		template.OCSPServer = []string{provisioning.AuthorityID(by.Chain[0])}
		return fails
	})
	f.config.Authority = local
	f.Store, err = provisioning.New(f.config)
	must(t, err)
	c := f.issue(t, newPhone(t))
	leaf, err := c.Leaf()
	must(t, err)
	if len(leaf.OCSPServer) != 1 || leaf.OCSPServer[0] != c.Authority {
		t.Errorf("the certificate says %q", leaf.OCSPServer)
	}
	fails = errors.New("it cannot be kept")
	if _, err := f.Issue(t.Context(), newPhone(t).asks()); !errors.Is(err, fails) || !errors.Is(err, provisioning.ErrAuthority) {
		t.Errorf("refused is %v", err)
	}
}
