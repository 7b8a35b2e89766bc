// SPDX-License-Identifier: Apache-2.0

package provisioning_test

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// TestRevoke: from the next answer on nothing of the device counts: not its certificate, not a renewal, not the same key again; and what
// rests on it is ended in the same transaction. Others are as they were.
func TestRevoke(t *testing.T) {
	t.Parallel()
	f, p, other := newFixture(t), newPhone(t), newPhone(t)
	var ended []string
	f.config.OnRevoke = []func(storage.Tx, string) error{func(_ storage.Tx, id string) error {
		ended = []string{id}
		return nil
	}}
	var err error
	f.Store, err = provisioning.New(f.config)
	must(t, err)
	c, others := f.issue(t, p), f.issue(t, other)
	f.clock.Advance(70 * 24 * time.Hour)
	second, err := f.Issue(t.Context(), p.renews(c, p.key))
	must(t, err)

	fresh, err := f.Revoke(t.Context(), c.Installation)
	if !fresh || err != nil || len(ended) != 1 || ended[0] != c.Installation {
		t.Errorf("revoked: %v, %v, and ended was %v", fresh, err, ended)
	}
	for _, m := range []provisioning.Message{p.shows(c), p.shows(second)} {
		_, err := f.Present(t.Context(), m)
		refused(t, err, provisioning.ReasonRevoked)
	}
	fork := *p
	fork.key = newKey(t)
	for _, m := range []provisioning.Message{p.asks(), p.renews(second, p.key), fork.rekeys(second, p.key)} {
		_, err := f.Issue(t.Context(), m)
		refused(t, err, provisioning.ReasonRevoked)
	}
	f.clock.Advance(100 * 24 * time.Hour)
	_, err = f.Issue(t.Context(), p.asks())
	refused(t, err, provisioning.ReasonRevoked)
	f.clock.Advance(-100 * 24 * time.Hour)
	if _, err := f.Present(t.Context(), other.shows(others)); err != nil {
		t.Errorf("another device: %v", err)
	}
	if fresh, err := f.Revoke(t.Context(), c.Installation); fresh || err != nil {
		t.Errorf("again: %v, %v", fresh, err)
	}
	if _, err := f.Revoke(t.Context(), "ins_nobody"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("a device that nobody knows: %v", err)
	}
	if n := strings.Count(f.trail.String(), provisioning.EventRevoked); n != 1 {
		t.Errorf("the trail says it %d times", n)
	}
	list, err := f.List(t.Context(), "", "", 0)
	must(t, err)
	revoked := 0
	for i := range list {
		if len(list[i].Chain) > 0 {
			t.Error("the list has chains")
		}
		if !list[i].RevokedAt.IsZero() {
			revoked++
		}
	}
	mine, err := f.List(t.Context(), c.Installation, "", 1)
	if len(list) != 3 || revoked != 2 || len(mine) != 1 || mine[0].Installation != c.Installation || err != nil {
		t.Errorf("listed are %d, %d revoked; of the device %v, %v", len(list), revoked, mine, err)
	}
}

// counting counts what the last run of a transaction has read.
type counting struct {
	storage.DB
	reads int
}

func (c *counting) Update(ctx context.Context, do func(storage.Tx) error) error {
	return c.DB.Update(ctx, func(tx storage.Tx) error {
		c.reads = 0
		return do(countingTx{tx, c})
	})
}

type countingTx struct {
	storage.Tx
	*counting
}

func (tx countingTx) Get(key string) (storage.Item, error) {
	tx.reads++
	return tx.Tx.Get(key)
}

// TestRevokeIsQuick, however often a device that expects it has renewed its certificate, and lasts as long as any of them could.
func TestRevokeIsQuick(t *testing.T) {
	t.Parallel()
	f, once, often := newFixture(t), newPhone(t), newPhone(t)
	db := &counting{DB: f.db}
	f.config.DB, f.config.Profile.Validity = db, time.Hour
	var err error
	f.Store, err = provisioning.New(f.config)
	must(t, err)
	c := f.issue(t, often)
	for range 20 {
		f.clock.Set(c.NotAfter.Add(-time.Minute))
		c, err = f.Issue(t.Context(), often.renews(c, often.key))
		must(t, err)
	}
	one := f.issue(t, once)
	var reads []int
	for _, c := range []provisioning.Certificate{one, c} {
		fresh, err := f.Revoke(t.Context(), c.Installation)
		if !fresh || err != nil {
			t.Errorf("revoked: %v, %v", fresh, err)
		}
		reads = append(reads, db.reads)
	}
	if reads[0] == 0 || reads[0] != reads[1] {
		t.Errorf("a device with one certificate takes %d reads, one with 21 takes %d", reads[0], reads[1])
	}

	f.config.Profile.Validity = provisioning.MaxValidity
	f.Store, err = provisioning.New(f.config)
	must(t, err)
	f.ca.rotate(20 * 365 * 24 * time.Hour)
	p := newPhone(t)
	c = f.issue(t, p)
	_, err = f.Revoke(t.Context(), c.Installation)
	must(t, err)
	f.clock.Set(c.NotAfter.Add(89 * 24 * time.Hour))
	_, err = f.Issue(t.Context(), p.asks())
	refused(t, err, provisioning.ReasonRevoked)
}

// TestRevokedWhileItRenews: what was ordered before the revocation is not given out after it.
func TestRevokedWhileItRenews(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	c := f.issue(t, p)
	f.clock.Advance(70 * 24 * time.Hour)
	f.ca.break_ = func(chain []*x509.Certificate, err error) ([]*x509.Certificate, error) {
		_, revoked := f.Revoke(context.Background(), c.Installation)
		return chain, errors.Join(err, revoked)
	}
	_, err := f.Issue(t.Context(), p.renews(c, p.key))
	refused(t, err, provisioning.ReasonRevoked)
}

// A store that fails revokes nothing halfway.
func TestRevokeFaults(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	c := f.issue(t, p)
	broken := errors.New("the hook is broken")
	f.config.OnRevoke = []func(storage.Tx, string) error{func(storage.Tx, string) error { return broken }}
	failing, err := provisioning.New(f.config)
	must(t, err)
	if fresh, err := failing.Revoke(t.Context(), c.Installation); fresh || !errors.Is(err, broken) {
		t.Errorf("revoked: %v, %v", fresh, err)
	}
	f.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Err: storage.ErrUnavailable})
	if fresh, err := f.Revoke(t.Context(), c.Installation); fresh || !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("revoked: %v, %v", fresh, err)
	}
	f.db.Clear()
	if _, err := f.Present(t.Context(), p.shows(c)); err != nil {
		t.Errorf("after that: %v", err)
	}
	f.db.Inject(storagetest.Fault{Op: storagetest.OnView, Err: storage.ErrUnavailable})
	if _, err := f.List(t.Context(), "", "", 0); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("listing: %v", err)
	}
}
