// SPDX-License-Identifier: Apache-2.0

package provisioning_test

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const years = 2 * 365 * 24 * time.Hour

// ending has a store tell what is ended with certificates that are revoked.
func (f *fixture) ending(t testing.TB) map[string]bool {
	t.Helper()
	ended := map[string]bool{}
	f.config.OnRevoke = []func(storage.Tx, string) error{func(_ storage.Tx, id string) error {
		ended[id] = true
		return nil
	}}
	var err error
	f.Store, err = provisioning.New(f.config)
	must(t, err)
	return ended
}

// TestRevokeAuthority: from the next answer on nothing counts that it has issued, what rests on that is ended, and the devices get a
// certificate of the authority that there is then, for the same key and the same installation. Those of another authority are as they
// were.
func TestRevokeAuthority(t *testing.T) {
	t.Parallel()
	f, p, other := newFixture(t), newPhone(t), newPhone(t)
	ended := f.ending(t)
	c := f.issue(t, p)
	_, err := f.Present(t.Context(), p.shows(c))
	must(t, err)
	f.ca.rotate(years)
	others := f.issue(t, other)

	fresh, err := f.RevokeAuthority(t.Context(), c.Authority)
	if !fresh || err != nil || len(ended) != 1 || !ended[c.Installation] {
		t.Errorf("revoked: %v, %v, and ended was %v", fresh, err, ended)
	}
	_, err = f.Present(t.Context(), p.shows(c))
	refused(t, err, provisioning.ReasonDistrusted)
	_, err = f.Issue(t.Context(), p.renews(c, p.key))
	refused(t, err, provisioning.ReasonDistrusted)
	second := f.issue(t, p)
	if second.ID == c.ID || second.Installation != c.Installation || second.Authority != others.Authority || second.Replaces != c.ID {
		t.Errorf("the one after it is %+v", second)
	}
	for _, m := range []provisioning.Message{p.shows(second), other.shows(others)} {
		if _, err := f.Present(t.Context(), m); err != nil {
			t.Error(err)
		}
	}
	if got, err := f.Get(t.Context(), c.ID); err != nil || !got.AuthorityRevoked || !got.RevokedAt.Equal(f.clock.Now()) {
		t.Errorf("the record is %+v, %v", got, err)
	}
	clear(ended)
	if fresh, err := f.RevokeAuthority(t.Context(), c.Authority); fresh || err != nil || !ended[c.Installation] {
		t.Errorf("again: %v, %v, and ended was %v", fresh, err, ended)
	}
	for _, nobody := range []string{"x", ""} {
		if _, err := f.RevokeAuthority(t.Context(), nobody); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("the authority %q: %v", nobody, err)
		}
	}
	if n := strings.Count(f.trail.String(), provisioning.EventAuthorityRevoked); n != 1 {
		t.Errorf("the trail says it %d times", n)
	}
	if list, err := f.Revoked(t.Context(), c.Authority); err != nil || len(list) != 1 || list[0].ID != c.ID || len(list[0].Chain) > 0 {
		t.Errorf("revoked are %+v, %v", list, err)
	}
	if list, err := f.Revoked(t.Context(), others.Authority); err != nil || len(list) > 0 {
		t.Errorf("of the other authority revoked are %+v, %v", list, err)
	}
}

// TestRevokedBoth: an installation that was taken out stays so, whatever becomes of its authority; and so does a key that was followed by
// another.
func TestRevokedBoth(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	c := f.issue(t, p)
	_, err := f.RevokeAuthority(t.Context(), c.Authority)
	must(t, err)
	_, err = f.Revoke(t.Context(), c.Installation)
	must(t, err)
	f.ca.rotate(years)
	for _, m := range []provisioning.Message{p.asks(), p.renews(c, p.key)} {
		_, err = f.Issue(t.Context(), m)
		refused(t, err, provisioning.ReasonRevoked)
	}
}

