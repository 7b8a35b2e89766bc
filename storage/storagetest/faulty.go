// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Op says where a [Fault] strikes.
type Op int

// The places where a store can fail its caller.
const (
	OnView   Op = iota + 1 // instead of a View
	OnUpdate               // instead of an Update: the closure does not run
	OnCommit               // after the closure ran: nothing is written
	OnReply                // after the commit: everything is written and the caller does not learn it
)

// Fault is one thing that goes wrong.
type Fault struct {
	// Op is where it strikes.
	Op Op
	// Nth counts matching calls from the injection on: 1 is the next one. Zero strikes every time until [FaultyDB.Clear].
	Nth int
	// Err is what the caller gets; it is wrapped. One that is not among the errors of the contract is an engine's own trouble and
	// gets [storage.ErrUnavailable] beside it, as engines do. On reply, nil stands for [storage.ErrUnknown]. Elsewhere nil lets
	// the call go on, which makes a fault that only waits.
	Err error
	// Wait, when set, holds the call until it is closed or the call's context ends: a slow store.
	Wait <-chan struct{}
}

// Faulty returns db with faults to be injected. Without any it is db.
func Faulty(db storage.DB) *FaultyDB {
	return &FaultyDB{db: db}
}

// FaultyDB is a store that fails on demand. It is safe for concurrent use.
type FaultyDB struct {
	db storage.DB

	mu    sync.Mutex
	armed []*armed
}

type armed struct {
	Fault
	calls int // that matched so far
}

var _ storage.DB = (*FaultyDB)(nil)

// Watch is that of the store underneath.
func (f *FaultyDB) Watch(tables ...string) *storage.Notices { return storage.Watch(f.db, tables...) }

// Inject adds a fault.
func (f *FaultyDB) Inject(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = append(f.armed, &armed{Fault: fault})
}

// Clear removes every fault.
func (f *FaultyDB) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = nil
}

// View fails by a fault of [OnView], else it is that of the store underneath.
func (f *FaultyDB) View(ctx context.Context, fn func(storage.Tx) error) error {
	if err := f.strike(ctx, OnView); err != nil {
		return err
	}
	return f.db.View(ctx, fn)
}

// Update fails by a fault of the other three kinds, else it is that of the store underneath. A fault on commit strikes
// once per Update, in the closure's last run or an earlier one.
func (f *FaultyDB) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if err := f.strike(ctx, OnUpdate); err != nil {
		return err
	}
	var decided bool
	var fault error
	err := f.db.Update(ctx, func(tx storage.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		if !decided {
			decided, fault = true, f.strike(ctx, OnCommit)
		}
		return fault
	})
	if err != nil {
		return err
	}
	return f.strike(ctx, OnReply)
}

// Close closes the store underneath.
func (f *FaultyDB) Close() error { return f.db.Close() }

// strike returns the error of the fault that is due, having waited as it says.
func (f *FaultyDB) strike(ctx context.Context, op Op) error {
	fault := f.due(op)
	if fault == nil {
		return nil
	}
	if fault.Wait != nil {
		select {
		case <-fault.Wait:
		case <-ctx.Done():
			if op != OnReply {
				return ctx.Err()
			}
		}
	}
	switch {
	case fault.Err != nil && contracted(fault.Err):
		return fmt.Errorf("using a faulty store: %w", fault.Err)
	case fault.Err != nil:
		return fmt.Errorf("using a faulty store: %w: %w", storage.ErrUnavailable, fault.Err)
	case op == OnReply && fault.Wait == nil:
		return fmt.Errorf("using a faulty store: %w", storage.ErrUnknown)
	}
	return nil
}

// contracted reports whether an error says by itself what it means.
func contracted(err error) bool {
	return slices.ContainsFunc([]error{
		storage.ErrNotFound, storage.ErrExists, storage.ErrConflict, storage.ErrTooLarge, storage.ErrReadOnly, storage.ErrUnknown,
		storage.ErrClosed, storage.ErrFull, storage.ErrUnavailable, context.Canceled, context.DeadlineExceeded,
	}, func(known error) bool { return errors.Is(err, known) })
}

// due counts the call against every fault for op and returns the first that strikes now.
func (f *FaultyDB) due(op Op) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	var hit *Fault
	f.armed = slices.DeleteFunc(f.armed, func(a *armed) bool {
		if a.Op != op {
			return false
		}
		a.calls++
		if hit != nil || a.calls < a.Nth {
			return false
		}
		hit = &a.Fault
		return a.Nth != 0
	})
	return hit
}
