// SPDX-License-Identifier: Apache-2.0

package cutoff_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/cutoff"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// desk is a book over a store of its own.
type desk struct {
	*testing.T
	db    *storagetest.FrailDB
	clock time.Time
	book  *cutoff.Book
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{T: t, clock: noon, book: cutoff.NewBook(time.Hour)}
	db, err := memstore.Open(memstore.Config{Now: func() time.Time { return d.clock }})
	if err != nil {
		t.Fatal(err)
	}
	d.db = storagetest.Frail(db)
	t.Cleanup(func() { _ = db.Close() })
	return d
}

func (d *desk) update(fn func(tx storage.Tx) error) {
	d.Helper()
	if err := d.db.Update(d.Context(), fn); err != nil {
		d.Fatal(err)
	}
}

func (d *desk) cut(target string, at time.Time) {
	d.Helper()
	d.update(func(tx storage.Tx) error { return d.book.Cut(tx, "subject", target, at) })
}

func (d *desk) moment(at time.Time) (m cutoff.Moment) {
	d.Helper()
	d.update(func(tx storage.Tx) (err error) {
		m, err = d.book.Moment(tx, at)
		return err
	})
	return m
}

func (d *desk) dead(kind, target string, m cutoff.Moment) (dead bool) {
	d.Helper()
	d.update(func(tx storage.Tx) (err error) {
		dead, err = d.book.Dead(tx, kind, target, m)
		return err
	})
	return dead
}

func TestDead(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	before := d.moment(noon)
	ahead := d.moment(noon.Add(time.Minute)) // by the clock of another node
	d.cut("alice", noon)
	after := d.moment(noon.Add(time.Second))
	behind := d.moment(noon.Add(-time.Minute))
	for _, tt := range []struct {
		name         string
		kind, target string
		moment       cutoff.Moment
		want         bool
	}{
		{"before it", "subject", "alice", before, true},
		{"before it, by a clock that is ahead", "subject", "alice", ahead, true},
		{"after it", "subject", "alice", after, false},
		{"after it, by a clock that is behind", "subject", "alice", behind, true},
		{"the zero moment", "subject", "alice", cutoff.Moment{}, true},
		{"somebody else", "subject", "bob", before, false},
		{"another kind", "client", "alice", before, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := d.dead(tt.kind, tt.target, tt.moment); got != tt.want {
				t.Errorf("dead is %v, want %v", got, tt.want)
			}
		})
	}
}

// A clock that lags must not bring back what is dead, nor may the count go back.
func TestACutoffOnlyMovesOn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.cut("alice", noon)
	between := d.moment(noon.Add(time.Second))
	d.cut("alice", noon.Add(-time.Minute))
	if !d.dead("subject", "alice", between) {
		t.Error("the second cut-off does not count")
	}
	late := d.moment(noon.Add(-time.Second))
	if !d.dead("subject", "alice", late) {
		t.Error("the first cut-off was moved back")
	}
	d.update(func(tx storage.Tx) error { return d.book.End(tx, "subject", "alice", noon.Add(-time.Hour)) })
	if !d.dead("subject", "alice", between) {
		t.Error("an end has taken the count back")
	}
}

func TestEndsAreNotCounted(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.update(func(tx storage.Tx) error { return d.book.End(tx, "session", "s", noon) })
	if got := d.moment(noon); got.Cutoffs != 0 {
		t.Errorf("%d cut-offs are counted, want none", got.Cutoffs)
	}
	for target, want := range map[string]bool{"s": true, "t": false} {
		d.update(func(tx storage.Tx) error {
			ended, err := d.book.Ended(tx, "session", target)
			if ended != want {
				t.Errorf("%s has ended: %v, want %v", target, ended, want)
			}
			return err
		})
	}
}

func TestCutoffsAreForgotten(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	before := d.moment(noon)
	d.cut("alice", noon)
	d.clock = noon.Add(time.Hour - time.Millisecond)
	if !d.dead("subject", "alice", before) {
		t.Error("forgotten too early")
	}
	d.clock = noon.Add(time.Hour)
	if d.dead("subject", "alice", before) {
		t.Error("kept for longer than it was to be")
	}
}

// Each read and each write fails once: the caller learns it, and nothing was written.
func TestEveryOperationMayFail(t *testing.T) {
	t.Parallel()
	for nth := 1; ; nth++ {
		d := newDesk(t)
		before := d.moment(noon)
		d.db.Break(nth)
		err := d.db.Update(t.Context(), func(tx storage.Tx) error { return d.book.Cut(tx, "subject", "alice", noon) })
		if !d.db.Broken() {
			if err != nil || nth < 4 {
				t.Errorf("after %d operations: %v", nth-1, err)
			}
			return
		}
		if !errors.Is(err, storagetest.ErrFrail) {
			t.Errorf("operation %d failed: %v", nth, err)
		}
		if d.dead("subject", "alice", before) || d.moment(noon) != before {
			t.Errorf("operation %d failed and the cut-off stands", nth)
		}
	}
}
