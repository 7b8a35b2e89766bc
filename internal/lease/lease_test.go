// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/lease"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// world is a store and nodes whose clocks go alike and show what they like.
type world struct {
	*testing.T
	clock *storagetest.Clock
	db    *storagetest.FaultyDB
}

func newWorld(t *testing.T) *world {
	t.Helper()
	clock := storagetest.NewClock()
	db, err := memstore.Open(memstore.Config{Now: clock.Now})
	must(t, err)
	return &world{T: t, clock: clock, db: storagetest.Faulty(db)}
}

func (w *world) node(off time.Duration) *lease.Lease {
	w.Helper()
	l, err := lease.New(lease.Config{
		DB: w.db, Name: "rounds", Now: func() time.Time { return w.clock.Now().Add(off) }, Logger: slog.New(slog.DiscardHandler),
	})
	must(w, err)
	return l
}

func (w *world) try(nodes ...*lease.Lease) {
	w.Helper()
	for _, l := range nodes {
		must(w, l.Try(w.Context()))
	}
}

// want checks who holds the lease.
func (w *world) want(when string, holder *lease.Lease, others ...*lease.Lease) {
	w.Helper()
	if holder != nil && !holder.Held() {
		w.Errorf("%s: the holder does not hold it", when)
	}
	for i, l := range others {
		if l.Held() {
			w.Errorf("%s: node %d of the others holds it", when, i)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestClocks: a clock that is a minute off, or an hour, takes nothing away from who is alive.
func TestClocks(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{0, time.Minute, -time.Minute, time.Hour, -time.Hour} {
		w := newWorld(t)
		a, b := w.node(0), w.node(off)
		w.want("before", nil, a, b)
		w.try(a)
		for range 100 {
			w.try(b, a)
			w.want("while it is renewed", a, b)
			w.clock.Advance(lease.Renewal)
		}
	}
}

// TestAHolderGoes: another one takes the lease after a term, and not before.
func TestAHolderGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b, c := w.node(0), w.node(-time.Minute), w.node(time.Minute)
	w.try(a, b, c)
	for range int(lease.Term/lease.Renewal) - 1 {
		w.clock.Advance(lease.Renewal)
		w.try(b, c)
		w.want("within the term", nil, b, c)
	}
	w.want("shortly before its end", nil, a) // it has not renewed it, and knows
	w.clock.Advance(lease.Renewal)
	w.try(b, c)
	w.want("after the term", b, a, c)
	w.try(a)
	w.want("the one that is back", b, a, c)
}

// TestWhoCouldNotLook: who comes back to a record that it knows from long ago does not take it for one that stays as it is, if it was
// renewed meanwhile; and who looks for the first time waits for a whole term.
func TestWhoCouldNotLook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b, c := w.node(0), w.node(0), w.node(0)
	w.try(a, b)
	for range 60 {
		w.clock.Advance(lease.Renewal)
		w.try(a)
	}
	w.try(b, c)
	w.want("b was away, c is new", a, b, c)
	w.clock.Advance(lease.Term - time.Millisecond)
	w.try(b, c)
	w.want("not yet", nil, a, b, c)
	w.clock.Advance(time.Millisecond)
	w.try(b)
	w.want("a whole term later", b, a, c)
}

// TestRelease: a lease that was given back is had at once; who has it not gives nothing back.
func TestRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.node(0), w.node(0)
	w.try(a, b)
	must(t, b.Release(t.Context()))
	w.try(b)
	w.want("given back by the wrong one", a, b)
	must(t, a.Release(t.Context()))
	w.want("given back", nil, a, b)
	w.try(b, a)
	w.want("taken", b, a)
}

// TestTheStoreIsDown: who cannot renew does not hold for longer than others wait, whether or not what it wrote has arrived.
func TestTheStoreIsDown(t *testing.T) {
	t.Parallel()
	for _, op := range []storagetest.Op{storagetest.OnUpdate, storagetest.OnCommit, storagetest.OnReply} {
		w := newWorld(t)
		a, b := w.node(0), w.node(0)
		w.try(a, b)
		fault := storagetest.Fault{Op: op, Err: storage.ErrUnavailable}
		if op == storagetest.OnReply {
			fault.Err = storage.ErrUnknown
		}
		w.db.Inject(fault)
		for range int((lease.Term - time.Second) / lease.Renewal) {
			w.clock.Advance(lease.Renewal)
			if err := a.Try(t.Context()); !errors.Is(err, fault.Err) {
				t.Errorf("renewing: %v", err)
			}
		}
		w.want("the store is down", nil, a)
		w.db.Clear()
		w.try(a, b)
		w.want("it is back", a, b)
	}
}

// TestMany: of many nodes that try at the same moment one has it.
func TestMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nodes := make([]*lease.Lease, 16)
	var group sync.WaitGroup
	for i := range nodes {
		nodes[i] = w.node(0)
		group.Go(func() {
			if err := nodes[i].Try(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	held := 0
	for _, l := range nodes {
		if l.Held() {
			held++
		}
	}
	if held != 1 {
		t.Errorf("%d nodes hold it", held)
	}
}

// TestRun: over a minute and two changes there is at most one holder at any moment, and never none for ten seconds.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db, err := memstore.Open(memstore.Config{Now: time.Now})
		must(t, err)
		cut := storagetest.Faulty(db)
		var group sync.WaitGroup
		run := func(db storage.DB) (*lease.Lease, context.CancelFunc) {
			l, err := lease.New(lease.Config{DB: db, Name: "rounds", Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
			must(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			group.Go(func() { l.Run(ctx) })
			synctest.Wait()
			return l, cancel
		}
		a, endA := run(cut)
		b, endB := run(db)
		c, endC := run(db)
		none := time.Duration(0)
		watch := func(d time.Duration) {
			for range d / (100 * time.Millisecond) {
				<-time.After(100 * time.Millisecond)
				synctest.Wait()
				held := 0
				for _, l := range []*lease.Lease{a, b, c} {
					if l.Held() {
						held++
					}
				}
				if none += 100 * time.Millisecond; held > 0 {
					none = 0
				}
				if held > 1 || none >= 10*time.Second {
					t.Fatalf("%d hold it, for %s nobody", held, none)
				}
			}
		}
		watch(10 * time.Second)
		if !a.Held() {
			t.Error("the first does not hold it")
		}
		cut.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: storage.ErrUnavailable}) // as if it were gone
		watch(20 * time.Second)
		if a.Held() || !b.Held() && !c.Held() {
			t.Error("nobody took it from who is gone")
		}
		if b.Held() {
			endB()
		} else {
			endC()
		}
		watch(2 * time.Second)
		if !b.Held() && !c.Held() {
			t.Error("nobody took what was given back")
		}
		endA()
		endB()
		endC()
		group.Wait()
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	full := lease.Config{DB: w.db, Name: "rounds", Now: w.clock.Now, Logger: slog.New(slog.DiscardHandler)}
	for name, change := range map[string]func(*lease.Config){
		"a store": func(c *lease.Config) { c.DB = nil }, "a name": func(c *lease.Config) { c.Name = "" },
		"a clock": func(c *lease.Config) { c.Now = nil }, "a logger": func(c *lease.Config) { c.Logger = nil },
	} {
		c := full
		change(&c)
		if _, err := lease.New(c); err == nil {
			t.Errorf("a lease without %s", name)
		}
	}
}
