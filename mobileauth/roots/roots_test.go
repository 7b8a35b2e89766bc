// SPDX-License-Identifier: Apache-2.0

package roots_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth/roots"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

type fixture struct {
	clock  *storagetest.Clock
	db     *storagetest.FaultyDB
	raw    storage.DB
	sealer storage.Sealer
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{clock: storagetest.NewClock()}
	db, err := memstore.Open(memstore.Config{Now: f.clock.Now})
	must(t, err)
	f.raw = db
	f.db = storagetest.Faulty(storagetest.Twice(db, 3))
	f.sealer, err = seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789abcdef")})
	must(t, err)
	return f
}

func (f *fixture) open(t testing.TB) *roots.Store {
	t.Helper()
	s, err := roots.Open(roots.Config{DB: f.db, Sealer: f.sealer, Now: f.clock.Now})
	must(t, err)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenNeedsItsParts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, test := range []struct {
		name   string
		change func(*roots.Config)
	}{
		{"store", func(c *roots.Config) { c.DB = nil }},
		{"sealer", func(c *roots.Config) { c.Sealer = nil }},
		{"clock", func(c *roots.Config) { c.Now = nil }},
	} {
		c := roots.Config{DB: f.db, Sealer: f.sealer, Now: f.clock.Now}
		test.change(&c)
		if _, err := roots.Open(c); err == nil {
			t.Errorf("without a %s it was opened", test.name)
		}
	}
}

func TestNothingBeforeLoad(t *testing.T) {
	t.Parallel()
	s := newFixture(t).open(t)
	if _, err := s.Root(); !errors.Is(err, roots.ErrNotLoaded) {
		t.Errorf("Root: %v", err)
	}
	if _, err := s.JWKS(); !errors.Is(err, roots.ErrNotLoaded) {
		t.Errorf("JWKS: %v", err)
	}
	if s.Thumbprint() != "" || s.List() != nil {
		t.Error("something is known before anything was read")
	}
}

