// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
)

// BenchmarkChains compares ways to chain events, over Badger with synchronous writes and 64 transactions at once, each of which
// writes something of its own and an event: the figures of docs/decisions/0010.
func BenchmarkChains(b *testing.B) {
	for _, way := range []struct {
		name  string
		chain func(tx storage.Tx, e audit.Event, n uint64) error
	}{
		{"no chain", func(storage.Tx, audit.Event, uint64) error { return nil }},
		{"one head", func(tx storage.Tx, e audit.Event, _ uint64) error { return link(tx, "head", e) }},
		{"16 heads", func(tx storage.Tx, e audit.Event, n uint64) error { return link(tx, fmt.Sprint("head/", n%16), e) }},
		{"256 heads", func(tx storage.Tx, e audit.Event, n uint64) error { return link(tx, fmt.Sprint("head/", n%256), e) }},
	} {
		b.Run(way.name, func(b *testing.B) {
			db, _ := openBench(b)
			run(b, db, func(tx storage.Tx, e audit.Event, n uint64) error {
				if err := tx.Put(storage.Item{Key: "audit/" + e.ID, Value: make([]byte, 300)}); err != nil {
					return err
				}
				return way.chain(tx, e, n)
			})
		})
	}
	for _, way := range []struct {
		name  string
		seals bool
	}{{"indexes and marks", false}, {"indexes, marks and seals", true}} {
		b.Run(way.name, func(b *testing.B) {
			db, trail := openBench(b)
			if way.seals {
				go trail.Run(b.Context())
			}
			run(b, db, func(tx storage.Tx, e audit.Event, _ uint64) error { return trail.Append(tx, e) })
		})
	}
}

func openBench(b *testing.B) (storage.DB, *audit.Trail) {
	db, err := badgerstore.Open(b.Context(), badgerstore.Config{Dir: b.TempDir(), Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	trail, err := audit.New(audit.Config{DB: db, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Sealer: testSealer(b)})
	if err != nil {
		b.Fatal(err)
	}
	return db, trail
}

// link makes the next link of a chain within the transaction.
func link(tx storage.Tx, head string, e audit.Event) error {
	item, err := tx.Get(head)
	if err != nil {
		item = storage.Item{Key: head}
	}
	sum := sha256.Sum256(append(item.Value, e.ID...))
	item.Value = sum[:]
	return tx.Put(item)
}

func run(b *testing.B, db storage.DB, write func(tx storage.Tx, e audit.Event, n uint64) error) {
	trail, err := audit.New(audit.Config{DB: db, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	var count, refused atomic.Uint64
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := count.Add(1)
			e := trail.Prepare(audit.Event{
				Name: "operation.answered", Outcome: audit.Accepted, Subject: fmt.Sprint("usr_", n%1000), DeviceID: fmt.Sprint("dev_", n%1000),
				Operation: fmt.Sprint("op_", n), ClientID: "portal",
			})
			if err := db.Update(b.Context(), func(tx storage.Tx) error {
				if err := tx.Put(storage.Item{Key: fmt.Sprint("own/", n), Value: make([]byte, 300)}); err != nil {
					return err
				}
				return write(tx, e, n)
			}); errors.Is(err, storage.ErrConflict) {
				refused.Add(1)
			} else if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
	b.ReportMetric(float64(refused.Load()), "refused")
}

// BenchmarkVerify is one event of a trail that is verified.
func BenchmarkVerify(b *testing.B) {
	db, trail := openBench(b)
	const events = 20_000
	for range events / 10 {
		var batch [10]audit.Event
		for i := range batch {
			batch[i] = trail.Prepare(audit.Event{Name: "operation.answered", Subject: "usr_1", DeviceID: "dev_1", ClientID: "portal"})
		}
		if err := db.Update(b.Context(), func(tx storage.Tx) error {
			for _, e := range batch {
				if err := trail.Append(tx, e); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	for n := 1; n > 0; {
		var err error
		if n, _, err = trail.Seal(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if report, err := trail.Verify(b.Context()); err != nil || !report.OK() || report.Events != events {
			b.Fatal(report, err)
		}
	}
	b.ReportMetric(float64(b.N)*events/b.Elapsed().Seconds(), "events/s")
}
