// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"context"
	"errors"
	"sync"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Twice returns db with a caprice the contract allows (clause 4): about half of the closures given to Update run twice, the
// first run rolled back. What rests on a closure running once breaks under it. The seed makes the choice repeatable for
// calls made one after the other.
func Twice(db storage.DB, seed uint64) storage.DB {
	return &twice{db: db, state: seed}
}

type twice struct {
	db storage.DB

	mu    sync.Mutex
	state uint64
}

var errFirstRun = errors.New("rolling back the first of two runs")

// View is that of the store underneath.
func (t *twice) View(ctx context.Context, fn func(storage.Tx) error) error {
	return t.db.View(ctx, fn)
}

// Watch is that of the store underneath.
func (t *twice) Watch(tables ...string) *storage.Notices { return storage.Watch(t.db, tables...) }

// Update may run fn in a transaction that is rolled back, whatever fn made of it, before the one that counts.
func (t *twice) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if t.flip() {
		err := t.db.Update(ctx, func(tx storage.Tx) error {
			_ = fn(tx) // a closure that is run again is not asked what it thought of the first run
			return errFirstRun
		})
		if !errors.Is(err, errFirstRun) {
			return err
		}
	}
	return t.db.Update(ctx, fn)
}

// Close closes the store underneath.
func (t *twice) Close() error { return t.db.Close() }

// flip draws one bit by splitmix64, which needs no more state than its seed.
func (t *twice) flip() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state += 0x9e3779b97f4a7c15
	z := t.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return (z^z>>31)&1 == 1
}