// TestNodesAgree: whoever comes first draws, and everybody has that key, also after a restart.
func TestNodesAgree(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	nodes := make([]*roots.Store, 8)
	var group sync.WaitGroup
	for i := range nodes {
		nodes[i] = f.open(t)
		group.Go(func() {
			if err := nodes[i].Load(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	late := f.open(t)
	must(t, late.Load(t.Context()))
	for i, node := range append(nodes, late) {
		key, err := node.Root()
		must(t, err)
		if key.KID != nodes[0].Thumbprint() || key.Alg != jose.ES256 || jose.Thumbprint(key.Public()) != key.KID {
			t.Errorf("node %d has key %v, node 0 has %q", i, key, nodes[0].Thumbprint())
		}
		if len(node.List()) != 1 {
			t.Errorf("node %d knows %d roots", i, len(node.List()))
		}
	}
}

func TestReplaceKeepsThePublicHalf(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s, other := f.open(t), f.open(t)
	must(t, s.Load(t.Context()))
	must(t, other.Load(t.Context()))
	old, err := s.Root()
	must(t, err)
	f.clock.Advance(time.Hour)
	must(t, s.Replace(t.Context()))
	list := s.List()
	if len(list) != 2 || list[0].Thumbprint == old.KID || list[1].Thumbprint != old.KID {
		t.Fatalf("roots: %+v", list)
	}
	if !list[0].ReplacedAt.IsZero() || !list[1].ReplacedAt.Equal(f.clock.Now()) || !list[1].CreatedAt.Equal(f.clock.Now().Add(-time.Hour)) {
		t.Errorf("times: %+v", list)
	}
	must(t, other.Load(t.Context()))
	if other.Thumbprint() != s.Thumbprint() {
		t.Error("another node does not see what was replaced")
	}
	data, err := s.JWKS()
	must(t, err)
	set, err := jose.ParseSet(data)
	must(t, err)
	if len(set) != 2 || set[0].KID != list[0].Thumbprint || set[1].KID != old.KID {
		t.Errorf("exported: %+v", set)
	}
	var stored bytes.Buffer
	must(t, f.raw.View(t.Context(), func(tx storage.Tx) error {
		item, err := tx.Get("root/roots")
		if err != nil {
			return err
		}
		plain, err := f.sealer.Open(item.Key, item.Value[1:])
		stored.Write(plain)
		return err
	}))
	var record struct {
		Keys []struct {
			Private json.RawMessage `json:"private"`
		} `json:"keys"`
	}
	must(t, json.Unmarshal(stored.Bytes(), &record))
	if len(record.Keys) != 2 || record.Keys[0].Private == nil || record.Keys[1].Private != nil {
		t.Errorf("private halves that are kept: %d keys, the replaced one's %t", len(record.Keys), record.Keys[1].Private != nil)
	}
}

func TestReplaceEnds(t *testing.T) {
	t.Parallel()
	s := newFixture(t).open(t)
	must(t, s.Load(t.Context()))
	for range 15 {
		must(t, s.Replace(t.Context()))
	}
	before := s.Thumbprint()
	if err := s.Replace(t.Context()); !errors.Is(err, roots.ErrTooMany) || s.Thumbprint() != before {
		t.Errorf("the 17th root: %v", err)
	}
}

// TestFaults: a key that may not be in the store is never used.
func TestFaults(t *testing.T) {
	t.Parallel()
	down := errors.New("the store is down")
	for _, test := range []struct {
		name  string
		fault storagetest.Fault
	}{
		{"reading", storagetest.Fault{Op: storagetest.OnView, Err: down, Nth: 1}},
		{"writing", storagetest.Fault{Op: storagetest.OnUpdate, Err: down, Nth: 1}},
		{"committing", storagetest.Fault{Op: storagetest.OnCommit, Err: down, Nth: 1}},
		{"answering", storagetest.Fault{Op: storagetest.OnReply, Nth: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			s := f.open(t)
			f.db.Inject(test.fault)
			if err := s.Load(t.Context()); err == nil {
				t.Fatal("loading succeeded")
			}
			if s.Thumbprint() != "" {
				t.Fatal("a key is in use that may not be stored")
			}
			must(t, s.Load(t.Context()))
			again := f.open(t)
			must(t, again.Load(t.Context()))
			if s.Thumbprint() != again.Thumbprint() {
				t.Error("two nodes, two roots")
			}
			kept := s.Thumbprint()
			f.db.Inject(storagetest.Fault{Op: storagetest.OnView, Err: down, Nth: 1})
			if err := s.Load(t.Context()); !errors.Is(err, down) || s.Thumbprint() != kept {
				t.Errorf("a store that is down: %v, key %q", err, s.Thumbprint())
			}
		})
	}
}

// TestSealed: neither half can be swapped by somebody who can write to the store but not seal.
func TestSealed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	must(t, f.open(t).Load(t.Context()))
	must(t, f.raw.Update(t.Context(), func(tx storage.Tx) error {
		item, err := tx.Get("root/roots")
		if err != nil {
			return err
		}
		if bytes.Contains(item.Value, []byte("private")) {
			t.Error("the record is readable")
		}
		return tx.Put(storage.Item{Key: item.Key, Value: append([]byte{1}, `{"keys":[]}`...)})
	}))
	if err := f.open(t).Load(t.Context()); err == nil {
		t.Error("an unsealed record was taken")
	}
}

func TestLogSaysNoSecret(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var lines bytes.Buffer
	s, err := roots.Open(roots.Config{DB: f.db, Sealer: f.sealer, Now: f.clock.Now, Logger: slog.New(slog.NewJSONHandler(&lines, nil))})
	must(t, err)
	must(t, s.Load(t.Context()))
	if !bytes.Contains(lines.Bytes(), []byte(s.Thumbprint())) || bytes.Contains(lines.Bytes(), []byte(`"d"`)) {
		t.Errorf("log: %s", lines.String())
	}
}
