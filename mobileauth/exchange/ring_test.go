// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth/exchange"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const day = 24 * time.Hour

type fixture struct {
	clock  *storagetest.Clock
	db     *storagetest.FaultyDB
	sealer storage.Sealer
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{clock: storagetest.NewClock()}
	db, err := memstore.Open(memstore.Config{Now: f.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	f.db = storagetest.Faulty(storagetest.Twice(db, 7))
	if f.sealer, err = seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789abcdef")}); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) open(t testing.TB) *exchange.Ring {
	t.Helper()
	ring, err := exchange.Open(exchange.Config{DB: f.db, Sealer: f.sealer, Now: f.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func (f *fixture) node(t testing.TB) *exchange.Ring {
	t.Helper()
	ring := f.open(t)
	must(t, ring.Load(t.Context()))
	return ring
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func current(t testing.TB, ring *exchange.Ring) jose.EncryptionKey {
	t.Helper()
	k, err := ring.Current()
	must(t, err)
	return k
}

func finds(t testing.TB, ring *exchange.Ring, kid string) bool {
	t.Helper()
	k, ok, err := ring.Find(t.Context(), kid)
	must(t, err)
	if ok && k.KID != kid {
		t.Fatalf("looking for %q found %q", kid, k.KID)
	}
	return ok
}

func TestConfig(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, test := range []struct {
		name   string
		change func(*exchange.Config)
	}{
		{"no store", func(c *exchange.Config) { c.DB = nil }},
		{"no sealer", func(c *exchange.Config) { c.Sealer = nil }},
		{"no clock", func(c *exchange.Config) { c.Now = nil }},
		{"retained for less than phones are away", func(c *exchange.Config) { c.Retain = day }},
		{"rotated all the time", func(c *exchange.Config) { c.RotateEvery = time.Hour }},
		{"too many published", func(c *exchange.Config) { c.RotateEvery, c.Retain = day, 15*day }},
	} {
		c := exchange.Config{DB: f.db, Sealer: f.sealer, Now: f.clock.Now}
		test.change(&c)
		if _, err := exchange.Open(c); !errors.Is(err, exchange.ErrConfig) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestNothingBeforeLoad: a ring that has read nothing gives nothing away and invents nothing.
func TestNothingBeforeLoad(t *testing.T) {
	t.Parallel()
	ring := newFixture(t).open(t)
	if _, err := ring.Current(); !errors.Is(err, exchange.ErrNotLoaded) {
		t.Errorf("Current: %v", err)
	}
	if _, ok, err := ring.Find(t.Context(), "k"); ok || !errors.Is(err, exchange.ErrNotLoaded) {
		t.Errorf("Find: %v, %v", ok, err)
	}
	if got := ring.Publics(); got != nil {
		t.Errorf("Publics: %v", got)
	}
}

// TestLife: a message to a key opens until a phone cannot hold the key any more, and not after.
func TestLife(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ring := f.node(t)
	first := current(t, ring)
	profile := jose.Encryption{Typ: "test+jwe", CTY: "JWT", Limit: 1 << 10}
	message, err := profile.Seal(first, []byte("hello"))
	must(t, err)

	must(t, ring.Tick(t.Context()))
	if got := current(t, ring).KID; got != first.KID {
		t.Fatal("the key changed before its time")
	}
	f.clock.Advance(exchange.DefaultRotateEvery)
	must(t, ring.Tick(t.Context()))
	second := current(t, ring)
	if second.KID == first.KID {
		t.Fatal("the key did not change when it was due")
	}
	if got := ring.Publics(); len(got) != 2 || got[0].KID != second.KID || got[1].KID != first.KID {
		t.Fatalf("published are %v", got)
	}
	f.clock.Advance(exchange.DefaultRetain - time.Millisecond)
	must(t, ring.Tick(t.Context()))
	k, ok, err := ring.Find(t.Context(), first.KID)
	must(t, err)
	if !ok {
		t.Fatal("a key went while phones may hold it")
	}
	sealed, err := profile.Parse(message)
	must(t, err)
	if plain, err := sealed.Open(k); err != nil || string(plain) != "hello" {
		t.Errorf("the message opens as %q, %v", plain, err)
	}
	f.clock.Advance(time.Millisecond)
	must(t, ring.Tick(t.Context()))
	if finds(t, ring, first.KID) || !finds(t, ring, second.KID) {
		t.Error("the wrong key went")
	}
}

// TestRotateTooOften: somebody who rotates again and again is stopped before phones cannot read the set.
func TestRotateTooOften(t *testing.T) {
	t.Parallel()
	ring := newFixture(t).node(t)
	for range 15 {
		must(t, ring.Rotate(t.Context()))
	}
	last := current(t, ring)
	if err := ring.Rotate(t.Context()); !errors.Is(err, exchange.ErrTooMany) {
		t.Errorf("the seventeenth key: %v", err)
	}
	if current(t, ring).KID != last.KID || len(ring.Publics()) != 16 {
		t.Error("a rotation that was refused changed something")
	}
}

// TestOtherNode: a phone that has the newest key is understood by a node that has not read it yet, and strangers who make
// names up do not send that node to the store each time.
func TestOtherNode(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	here, there := f.node(t), f.node(t)
	if current(t, here).KID != current(t, there).KID {
		t.Fatal("two nodes began with two keys")
	}
	must(t, there.Rotate(t.Context()))
	if !finds(t, here, current(t, there).KID) {
		t.Fatal("the key of the other node was not found")
	}
	f.db.Inject(storagetest.Fault{Op: storagetest.OnView, Err: storage.ErrClosed})
	if finds(t, here, "made up") {
		t.Fatal("a name that nobody has was found")
	}
	f.clock.Advance(time.Second)
	if _, ok, err := here.Find(t.Context(), "made up"); ok || !errors.Is(err, storage.ErrClosed) {
		t.Errorf("with the store down: %v, %v", ok, err)
	}
	if !finds(t, here, current(t, here).KID) {
		t.Error("a key at hand is gone with the store")
	}
}

// TestStoreDown: a change that fails leaves the keys at hand in use, and is made up for later.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	for _, op := range []storagetest.Op{storagetest.OnView, storagetest.OnUpdate, storagetest.OnCommit} {
		f := newFixture(t)
		ring := f.node(t)
		first := current(t, ring)
		f.db.Inject(storagetest.Fault{Op: op, Nth: 1, Err: storage.ErrClosed})
		if err := ring.Rotate(t.Context()); !errors.Is(err, storage.ErrClosed) {
			t.Errorf("%v: %v", op, err)
		}
		if current(t, ring).KID != first.KID {
			t.Errorf("%v: a key that is not stored is current", op)
		}
		must(t, ring.Rotate(t.Context()))
		if current(t, ring).KID == first.KID {
			t.Errorf("%v: nothing changed", op)
		}
	}
}

// TestSealed: whoever reads the store does not read the keys.
func TestSealed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.node(t)
	other, err := seal.New(seal.Key{ID: "k", Secret: []byte("fedcba9876543210fedcba9876543210")})
	must(t, err)
	ring, err := exchange.Open(exchange.Config{DB: f.db, Sealer: other, Now: f.clock.Now})
	must(t, err)
	if err := ring.Load(t.Context()); err == nil {
		t.Error("another key opened the record")
	}
	if _, err := ring.Current(); !errors.Is(err, exchange.ErrNotLoaded) {
		t.Errorf("after a failed load: %v", err)
	}
}

// TestNodesTogether: nodes that start and rotate at the same time end with the same keys.
func TestNodesTogether(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	rings := make([]*exchange.Ring, 8)
	var group sync.WaitGroup
	for i := range rings {
		rings[i] = f.open(t)
		group.Go(func() {
			if err := errors.Join(rings[i].Load(t.Context()), rings[i].Rotate(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, ring := range rings {
		must(t, ring.Load(t.Context()))
		if current(t, ring).KID != current(t, rings[0]).KID || len(ring.Publics()) != len(rings)+1 {
			t.Fatal("the nodes do not agree")
		}
	}
}

// TestModel plays any history of two nodes: a phone that learned the key less than a year ago is always understood, and no
// key outlives the schedule.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(t)
		nodes := []*exchange.Ring{f.node(t), f.node(t)}
		fetched := map[string]time.Time{} // when a phone last took the key for the current one
		replaced := map[string]time.Time{}
		node := func() *exchange.Ring { return nodes[rapid.IntRange(0, 1).Draw(rt, "node")] }
		rt.Repeat(map[string]func(*rapid.T){
			"fetch": func(*rapid.T) { fetched[current(t, node()).KID] = f.clock.Now() },
			"tick":  func(*rapid.T) { must(t, errors.Join(nodes[0].Tick(t.Context()), nodes[1].Tick(t.Context()))) },
			"rotate": func(rt *rapid.T) {
				n := node()
				must(t, n.Load(context.WithoutCancel(t.Context())))
				old := current(t, n).KID
				if err := n.Rotate(t.Context()); err == nil {
					replaced[old] = f.clock.Now()
				} else if !errors.Is(err, exchange.ErrTooMany) {
					rt.Fatal(err)
				}
				must(t, errors.Join(nodes[0].Load(t.Context()), nodes[1].Load(t.Context())))
			},
			"wait": func(rt *rapid.T) { f.clock.Advance(time.Duration(rapid.Int64Range(1, int64(90*day)).Draw(rt, "for"))) },
			"": func(rt *rapid.T) {
				for kid, at := range fetched {
					if f.clock.Now().Before(at.Add(exchange.DefaultRetain)) && !finds(t, node(), kid) {
						rt.Fatalf("a phone that learned the key %s ago is not understood", f.clock.Now().Sub(at))
					}
				}
				for _, k := range nodes[0].Publics()[1:] {
					if at, ok := replaced[k.KID]; ok && f.clock.Now().After(at.Add(exchange.DefaultRetain+90*day+time.Hour)) {
						must(t, nodes[0].Tick(t.Context()))
						if finds(t, nodes[0], k.KID) {
							rt.Fatal("a key outlived the schedule")
						}
					}
				}
			},
		})
	})
}

func BenchmarkFind(b *testing.B) {
	ring := newFixture(b).node(b)
	kid := current(b, ring).KID
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, err := ring.Find(b.Context(), kid); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
