// SPDX-License-Identifier: Apache-2.0

package badgerstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/differential"
)

func openPlace(t testing.TB, place string, now func() time.Time) (storage.DB, error) {
	db, err := badgerstore.Open(t.Context(), badgerstore.Config{Dir: place, Now: now})
	if err != nil {
		return nil, err // not a DB that holds nil
	}
	return db, nil
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, openPlace)
}

func TestContention(t *testing.T) {
	t.Parallel()
	storagetest.RunContention(t, openPlace)
}

func TestContentionWhenClosuresRunTwice(t *testing.T) {
	t.Parallel()
	storagetest.RunContention(t, func(t testing.TB, place string, now func() time.Time) (storage.DB, error) {
		db, err := openPlace(t, place, now)
		return storagetest.Twice(db, 3), err
	})
}

func TestDifferential(t *testing.T) {
	t.Parallel()
	differential.Run(t, openPlace)
}

func TestOrders(t *testing.T) {
	t.Parallel()
	db, err := openPlace(t, t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	differential.Orders(t, 200, db)
}

// mustOpen opens a store that the test closes.
func mustOpen(t testing.TB, config badgerstore.Config) *badgerstore.DB {
	t.Helper()
	if config.Dir == "" {
		config.Dir = t.TempDir()
	}
	if config.Now == nil {
		config.Now = storagetest.NewClock().Now
	}
	db, err := badgerstore.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func put(ctx context.Context, db storage.DB, key, value string) error {
	return db.Update(ctx, func(tx storage.Tx) error {
		return tx.Put(storage.Item{Key: key, Value: []byte(value)})
	})
}

func get(t testing.TB, db storage.DB, key string) string {
	t.Helper()
	var value string
	err := db.View(t.Context(), func(tx storage.Tx) error {
		item, err := tx.Get(key)
		value = string(item.Value)
		return err
	})
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		t.Fatal(err)
	}
	return value
}

func TestOpenNeedsADirectoryAndAClock(t *testing.T) {
	t.Parallel()
	for _, config := range []badgerstore.Config{{Dir: t.TempDir()}, {Now: time.Now}} {
		if db, err := badgerstore.Open(t.Context(), config); err == nil {
			t.Errorf("a store was opened with %+v", config)
			_ = db.Close()
		}
	}
}

// Updates that read one key and write another can each be right alone and wrong together.
func TestNoWriteSkew(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, badgerstore.Config{})
	for _, key := range []string{"duty/a", "duty/b"} {
		if err := put(t.Context(), db, key, "on"); err != nil {
			t.Fatal(err)
		}
	}
	resign := func(own, other string, meanwhile func()) error {
		return db.Update(t.Context(), func(tx storage.Tx) error {
			item, err := tx.Get(other)
			if err != nil {
				return err
			}
			if string(item.Value) != "on" {
				return nil
			}
			meanwhile()
			return tx.Put(storage.Item{Key: own, Value: []byte("off")})
		})
	}
	once := sync.OnceFunc(func() {
		if err := resign("duty/b", "duty/a", func() {}); err != nil {
			t.Error(err)
		}
	})
	if err := resign("duty/a", "duty/b", once); err != nil {
		t.Fatal(err)
	}
	if a, b := get(t, db, "duty/a"), get(t, db, "duty/b"); a != "on" || b != "off" {
		t.Errorf("a is %s and b is %s", a, b)
	}
}

func TestTransactionsShareASync(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	batches := 0
	db := mustOpen(t, badgerstore.Config{Observe: func(op string, _ time.Duration, _ error) {
		mu.Lock()
		defer mu.Unlock()
		if op == "commit" {
			batches++
		}
	}})
	began, release := make(chan struct{}, 100), make(chan struct{})
	db.HoldCommits(began, release)
	var group sync.WaitGroup
	start := func(i int) {
		group.Go(func() {
			if err := put(t.Context(), db, fmt.Sprintf("k/%d", i), "1"); err != nil {
				t.Error(err)
			}
		})
	}
	start(0)
	<-began // the first batch is on its way with one transaction, the others wait for the next
	for i := range 50 {
		start(i + 1)
	}
	for db.Waiting() < 50 {
		yield()
	}
	close(release)
	group.Wait()
	mu.Lock()
	defer mu.Unlock()
	if batches != 2 {
		t.Errorf("51 transactions took %d batches, want 2", batches)
	}
}

func TestCancellationWithdrawsAWaitingUpdate(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, badgerstore.Config{})
	began, release := make(chan struct{}, 2), make(chan struct{})
	db.HoldCommits(began, release)
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 2)
	go func() { results <- put(ctx, db, "a", "1") }()
	<-began
	waiting := make(chan error, 1)
	go func() { waiting <- put(ctx, db, "b", "1") }()
	for db.Waiting() < 1 {
		yield()
	}
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("the waiting update: %v", err)
	}
	close(release)
	if err := <-results; err != nil {
		t.Errorf("the update in a batch is decided, whatever its context: %v", err)
	}
	if get(t, db, "a") != "1" || get(t, db, "b") != "" {
		t.Error("the batch or the withdrawal went wrong")
	}
}

func TestAFailedWriteStopsTheStore(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, badgerstore.Config{})
	if err := put(t.Context(), db, "a", "1"); err != nil {
		t.Fatal(err)
	}
	if err := db.Health(); err != nil {
		t.Errorf("health before: %v", err)
	}
	broken := errors.New("the disk is on fire")
	db.LetCommitsEndIn(broken)
	if err := put(t.Context(), db, "a", "2"); !errors.Is(err, storage.ErrUnknown) || !errors.Is(err, broken) {
		t.Errorf("the update whose write failed: %v", err)
	}
	err := put(t.Context(), db, "b", "2")
	if !errors.Is(err, storage.ErrUnavailable) || errors.Is(err, storage.ErrUnknown) || !errors.Is(err, broken) {
		t.Errorf("an update after it: %v", err)
	}
	if err := db.Health(); !errors.Is(err, broken) {
		t.Errorf("health after: %v", err)
	}
	if got := get(t, db, "a"); got != "1" {
		t.Errorf("a is %q", got)
	}
}

