// SPDX-License-Identifier: Apache-2.0

package provisioning_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// unshown gives a phone its certificate, which it never shows.
func (f *fixture) unshown(t testing.TB, p *phone) provisioning.Certificate {
	t.Helper()
	c, err := f.Issue(t.Context(), p.asks())
	must(t, err)
	return c
}

// told wants what others are told of a certificate: the zero time for a good one.
func (f *fixture) told(t testing.TB, c provisioning.Certificate, want time.Time, superseded bool) {
	t.Helper()
	got, err := f.Issued(t.Context(), c.Authority, serial(t, c))
	if err != nil || !got.RevokedAt.Equal(want) || got.Superseded() != superseded || got.Serial != c.Serial || got.Installation != c.Installation {
		t.Errorf("about %s others are told %+v, %v", c.Serial, got, err)
	}
	list, err := f.Revoked(t.Context(), c.Authority)
	must(t, err)
	times := 0
	for _, one := range list {
		if one.Serial == c.Serial {
			times++
			if !one.RevokedAt.Equal(want) || one.Superseded() != superseded || len(one.Chain) > 0 {
				t.Errorf("listed is %+v", one)
			}
		}
	}
	if listed := times == 1; times > 1 || listed == want.IsZero() {
		t.Errorf("%s is listed %d times", c.Serial, times)
	}
}

// TestNeverShownOutside: a certificate that its device does not show is good for others while it may be shown, and revoked from then on
// until its time is over.
func TestNeverShownOutside(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	c := f.unshown(t, p)
	over := c.IssuedAt.Add(time.Hour)
	f.clock.Set(over.Add(-time.Millisecond))
	f.told(t, c, time.Time{}, false)
	for _, at := range []time.Time{over, over.Add(30 * day), c.NotAfter.Add(-time.Second)} {
		f.clock.Set(at)
		f.told(t, c, over, false)
	}
	f.clock.Set(c.NotAfter)
	if got, err := f.Issued(t.Context(), c.Authority, serial(t, c)); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("after its time others are told %+v, %v", got, err)
	}
	if list, err := f.Revoked(t.Context(), c.Authority); err != nil || len(list) > 0 {
		t.Errorf("after its time listed are %+v, %v", list, err)
	}
}

// TestShownOutside: one that was shown in time stays good, until it is revoked.
func TestShownOutside(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	c := f.issue(t, p)
	f.clock.Advance(2 * time.Hour)
	f.told(t, c, time.Time{}, false)
	_, err := f.Revoke(t.Context(), c.Installation)
	must(t, err)
	f.told(t, c, f.clock.Now(), false)
}

// TestRevokeNeverShown: an operator takes it away, before its trial is over and after, by its installation and by its authority.
func TestRevokeNeverShown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	early, late := f.unshown(t, newPhone(t)), f.unshown(t, newPhone(t))
	f.clock.Advance(time.Minute)
	at := f.clock.Now()
	_, err := f.Revoke(t.Context(), early.Installation)
	must(t, err)
	f.told(t, early, at, false)
	f.clock.Advance(20 * day)
	f.told(t, early, at, false)
	if fresh, err := f.Revoke(t.Context(), late.Installation); !fresh || err != nil {
		t.Errorf("revoked: %v, %v", fresh, err)
	}
	f.told(t, late, late.IssuedAt.Add(time.Hour), false)

	list, err := f.Authorities(t.Context(), "")
	if err != nil || len(list) != 1 || list[0].ID != late.Authority || list[0].Certificates != 0 || !list[0].Latest.Equal(late.IssuedAt) ||
		!list[0].RevokedAt.IsZero() || list[0].Subject != "CN=intermediate" || len(list[0].Fingerprint) != 64 || list[0].NotAfter.IsZero() {
		t.Errorf("authorities are %+v, %v", list, err)
	}
	if fresh, err := f.RevokeAuthority(t.Context(), late.Authority); !fresh || err != nil {
		t.Errorf("the authority: %v, %v", fresh, err)
	}
	if list, err := f.Authorities(t.Context(), late.Authority); err != nil || len(list) != 1 || !list[0].RevokedAt.Equal(f.clock.Now()) {
		t.Errorf("then authorities are %+v, %v", list, err)
	}
	f.told(t, late, late.IssuedAt.Add(time.Hour), false)
	if _, err := f.Issue(t.Context(), newPhone(t).asks()); !errors.Is(err, provisioning.ErrAuthority) {
		t.Errorf("it issues: %v", err)
	}
}

