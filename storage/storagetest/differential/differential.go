// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

var errAbort = errors.New("aborting on purpose")

// Run plays random histories against an engine and against memstore and compares everything the two answer:
// transactions of every operation, some of them aborted, and a clock that moves between them. A history that differs is
// shrunk to its shortest form.
func Run(t *testing.T, open storagetest.Open) {
	clock := storagetest.NewClock()
	engine, err := open(t, t.TempDir(), clock.Now)
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	model, err := memstore.Open(memstore.Config{Now: clock.Now})
	if err != nil {
		t.Fatalf("opening the model: %v", err)
	}
	histories := 0
	rapid.Check(t, func(rt *rapid.T) {
		histories++
		root := fmt.Sprintf("h%d|", histories) // histories share the store, not the keys
		clock.Set(moment)
		for range rapid.IntRange(1, 12).Draw(rt, "transactions") {
			play(t.Context(), rt, root, engine, model)
			clock.Advance(time.Duration(rapid.IntRange(0, 4000).Draw(rt, "milliseconds")) * time.Millisecond)
		}
		everything := transaction{steps: []step{{op: "scan"}}}
		if diff := cmp.Diff(everything.run(t.Context(), model, root), everything.run(t.Context(), engine, root)); diff != "" {
			rt.Fatalf("what is left differs (-model +engine):\n%s", diff)
		}
	})
}

// play draws one transaction and runs it on both stores.
func play(ctx context.Context, rt *rapid.T, root string, engine, model storage.DB) {
	tx := transaction{
		readOnly: rapid.IntRange(0, 3).Draw(rt, "kind") == 0,
		abort:    rapid.IntRange(0, 5).Draw(rt, "end") == 0,
		steps:    rapid.SliceOfN(rapid.Custom(drawStep), 1, 10).Draw(rt, "steps"),
	}
	want, got := tx.run(ctx, model, root), tx.run(ctx, engine, root)
	if diff := cmp.Diff(want, got); diff != "" {
		rt.Fatalf("transaction %+v differs (-model +engine):\n%s", tx, diff)
	}
}

// step is one operation. Few keys, prefixes of one another among them, make operations meet.
type step struct {
	op            string
	key, after    string
	value         string
	expires       time.Duration // from the transaction's start; zero is never
	limit, leave  int
	changeInRange bool
}

var (
	stepOps = []string{
		"get", "get", "put", "put", "put", "insert", "insert", "delete", "scan", "scan", "follow", "follow", "presume", "prefetch",
	}
	stepKeys   = []string{"", "a", "a/", "a/b", "a/b\x00", "a/c", "b", "b#i/1", "b/\xff", "c"}
	stepMoment = []time.Duration{0, 0, -time.Second, 1, time.Millisecond, 1500 * time.Millisecond, 3 * time.Second, time.Hour}
)

func drawStep(rt *rapid.T) step {
	return step{
		op:            rapid.SampledFrom(stepOps).Draw(rt, "op"),
		key:           rapid.SampledFrom(stepKeys).Draw(rt, "key"),
		after:         rapid.SampledFrom(stepKeys).Draw(rt, "after"),
		value:         rapid.SampledFrom([]string{"", "1", "2", "33", "b", "a/c"}).Draw(rt, "value"),
		expires:       rapid.SampledFrom(stepMoment).Draw(rt, "expires"),
		limit:         rapid.IntRange(0, 3).Draw(rt, "limit"),
		leave:         rapid.IntRange(0, 6).Draw(rt, "leave"),
		changeInRange: rapid.Bool().Draw(rt, "change"),
	}
}

type transaction struct {
	readOnly, abort bool
	steps           []step
}

// run plays the transaction and returns what it answered, line by line.
func (t transaction) run(ctx context.Context, db storage.DB, root string) []string {
	var lines []string
	do := db.Update
	if t.readOnly {
		do = db.View
	}
	err := do(ctx, func(tx storage.Tx) error {
		lines = nil
		for _, s := range t.steps {
			lines = append(lines, s.run(tx, root)...)
		}
		if t.abort {
			return errAbort
		}
		return nil
	})
	return append(lines, "end: "+kind(err))
}

// moment is where expiries are counted from; it only has to be the same for both stores.
var moment = storagetest.NewClock().Now()

func (s step) run(tx storage.Tx, root string) []string {
	item := storage.Item{Key: root + s.key, Value: []byte(s.value)}
	if s.expires != 0 {
		item.ExpiresAt = moment.Add(s.expires)
	}
	switch s.op {
	case "get":
		got, err := tx.Get(item.Key)
		return []string{line("get", got, err)}
	case "put":
		return []string{line("put", item, tx.Put(item))}
	case "insert":
		return []string{line("insert", item, tx.Insert(item))}
	case "delete":
		return []string{line("delete", item, tx.Delete(item.Key))}
	case "presume", "prefetch":
		return s.tell(tx, root)
	case "follow":
		return s.follow(tx, storage.Way{Key: item.Key, Prefix: root + s.after}, root)
	}
	after := ""
	if s.after != "" {
		after = root + s.after
	}
	var lines []string
	for got, err := range tx.Scan(item.Key, after, s.limit) {
		lines = append(lines, line("scan", got, err))
		if err != nil || len(lines) == s.leave {
			break
		}
		if s.changeInRange {
			item.Key = got.Key
			lines = append(lines, line("delete in scan", item, tx.Delete(got.Key)))
		}
	}
	return append(lines, "scanned "+strings.TrimPrefix(item.Key, root))
}

// tell tells the transaction of what it may be asked for, and answers nothing: of one key, or of all.
func (s step) tell(tx storage.Tx, root string) []string {
	keys := []string{root + s.key}
	for _, key := range stepKeys {
		if s.changeInRange {
			keys = append(keys, root+key)
		}
	}
	if s.op == "prefetch" {
		return []string{"prefetch: " + kind(storage.Prefetch(tx, keys...))}
	}
	storage.Presume(tx, keys...)
	return nil
}

// follow reads both ends of a way, of which the transaction may have been told before.
func (s step) follow(tx storage.Tx, way storage.Way, root string) []string {
	if s.changeInRange {
		if err := storage.Follow(tx, []storage.Way{way, {Key: way.Key, Prefix: root}}, way.Prefix); err != nil {
			return []string{"follow: " + kind(err)}
		}
	}
	entry, err := tx.Get(way.Key)
	lines := []string{line("way", entry, err)}
	if err == nil {
		end, err := tx.Get(way.Prefix + string(entry.Value))
		lines = append(lines, line("end", end, err))
	}
	return lines
}

func line(what string, item storage.Item, err error) string {
	expires := "never"
	if !item.ExpiresAt.IsZero() {
		expires = item.ExpiresAt.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprintf("%s %q=%q until %s: %s", what, item.Key, item.Value, expires, kind(err))
}

// kind names an error of the contract; engines differ in their words only.
func kind(err error) string {
	if err == nil {
		return "ok"
	}
	for _, known := range []error{
		storage.ErrNotFound, storage.ErrExists, storage.ErrReadOnly, storage.ErrTooLarge, errAbort,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "unexpected: " + err.Error()
}