func TestHealthAfterClose(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, badgerstore.Config{})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Health(); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("health: %v", err)
	}
}

func TestWrittenKeysAreForgotten(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, badgerstore.Config{})
	err := db.Update(t.Context(), func(tx storage.Tx) error {
		for i := range 100 {
			if err := put(t.Context(), db, fmt.Sprintf("k/%d", i), "1"); err != nil {
				return err
			}
		}
		if n := db.Remembered(); n != 200 {
			t.Errorf("%d keys and batches are remembered while an older update runs", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := put(t.Context(), db, "last", "1"); err != nil {
		t.Fatal(err)
	}
	if n := db.Remembered(); n > 2 {
		t.Errorf("%d keys and batches are remembered for nobody", n)
	}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	type report struct {
		op  string
		d   time.Duration
		err error
	}
	var mu sync.Mutex
	var reports []report
	clock := storagetest.NewClock()
	db := mustOpen(t, badgerstore.Config{Now: clock.Now, Observe: func(op string, d time.Duration, err error) {
		mu.Lock()
		defer mu.Unlock()
		reports = append(reports, report{op, d, err})
	}})
	refused := errors.New("refused")
	_ = db.View(t.Context(), func(storage.Tx) error { clock.Advance(time.Second); return refused })
	_ = db.Update(t.Context(), func(tx storage.Tx) error {
		clock.Advance(time.Minute)
		return tx.Put(storage.Item{Key: "a"})
	})
	mu.Lock()
	defer mu.Unlock()
	want := []report{{"view", time.Second, refused}, {"commit", 0, nil}, {"update", time.Minute, nil}}
	if fmt.Sprint(reports) != fmt.Sprint(want) {
		t.Errorf("reports are %v, want %v", reports, want)
	}
}

func TestCanonicalDir(t *testing.T) {
	t.Parallel()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	real := filepath.Join(root, "real")
	if err := errors.Join(os.Mkdir(real, 0o700), os.Symlink(real, filepath.Join(root, "link")),
		os.Symlink("nowhere", filepath.Join(root, "dangling"))); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, path, want string }{
		{"itself", real, real},
		{"dots and slashes", root + "//x/../real/.", real},
		{"a link", filepath.Join(root, "link"), real},
		{"below a link", filepath.Join(root, "link", "new", "data"), filepath.Join(real, "new", "data")},
		{"a dangling link", filepath.Join(root, "dangling"), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := badgerstore.CanonicalDir(test.path)
			if got != test.want || (err != nil) != (test.want == "") {
				t.Errorf("canonical name is %q and %v, want %q", got, err, test.want)
			}
		})
	}
	if here, err := badgerstore.CanonicalDir("."); err != nil || !filepath.IsAbs(here) || strings.HasSuffix(here, ".") {
		t.Errorf("a relative name became %q and %v", here, err)
	}
}

// The contract promises nothing for scans; what a scan did visit is guarded all the same, as a Get would be.
func TestScannedItemsAreGuarded(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, badgerstore.Config{})
	if err := put(t.Context(), db, "n/1", "10"); err != nil {
		t.Fatal(err)
	}
	runs := 0
	err := db.Update(t.Context(), func(tx storage.Tx) error {
		runs++
		var seen string
		for item, err := range tx.Scan("n/", "", 0) {
			if err != nil {
				return err
			}
			seen = string(item.Value)
		}
		if runs == 1 {
			if err := put(t.Context(), db, "n/1", "20"); err != nil {
				return err
			}
		}
		return tx.Put(storage.Item{Key: "copy", Value: []byte(seen)})
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := get(t, db, "copy"); got != "20" || runs != 2 {
		t.Errorf("the copy is %q after %d runs", got, runs)
	}
}

func TestScanHonoursCancellation(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, badgerstore.Config{})
	fill(t, db, "k", 10, func(int) time.Time { return time.Time{} })
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	err := db.View(ctx, func(tx storage.Tx) error {
		for _, err := range tx.Scan("", "", 0) {
			if err != nil {
				return err
			}
			if seen++; seen == 3 {
				cancel()
			}
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || seen != 3 {
		t.Errorf("the scan went on to %d items and ended in %v", seen, err)
	}
}

// No test can pull the plug, so the promise to survive it is checked where it is made.
func TestWritesAreSynchronous(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, badgerstore.Config{})
	if !db.Engine().Opts().SyncWrites {
		t.Error("the engine acknowledges before it syncs")
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "data")
	db := mustOpen(t, badgerstore.Config{Dir: dir})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory's mode is %v and %v", info.Mode(), err)
	}
}

// A directory that somebody else made is used as it is, and what is wrong with it is said.
func TestDirectoryThatLetsOthersInIsToldOf(t *testing.T) {
	t.Parallel()
	for mode, told := range map[os.FileMode]bool{0o700: false, 0o750: true, 0o755: true} {
		var log bytes.Buffer
		dir := filepath.Join(t.TempDir(), "data")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		db := mustOpen(t, badgerstore.Config{Dir: dir, Logger: logger})
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(log.String(), "lets others in") != told {
			t.Errorf("of mode %v the log says %q", mode, log.String())
		}
	}
}
