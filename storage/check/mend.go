// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"errors"

	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
)

// settle mends what was found, if it is to be mended and still is as it was, and puts it into the report.
func (r *run) settle(ctx context.Context, f Finding) error {
	var err error
	switch f.What {
	case Missing, Expiry:
		f.Mended, err = r.mend(ctx, f, r.restore)
	case Dangling, Stale:
		f.Mended, err = r.mend(ctx, f, r.unlink)
	case Unreadable:
		f.Mended, err = r.discard(ctx, f)
	}
	if err != nil {
		return err
	}
	r.report.Found++
	if f.Mended {
		r.report.Mended++
	}
	if len(r.report.Findings) < maxFindings {
		r.report.Findings = append(r.report.Findings, f)
	}
	return nil
}

func (r *run) mend(ctx context.Context, f Finding, step func(storage.Tx, Finding) error) (bool, error) {
	if !r.Repair {
		return false, nil
	}
	err := r.DB.Update(ctx, func(tx storage.Tx) error { return step(tx, f) })
	return err == nil, err
}

// restore writes the entries that a record has and nobody else has taken.
func (r *run) restore(tx storage.Tx, f Finding) error {
	item, err := tx.Get(f.key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	entries, err := r.kinds[f.Table].Entries(item)
	if err != nil {
		return nil // it has changed since, and whoever reads it says so
	}
	for _, want := range entries {
		what, err := r.compare(tx, storage.Place{Table: f.Table, ID: f.ID}, want)
		if err != nil {
			return err
		}
		if what == Missing || what == Expiry {
			if err := tx.Put(want); err != nil {
				return err
			}
		}
	}
	return nil
}

// unlink removes an entry that leads nowhere.
func (r *run) unlink(tx storage.Tx, f Finding) error {
	item, err := tx.Get(f.key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	_, claims, err := r.claims(tx, f.Table, item)
	if err != nil || claims {
		return err
	}
	return tx.Delete(f.key)
}

// discard hands a record over that cannot be read, and removes it with the entries that led to it.
func (r *run) discard(ctx context.Context, f Finding) (done bool, err error) {
	if r.Discard == nil {
		return false, nil
	}
	if done, err = r.drop(ctx, f); err != nil || !done {
		return false, err
	}
	return true, r.orphans(ctx, f)
}

func (r *run) drop(ctx context.Context, f Finding) (done bool, err error) {
	var doomed storage.Item
	err = r.DB.View(ctx, func(tx storage.Tx) error {
		doomed, err = tx.Get(f.key)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return true, nil
	}
	if err != nil || !r.lost(f, doomed) {
		return false, err
	}
	if err := r.Discard(doomed); err != nil {
		return false, err
	}
	err = r.DB.Update(ctx, func(tx storage.Tx) error {
		done = false
		item, err := tx.Get(f.key)
		if err != nil || !r.lost(f, item) {
			return err
		}
		done = true
		return tx.Delete(f.key)
	})
	if errors.Is(err, storage.ErrNotFound) {
		return true, nil
	}
	return done && err == nil, err
}

// orphans removes the entries that led to a record which was dropped. All of them stand before the records, so that they have been looked
// at while the record might still have had them.
func (r *run) orphans(ctx context.Context, f Finding) error {
	for after, last := "", false; !last; {
		var page []seen
		err := r.DB.View(ctx, func(tx storage.Tx) (err error) {
			page, err = r.page(tx, f.Table+"#", after)
			return err
		})
		if err != nil {
			return err
		}
		for _, s := range page {
			after = s.Key
			if s.place.ID != f.ID {
				continue
			}
			err := r.DB.Update(ctx, func(tx storage.Tx) error { return r.unlink(tx, Finding{Table: f.Table, key: s.Key}) })
			if err != nil {
				return err
			}
		}
		last = len(page) < pageItems
	}
	return nil
}

// lost reports whether nothing would make a record readable again: no other key, no newer release.
func (r *run) lost(f Finding, item storage.Item) bool {
	_, err := r.kinds[f.Table].Entries(item)
	return err != nil && !errors.Is(err, storage.ErrNewer) && !errors.Is(err, seal.ErrUnknownKey)
}