// TestRevokedWhileItIssues: what a revoked authority goes on to issue does not count, and nobody gets it.
func TestRevokedWhileItIssues(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	before := f.issue(t, newPhone(t))
	f.ca.break_ = func(chain []*x509.Certificate, err error) ([]*x509.Certificate, error) {
		_, revoked := f.RevokeAuthority(context.Background(), before.Authority)
		return chain, errors.Join(err, revoked)
	}
	if c, err := f.Issue(t.Context(), p.asks()); !errors.Is(err, provisioning.ErrAuthority) {
		t.Errorf("issued is %+v, %v", c, err)
	}
	f.ca.break_ = nil
	f.ca.rotate(years)
	c := f.issue(t, p)
	if _, err := f.Present(t.Context(), p.shows(c)); err != nil {
		t.Error(err)
	}
}

// TestAuthorities: how many certificates count of each, page by page.
func TestAuthorities(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.config.Requests = nil
	ended := f.ending(t)
	const many = 230 // more than a page
	var first provisioning.Certificate
	for i := range many {
		p := newPhone(t)
		c := f.issue(t, p)
		if i == 0 {
			first = c
			_, err := f.Revoke(t.Context(), c.Installation)
			must(t, err)
		}
	}
	clear(ended)
	old := f.ca.issuer.Load().Chain[0]
	f.ca.rotate(years)
	f.issue(t, newPhone(t))
	counts := func(id string) map[string]int {
		list, err := f.Authorities(t.Context(), id)
		must(t, err)
		found := map[string]int{}
		for _, a := range list {
			found[a.ID] = a.Certificates
			if a.Subject != "CN=intermediate" || !a.NotAfter.Equal(old.NotAfter) || a.Latest.IsZero() || len(a.Fingerprint) != hex.EncodedLen(32) {
				t.Errorf("listed is %+v", a)
			}
		}
		return found
	}
	present := provisioning.AuthorityID(f.ca.issuer.Load().Chain[0])
	if got := counts(""); len(got) != 2 || got[first.Authority] != many-1 || got[present] != 1 {
		t.Errorf("counted are %v", got)
	}
	if got := counts(present); len(got) != 1 || got[present] != 1 {
		t.Errorf("of one counted are %v", got)
	}
	_, err := f.RevokeAuthority(t.Context(), first.Authority)
	must(t, err)
	if got := counts(first.Authority); got[first.Authority] != many-1 || len(ended) != many {
		t.Errorf("after it was revoked counted are %v, and ended were %d", got, len(ended))
	}
	list, err := f.Authorities(t.Context(), first.Authority)
	if err != nil || len(list) != 1 || !list[0].RevokedAt.Equal(f.clock.Now()) {
		t.Errorf("listed is %+v, %v", list, err)
	}
	if list, err := f.Revoked(t.Context(), first.Authority); err != nil || len(list) != many {
		t.Errorf("its list has %d, %v", len(list), err)
	}
}

// TestRevokeAuthorityFaults: a store that fails says so, and whoever calls again goes on.
func TestRevokeAuthorityFaults(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	ended := f.ending(t)
	c := f.issue(t, p)
	for _, op := range []storagetest.Op{storagetest.OnUpdate, storagetest.OnCommit} {
		f.db.Inject(storagetest.Fault{Op: op, Err: storage.ErrUnavailable})
		if fresh, err := f.RevokeAuthority(t.Context(), c.Authority); fresh || !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("revoked: %v, %v", fresh, err)
		}
		f.db.Clear()
		if _, err := f.Present(t.Context(), p.shows(c)); err != nil {
			t.Errorf("after that: %v", err)
		}
	}
	clear(ended)
	f.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Nth: 2, Err: storage.ErrUnavailable})
	if _, err := f.RevokeAuthority(t.Context(), c.Authority); !errors.Is(err, storage.ErrUnavailable) || len(ended) > 0 {
		t.Errorf("interrupted: %v, ended was %v", err, ended)
	}
	_, err := f.Present(t.Context(), p.shows(c))
	refused(t, err, provisioning.ReasonDistrusted)
	f.db.Clear()
	if fresh, err := f.RevokeAuthority(t.Context(), c.Authority); fresh || err != nil || !ended[c.Installation] {
		t.Errorf("again: %v, %v, ended was %v", fresh, err, ended)
	}
	f.db.Inject(storagetest.Fault{Op: storagetest.OnView, Err: storage.ErrUnavailable})
	if _, err := f.Authorities(t.Context(), ""); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("listing: %v", err)
	}
	if _, err := f.Revoked(t.Context(), c.Authority); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("revoked: %v", err)
	}
}
