// SPDX-License-Identifier: Apache-2.0

package memstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/differential"
)

// places remembers which places were opened: a store in memory is one handle and holds nothing beyond Close.
type places struct {
	mu   sync.Mutex
	seen map[string]storage.DB
}

func (p *places) open(t testing.TB, place string, now func() time.Time) (storage.DB, error) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if db := p.seen[place]; db != nil {
		if errors.Is(db.View(t.Context(), func(storage.Tx) error { return nil }), storage.ErrClosed) {
			return nil, storagetest.ErrVolatile
		}
		return nil, errors.New("a store in memory has one handle")
	}
	db, err := memstore.Open(memstore.Config{Now: now})
	if err != nil {
		return nil, err
	}
	if p.seen == nil {
		p.seen = map[string]storage.DB{}
	}
	p.seen[place] = db
	return db, nil
}

func TestOrders(t *testing.T) {
	t.Parallel()
	db, err := memstore.Open(memstore.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	differential.Orders(t, 500, db)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, new(places).open)
}

func TestContention(t *testing.T) {
	t.Parallel()
	storagetest.RunContention(t, new(places).open)
}

func TestConformanceWhenClosuresRunTwice(t *testing.T) {
	t.Parallel()
	storagetest.RunContention(t, func(t testing.TB, _ string, now func() time.Time) (storage.DB, error) {
		db, err := memstore.Open(memstore.Config{Now: now})
		return storagetest.Twice(db, 1), err
	})
}

func TestOpenNeedsClock(t *testing.T) {
	t.Parallel()
	if _, err := memstore.Open(memstore.Config{}); err == nil {
		t.Error("a store without a clock was opened")
	}
}

// The reference model itself is compared with the plainest thing there is: a map that is sorted for every scan.
func TestTreeIsASortedMap(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	rapid.Check(t, func(rt *rapid.T) {
		db, err := memstore.Open(memstore.Config{Now: clock.Now})
		if err != nil {
			rt.Fatal(err)
		}
		plain := map[string]string{}
		key := rapid.StringMatching(`[abc/]{0,4}`)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			k := "k" + key.Draw(rt, "key")
			if rapid.IntRange(0, 2).Draw(rt, "op") == 0 {
				delete(plain, k)
				err = db.Update(t.Context(), func(tx storage.Tx) error { return tx.Delete(k) })
			} else {
				plain[k] = rapid.StringMatching(`[xyz]{0,2}`).Draw(rt, "value")
				err = db.Update(t.Context(), func(tx storage.Tx) error {
					return tx.Put(storage.Item{Key: k, Value: []byte(plain[k])})
				})
			}
			if err != nil {
				rt.Fatal(err)
			}
			prefix, after := "k"+key.Draw(rt, "prefix"), key.Draw(rt, "after")
			limit := rapid.IntRange(0, 4).Draw(rt, "limit")
			if diff := cmp.Diff(scanPlain(plain, prefix, after, limit), scan(t.Context(), db, prefix, after, limit)); diff != "" {
				rt.Fatalf("scan %q after %q limit %d (-want +got):\n%s", prefix, after, limit, diff)
			}
		}
	})
}

func scanPlain(plain map[string]string, prefix, after string, limit int) []string {
	lines := []string{}
	for key, value := range plain {
		if strings.HasPrefix(key, prefix) && key > after {
			lines = append(lines, key+"="+value)
		}
	}
	slices.SortFunc(lines, func(a, b string) int {
		return strings.Compare(a[:strings.Index(a, "=")], b[:strings.Index(b, "=")])
	})
	if limit > 0 && len(lines) > limit {
		lines = lines[:limit]
	}
	return lines
}

func scan(ctx context.Context, db storage.DB, prefix, after string, limit int) []string {
	lines := []string{}
	err := db.View(ctx, func(tx storage.Tx) error {
		for item, err := range tx.Scan(prefix, after, limit) {
			if err != nil {
				return err
			}
			lines = append(lines, item.Key+"="+string(item.Value))
		}
		return nil
	})
	if err != nil {
		lines = append(lines, err.Error())
	}
	return lines
}

func TestViewsDoNotWaitForAnUpdate(t *testing.T) {
	t.Parallel()
	db, err := memstore.Open(memstore.Config{Now: storagetest.NewClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx storage.Tx) error {
		if err := tx.Put(storage.Item{Key: "a"}); err != nil {
			return err
		}
		return db.View(t.Context(), func(tx storage.Tx) error {
			if _, err := tx.Get("a"); !errors.Is(err, storage.ErrNotFound) {
				return fmt.Errorf("a view saw what was not committed: %w", err)
			}
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
}

func BenchmarkGet(b *testing.B) {
	db := filled(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		err := db.View(b.Context(), func(tx storage.Tx) error { _, err := tx.Get(key(i)); return err })
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	db := filled(b)
	value := bytes.Repeat([]byte("x"), 600)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		err := db.Update(b.Context(), func(tx storage.Tx) error {
			return tx.Put(storage.Item{Key: key(i), Value: value})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	db := filled(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		err := db.Update(b.Context(), func(tx storage.Tx) error {
			item, err := tx.Get(key(i))
			if err != nil {
				return err
			}
			return tx.Put(item)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func key(i int) string { return fmt.Sprintf("user/%06d", i%10000) }

// filled returns a store of ten thousand items the size of a user.
func filled(b *testing.B) *memstore.DB {
	db, err := memstore.Open(memstore.Config{Now: storagetest.NewClock().Now})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 10000 {
		err := db.Update(b.Context(), func(tx storage.Tx) error {
			return tx.Put(storage.Item{Key: key(i), Value: bytes.Repeat([]byte("x"), 600)})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return db
}
