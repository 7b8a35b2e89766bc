// SPDX-License-Identifier: Apache-2.0

package faces

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Trail keeps events in the store of the world, so that what is rolled back leaves none.
type Trail struct {
	t  testing.TB
	db storage.DB // without the world's faults

	mu     sync.Mutex
	drawn  int
	logged []audit.Event
	fail   error
}

var events = &storage.Table[audit.Event]{Name: "trail", Version: 1, ID: func(e *audit.Event) string { return e.ID }}

// Record stores an event, or fails as told.
func (t *Trail) Record(ctx context.Context, e audit.Event) error {
	e = t.Prepare(e)
	return t.db.Update(ctx, func(tx storage.Tx) error { return t.Append(tx, e) })
}

// Prepare numbers an event.
func (t *Trail) Prepare(e audit.Event) audit.Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drawn++
	e.ID = fmt.Sprintf("%06d", t.drawn)
	return e
}

// Append stores an event in a transaction, or fails as told.
func (t *Trail) Append(tx storage.Tx, e audit.Event) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fail != nil {
		return t.fail
	}
	return events.Put(tx, e)
}

// Log keeps an event that is not stored either.
func (t *Trail) Log(_ context.Context, e audit.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.ID == "" {
		t.logged = append(t.logged, e)
	}
}

// Fail lets storing fail from now on; nil mends it.
func (t *Trail) Fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail = err
}

// Stored returns the events that were stored, in the order in which they were described.
func (t *Trail) Stored() (stored []audit.Event) {
	t.t.Helper()
	err := t.db.View(context.WithoutCancel(t.t.Context()), func(tx storage.Tx) error {
		for e, err := range events.All(tx, "", 0) {
			if err != nil {
				return err
			}
			e.ID = ""
			stored = append(stored, e)
		}
		return nil
	})
	if err != nil {
		t.t.Error(err)
	}
	return stored
}

// Logged returns the events that were only logged.
func (t *Trail) Logged() []audit.Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.logged)
}
