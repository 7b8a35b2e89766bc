// SPDX-License-Identifier: Apache-2.0

package owned_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/owned"
	"github.com/gatehouse-id/gatehouse/storage"
)

// logins are devices by user, records certificates. Either may be down.
type (
	logins struct {
		devices map[string][]string
		err     error
	}
	records struct {
		all     []provisioning.Certificate
		revoked []string
		err     error
	}
)

func (l *logins) DevicesOf(_ context.Context, user string) ([]string, error) {
	return l.devices[user], l.err
}

func (r *records) List(_ context.Context, installation, after string, limit int) (list []provisioning.Certificate, err error) {
	for _, c := range r.all {
		if (installation == "" || c.Installation == installation) && c.ID > after && len(list) < limit {
			list = append(list, c)
		}
	}
	return list, r.err
}

func (r *records) Revoke(_ context.Context, installation string) (bool, error) {
	if !slices.ContainsFunc(r.all, func(c provisioning.Certificate) bool { return c.Installation == installation }) {
		return false, storage.ErrNotFound
	}
	r.revoked = append(r.revoked, installation)
	return true, r.err
}

const alice, bob = "usr_alice", "usr_bob"

func newWorld(t *testing.T) (*owned.Owned, *logins, *records) {
	t.Helper()
	l := &logins{devices: map[string][]string{alice: {"dev_phone", "", "ins_old", "ins_tablet"}, bob: {"ins_bob", "ins_tablet"}}}
	r := new(records)
	at := time.Date(2026, time.March, 14, 9, 30, 0, 0, time.UTC)
	for i, one := range []struct{ id, installation string }{
		{"a", "ins_old"}, {"b", "ins_tablet"}, {"c", "ins_bob"}, {"e", "ins_nobody"}, {"d", "ins_tablet"},
	} {
		r.all = append(r.all, provisioning.Certificate{ID: one.id, Installation: one.installation, IssuedAt: at.Add(time.Duration(i) * time.Hour)})
	}
	slices.SortFunc(r.all, func(a, b provisioning.Certificate) int { return strings.Compare(a.ID, b.ID) })
	o, err := owned.New(l, r)
	if err != nil {
		t.Fatal(err)
	}
	return o, l, r
}

// wantIDs wants certificates by their ids.
func wantIDs(t *testing.T, what string, got []provisioning.Certificate, err error, want string) {
	t.Helper()
	var ids []string
	for _, c := range got {
		ids = append(ids, c.ID)
	}
	if err != nil || strings.Join(ids, " ") != want {
		t.Errorf("%s: %v, %v, want %s", what, ids, err, want)
	}
}

func TestWhoseCertificatesAre(t *testing.T) {
	t.Parallel()
	o, _, _ := newWorld(t)
	for user, want := range map[string]struct{ all, latest string }{alice: {"a b d", "d a"}, bob: {"b c d", "d c"}, "usr_none": {}, "": {}} {
		all, err := o.Of(t.Context(), user, "", 10)
		wantIDs(t, "all of "+user, all, err, want.all)
		latest, err := o.Latest(t.Context(), user)
		wantIDs(t, "the latest of "+user, latest, err, want.latest)
	}
	page, err := o.Of(t.Context(), alice, "", 2)
	wantIDs(t, "a page", page, err, "a b")
	page, err = o.Of(t.Context(), alice, "b", 2)
	wantIDs(t, "the next page", page, err, "d")
}

// Nobody takes away what is another's; what two have logged in on each of them may.
func TestRemove(t *testing.T) {
	t.Parallel()
	o, _, r := newWorld(t)
	for _, id := range []string{"ins_bob", "ins_nobody", "ins_none", "dev_phone", ""} {
		if err := o.Remove(t.Context(), alice, id); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("removing %q: %v", id, err)
		}
	}
	if len(r.revoked) != 0 {
		t.Fatalf("revoked is %v", r.revoked)
	}
	for _, user := range []string{alice, bob} {
		if err := o.Remove(t.Context(), user, "ins_tablet"); err != nil {
			t.Error(err)
		}
	}
	if len(r.revoked) != 2 {
		t.Errorf("revoked is %v", r.revoked)
	}
}

func TestStoresThatAreDown(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*logins, *records){
		"logins":  func(l *logins, _ *records) { l.err = storage.ErrUnavailable },
		"records": func(_ *logins, r *records) { r.err = storage.ErrUnavailable },
	} {
		o, l, r := newWorld(t)
		fail(l, r)
		_, all := o.Of(t.Context(), alice, "", 10)
		_, latest := o.Latest(t.Context(), alice)
		for what, err := range map[string]error{"all": all, "the latest": latest, "removing": o.Remove(t.Context(), alice, "ins_tablet")} {
			if !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("without %s, %s: %v", name, what, err)
			}
		}
	}
	if _, err := owned.New(nil, new(records)); err == nil {
		t.Error("built without logins")
	}
	if _, err := owned.New(new(logins), nil); err == nil {
		t.Error("built without records")
	}
}
