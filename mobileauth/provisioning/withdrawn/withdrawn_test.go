// SPDX-License-Identifier: Apache-2.0

package withdrawn_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/withdrawn"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a store with its clock and the tables.
type world struct {
	withdrawn.Tables
	t     testing.TB
	clock *storagetest.Clock
	db    *storagetest.FaultyDB
}

func newWorld(t testing.TB) *world {
	t.Helper()
	clock := storagetest.NewClock()
	db, err := memstore.Open(memstore.Config{Now: clock.Now})
	must(t, err)
	return &world{Tables: withdrawn.New(), t: t, clock: clock, db: storagetest.Faulty(storagetest.Twice(db, 3))}
}

func (w *world) update(do func(storage.Tx) error) {
	w.t.Helper()
	must(w.t, w.db.Update(w.t.Context(), do))
}

// keep writes a certificate that is over in an hour and expires in a day.
func (w *world) keep(authority, serial, installation string) withdrawn.Certificate {
	w.t.Helper()
	now := w.clock.Now().UTC()
	c := withdrawn.Certificate{
		Authority: authority, Serial: serial, Installation: installation, IssuedAt: now, From: now.Add(time.Hour), NotAfter: now.Add(24 * time.Hour),
		Superseded: true, Issuer: "CN=" + authority, IssuerNotAfter: now.Add(48 * time.Hour),
	}
	w.update(func(tx storage.Tx) error { return w.Keep(tx, c) })
	return c
}

func (w *world) get(authority, serial string) (c withdrawn.Certificate, err error) {
	err = w.db.View(w.t.Context(), func(tx storage.Tx) (err error) {
		c, err = w.Get(tx, authority, serial)
		return err
	})
	return c, err
}

func (w *world) each(authority string) (found []string, err error) {
	err = w.Each(w.t.Context(), w.db, authority, func(c *withdrawn.Certificate) {
		found = append(found, c.Authority+" "+c.Serial)
	})
	return found, err
}

// TestCertificates: what is written of one is found by its number until its time is over, or until it is forgotten.
func TestCertificates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.keep("a", "01", "ins_1")
	w.keep("a", "02", "ins_1")
	if got, err := w.get("a", "01"); err != nil || got != c {
		t.Errorf("written is %+v, %v", got, err)
	}
	known := func(installation string) error {
		return w.db.View(t.Context(), func(tx storage.Tx) error { return w.Known(tx, installation) })
	}
	if err := known("ins_1"); err != nil {
		t.Errorf("the installation: %v", err)
	}
	if err := known("ins_2"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("another installation: %v", err)
	}
	for range 2 {
		w.update(func(tx storage.Tx) error { return w.Forget(tx, "a", "01") })
	}
	for _, name := range [][2]string{{"a", "01"}, {"b", "02"}, {"a", "0"}} {
		if got, err := w.get(name[0], name[1]); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s is %+v, %v", name, got, err)
		}
	}
	w.clock.Set(c.NotAfter)
	if got, err := w.get("a", "02"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("after its time it is %+v, %v", got, err)
	}
	if err := known("ins_1"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("after its time the installation: %v", err)
	}
}

// TestSince: what was revoked first says from when on a certificate does not count.
func TestSince(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name                  string
		installation, issuer  time.Duration // after it was written; 0 is never
		from                  time.Duration
		superseded, authority bool
	}{
		{"nothing", 0, 0, time.Hour, true, false},
		{"the installation before", time.Minute, 0, time.Minute, false, false},
		{"the installation after", 2 * time.Hour, 0, time.Hour, true, false},
		{"the authority before", 0, time.Minute, time.Minute, false, true},
		{"both", time.Minute, time.Second, time.Minute, false, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			written := w.keep("a", "01", "ins_1")
			at := func(after time.Duration) time.Time { return written.IssuedAt.Add(after) }
			if c.installation > 0 {
				w.update(func(tx storage.Tx) error {
					return w.Installations.Insert(tx, withdrawn.Installation{ID: "ins_1", At: at(c.installation), Until: written.NotAfter})
				})
			}
			if c.issuer > 0 {
				w.update(func(tx storage.Tx) error {
					return w.Authorities.Insert(tx, withdrawn.Authority{ID: "a", At: at(c.issuer), Until: written.NotAfter})
				})
			}
			if got, err := w.get("a", "01"); err != nil || !got.From.Equal(at(c.from)) || got.Superseded != c.superseded {
				t.Errorf("written is %+v, %v", got, err)
			}
			must(t, w.db.View(t.Context(), func(tx storage.Tx) error {
				if _, distrusted, err := w.Since(tx, "ins_1", "a"); err != nil || distrusted != c.authority {
					t.Errorf("the authority is out: %v, %v", distrusted, err)
				}
				return nil
			}))
		})
	}
}

// TestEach: page after page, of one authority or of all, and never of one whose id begins alike.
func TestEach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var want []string
	for i := range 401 { // two pages and one
		serial := fmt.Sprintf("%04x", i)
		w.keep("a", serial, "ins_1")
		want = append(want, "a "+serial)
	}
	w.keep("ab", "01", "ins_2")
	w.keep("b", "01", "ins_2")
	if got, err := w.each("a"); err != nil || !slices.Equal(got, want) {
		t.Errorf("of one there are %d, %v", len(got), err)
	}
	if got, err := w.each(""); err != nil || len(got) != 403 || strings.Join(got[401:], ",") != "ab 01,b 01" {
		t.Errorf("of all there are %d, %v", len(got), err)
	}
	if got, err := w.each("c"); err != nil || len(got) > 0 {
		t.Errorf("of nobody there are %v, %v", got, err)
	}
	w.db.Inject(storagetest.Fault{Op: storagetest.OnView, Nth: 2, Err: storage.ErrUnavailable})
	if _, err := w.each("a"); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("without a store: %v", err)
	}
}

// TestIssuers: each once, with what its certificates say of it.
func TestIssuers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := strings.Repeat("A", 43)
	w.keep(first, "01", "ins_1")
	w.clock.Advance(time.Minute)
	latest := w.keep(first, "02", "ins_1")
	w.keep("no digest!", "01", "ins_1")
	at := w.clock.Now().UTC()
	w.update(func(tx storage.Tx) error {
		return w.Authorities.Insert(tx, withdrawn.Authority{ID: first, At: at, Until: latest.NotAfter})
	})
	list, err := w.Issuers(t.Context(), w.db, "")
	if err != nil || len(list) != 2 || list[0].ID != first || list[0].Fingerprint != strings.Repeat("0", 64) || list[0].Name != "CN="+first ||
		!list[0].Latest.Equal(latest.IssuedAt) || !list[0].RevokedAt.Equal(at) || list[1].Fingerprint != "" || !list[1].RevokedAt.IsZero() {
		t.Errorf("listed are %+v, %v", list, err)
	}
	last := func(authority string) (until time.Time, err error) {
		err = w.db.View(t.Context(), func(tx storage.Tx) (err error) {
			until, err = w.Last(tx, authority)
			return err
		})
		return until, err
	}
	if until, err := last("no digest!"); err != nil || !until.Equal(latest.IssuerNotAfter) {
		t.Errorf("its time is over %s, %v", until, err)
	}
	if _, err := last("nobody"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
	for _, nth := range []int{1, 2} {
		w.db.Inject(storagetest.Fault{Op: storagetest.OnView, Nth: nth, Err: storage.ErrUnavailable})
		if _, err := w.Issuers(t.Context(), w.db, ""); !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("without a store: %v", err)
		}
		w.db.Clear()
	}
}
