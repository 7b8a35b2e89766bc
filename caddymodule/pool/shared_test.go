// SPDX-License-Identifier: Apache-2.0

package pool_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/caddymodule/pool"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
)

// together opens one store for several nodes.
type together struct {
	engine
	db storage.DB
}

func (e *together) Shared() bool { return true }

func (e *together) Open(_ context.Context, o pool.Options) (storage.DB, error) {
	if o.Leads == nil || o.Leads() {
		panic("it leads before it is open")
	}
	return lasting{e.db}, nil
}

// lasting is a store that does not close, and tells what is committed.
type lasting struct{ storage.DB }

func (lasting) Close() error { return nil }

func (l lasting) Watch(tables ...string) *storage.Notices { return storage.Watch(l.DB, tables...) }

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("waiting until %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestOneLeads: of the nodes over one store one does what one does for all, and another when that has ended.
func TestOneLeads(t *testing.T) {
	t.Parallel()
	db, err := memstore.Open(memstore.Config{Now: time.Now})
	must(t, err)
	e := &together{engine: engine{secret: secretA}, db: db}
	node := func(name string) *pool.Node {
		n, err := pool.Take(t.Name() + name)
		must(t, err)
		must(t, n.Start(t.Context(), e, nil, options(new(bytes.Buffer))))
		return n
	}
	first := node("first")
	eventually(t, "the first leads", first.Leads)
	second := node("second")
	if second.Leads() {
		t.Error("both lead")
	}
	must(t, pool.Release(t.Name()+"first"))
	eventually(t, "the second leads", second.Leads)
	if first.Leads() {
		t.Error("a node that has ended leads")
	}
	must(t, pool.Release(t.Name()+"second"))
}

// TestAloneLeads: with a store of its own a node does everything, also before the store is open: there is nothing to do then.
func TestAloneLeads(t *testing.T) {
	t.Parallel()
	n := take(t)
	must(t, n.Start(t.Context(), &engine{secret: secretA}, nil, options(new(bytes.Buffer))))
	if !n.Leads() {
		t.Error("it does not lead")
	}
	release(t)
}

// TestNotices: they come through everything that stands between, once the store is open.
func TestNotices(t *testing.T) {
	t.Parallel()
	db, err := memstore.Open(memstore.Config{Now: time.Now})
	must(t, err)
	n := take(t)
	early := n.Watch("table")
	defer early.Stop()
	must(t, n.Start(t.Context(), &together{engine: engine{secret: secretA}, db: db}, nil, options(new(bytes.Buffer))))
	told := n.Watch("table")
	defer told.Stop()
	must(t, n.Update(t.Context(), func(tx storage.Tx) error { return tx.Put(storage.Item{Key: "table/id"}) }))
	<-told.C()
	if marks, more := told.Take(); more || !slices.Equal(marks, []uint64{storage.Mark("id")}) {
		t.Errorf("told: %x, %t", marks, more)
	}
	if early.C() != nil {
		t.Error("there were notices before there was a store")
	}
	release(t)
}
