// SPDX-License-Identifier: Apache-2.0

package badgerstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
)

const benchItems = 10000

var benchValue = bytes.Repeat([]byte("x"), 600)

func benchKey(i uint64) string { return fmt.Sprintf("family/%06d", i*7919%benchItems) }

func filled(b *testing.B) *badgerstore.DB {
	db := mustOpen(b, badgerstore.Config{Dir: b.TempDir(), Now: time.Now})
	for from := uint64(0); from < benchItems; from += storage.MaxWrites {
		err := db.Update(b.Context(), func(tx storage.Tx) error {
			for i := from; i < min(benchItems, from+storage.MaxWrites); i++ {
				if err := tx.Put(storage.Item{Key: benchKey(i), Value: benchValue}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	return db
}

func rewrite(b *testing.B, db storage.DB, key string) error {
	return db.Update(b.Context(), func(tx storage.Tx) error {
		item, err := tx.Get(key)
		if err != nil {
			return err
		}
		return tx.Put(item)
	})
}

func BenchmarkGet(b *testing.B) {
	db := filled(b)
	for i := uint64(0); b.Loop(); i++ {
		err := db.View(b.Context(), func(tx storage.Tx) error { _, err := tx.Get(benchKey(i)); return err })
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	db := filled(b)
	for i := uint64(0); b.Loop(); i++ {
		err := db.Update(b.Context(), func(tx storage.Tx) error {
			return tx.Put(storage.Item{Key: benchKey(i), Value: benchValue})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	db := filled(b)
	for i := uint64(0); b.Loop(); i++ {
		if err := rewrite(b, db, benchKey(i)); err != nil {
			b.Fatal(err)
		}
	}
}

// inParallel runs work in 64 goroutines and reports operations per second.
func inParallel(b *testing.B, work func(i uint64) error) {
	b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
	var next atomic.Uint64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := work(next.Add(1)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

func BenchmarkUpdate64(b *testing.B) {
	db := filled(b)
	inParallel(b, func(i uint64) error { return rewrite(b, db, benchKey(i)) })
}

func BenchmarkUpdate64OneKey(b *testing.B) {
	db := filled(b)
	inParallel(b, func(uint64) error {
		if err := rewrite(b, db, benchKey(1)); !errors.Is(err, storage.ErrConflict) {
			return err
		}
		return nil
	})
}

// BenchmarkBadger64 is what BenchmarkUpdate64 is measured against: Badger's own transactions, synced as Badger does it.
func BenchmarkBadger64(b *testing.B) {
	options := badger.DefaultOptions(b.TempDir()).WithSyncWrites(true).WithLogger(nil)
	db, err := badger.Open(options)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	writes := db.NewWriteBatch()
	for i := range uint64(benchItems) {
		if err := writes.Set([]byte(benchKey(i)), benchValue); err != nil {
			b.Fatal(err)
		}
	}
	if err := writes.Flush(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	inParallel(b, func(i uint64) error {
		for {
			err := db.Update(func(txn *badger.Txn) error {
				item, err := txn.Get([]byte(benchKey(i)))
				if err != nil {
					return err
				}
				value, err := item.ValueCopy(nil)
				if err != nil {
					return err
				}
				return txn.Set([]byte(benchKey(i)), value)
			})
			if !errors.Is(err, badger.ErrConflict) {
				return err
			}
		}
	})
}