// TestNeverShownOfManyAuthorities: each is listed once, those with and those without certificates that count, in the order of their ids.
func TestNeverShownOfManyAuthorities(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.config.Requests = nil
	f.ending(t)
	want := map[string]int{}
	for i := range 4 {
		f.ca.rotate(years)
		c := f.unshown(t, newPhone(t))
		if i%2 == 0 {
			f.issue(t, newPhone(t))
		}
		want[c.Authority] = 1 - i%2
	}
	f.ca.rotate(years)
	var last provisioning.Certificate
	const many = 230 // more than a page
	for range many {
		last = f.unshown(t, newPhone(t))
	}
	want[last.Authority] = 0
	f.clock.Advance(2 * time.Hour)
	list, err := f.Authorities(t.Context(), "")
	must(t, err)
	for i, a := range list {
		if n, has := want[a.ID]; !has || n != a.Certificates || i > 0 && list[i-1].ID >= a.ID {
			t.Errorf("listed is %+v", a)
		}
	}
	if len(list) != len(want) {
		t.Errorf("listed are %d", len(list))
	}
	if revoked, err := f.Revoked(t.Context(), last.Authority); err != nil || len(revoked) != many {
		t.Errorf("revoked are %d, %v", len(revoked), err)
	}
}

// TestSupersededOutside: a key that was replaced is over for others too, with all certificates for it, as soon as the other one is shown;
// and a renewal for the same key takes nothing away.
func TestSupersededOutside(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	changes := f.changing(t)
	first := f.issue(t, p)
	f.clock.Advance(70 * day)
	second, err := f.Issue(t.Context(), p.renews(first, p.key))
	must(t, err)
	f.present(t, p, second)
	f.told(t, first, time.Time{}, false)
	f.clock.Set(second.NotAfter.Add(-29 * day))
	old := p.key
	p.key = newKey(t)
	third, err := f.Issue(t.Context(), p.rekeys(second, old))
	must(t, err)
	f.told(t, second, time.Time{}, false)
	if changes() != 0 {
		t.Errorf("so far %d changes", changes())
	}
	f.present(t, p, third)
	at := f.clock.Now()
	f.told(t, second, at, true)
	f.told(t, third, time.Time{}, false)
	if changes() != 1 {
		t.Errorf("counted are %d changes", changes())
	}
	f.clock.Advance(time.Hour)
	f.present(t, p, third)
	if changes() != 1 {
		t.Errorf("once more shown, counted are %d changes", changes())
	}
	_, err = f.Revoke(t.Context(), third.Installation)
	must(t, err)
	f.told(t, second, at, true)
	f.told(t, third, f.clock.Now(), false)
	if list, err := f.Revoked(t.Context(), third.Authority); err != nil || len(list) != 2 {
		t.Errorf("listed are %+v, %v", list, err)
	}
}

// TestSupersededChain: a certificate that outlasts the one that followed it with the same key is over with the key.
func TestSupersededChain(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	first := f.issue(t, p)
	f.config.Profile.Validity = day
	var err error
	f.Store, err = provisioning.New(f.config)
	must(t, err)
	f.clock.Advance(70 * day)
	second, err := f.Issue(t.Context(), p.renews(first, p.key))
	must(t, err)
	f.clock.Advance(20 * time.Hour)
	old := p.key
	p.key = newKey(t)
	third, err := f.Issue(t.Context(), p.rekeys(second, old))
	must(t, err)
	f.present(t, p, third)
	f.told(t, first, f.clock.Now(), true)
	f.told(t, second, f.clock.Now(), true)
}

// tally is how often others had to be told something else. It is kept in the store, since closures run more than once.
type tally struct {
	N int `json:"n"`
}

var tallies = storage.Table[tally]{Name: "tally", Version: 1, ID: func(*tally) string { return "changes" }}

// changing has a store count what others have to be told, and returns what reads that.
func (f *fixture) changing(t testing.TB) func() int {
	t.Helper()
	f.config.OnChange = func(tx storage.Tx) error {
		n, _, err := tallies.Find(tx, "changes")
		n.N++
		return errors.Join(err, tallies.Put(tx, n))
	}
	var err error
	f.Store, err = provisioning.New(f.config)
	must(t, err)
	return func() (n int) {
		must(t, f.db.View(t.Context(), func(tx storage.Tx) error {
			has, _, err := tallies.Find(tx, "changes")
			n = has.N
			return err
		}))
		return n
	}
}

// TestRevokeAuthorityCounts: once, in the transaction after which nothing of it counts, however many certificates it has issued, and
// whether or not what rests on them was ended.
func TestRevokeAuthorityCounts(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	f.config.Requests = nil
	changes := f.changing(t)
	c := f.issue(t, p)
	for range 230 { // more than a page
		f.issue(t, newPhone(t))
	}
	f.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Nth: 2, Err: storage.ErrUnavailable})
	if _, err := f.RevokeAuthority(t.Context(), c.Authority); !errors.Is(err, storage.ErrUnavailable) || changes() != 1 {
		t.Errorf("interrupted: %v, and counted are %d", err, changes())
	}
	f.db.Clear()
	if fresh, err := f.RevokeAuthority(t.Context(), c.Authority); fresh || err != nil || changes() != 1 {
		t.Errorf("again: %v, %v, and counted are %d", fresh, err, changes())
	}
}
