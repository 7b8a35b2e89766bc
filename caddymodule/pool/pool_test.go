// SPDX-License-Identifier: Apache-2.0

package pool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/caddymodule/pool"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
)

// engine opens stores in memory, and counts them.
type engine struct {
	opened atomic.Int32
	closed atomic.Int32
	err    error // why it does not open
	secret string
	health atomic.Pointer[error] // of its stores
	logger *slog.Logger          // what it was opened with
}

func (e *engine) Key() (string, error) { return "", nil }

func (e *engine) Open(_ context.Context, o pool.Options) (storage.DB, error) {
	if e.err != nil {
		return nil, e.err
	}
	e.opened.Add(1)
	e.logger = o.Logger
	db, err := memstore.Open(memstore.Config{Now: o.Now})
	return &counted{DB: db, closed: &e.closed, health: &e.health}, err
}

func (e *engine) Sealer() (storage.Sealer, error) {
	return seal.New(seal.Key{ID: "k" + e.secret[:1], Secret: []byte(e.secret)})
}

type counted struct {
	storage.DB
	closed *atomic.Int32
	health *atomic.Pointer[error]
}

// Health is what the engine was told to be.
func (c *counted) Health() error {
	if err := c.health.Load(); err != nil {
		return *err
	}
	return nil
}

func (c *counted) Close() error {
	c.closed.Add(1)
	return c.DB.Close()
}

const (
	secretA = "a123456789abcdefghijklmnopqrstuv"
	secretB = "b123456789abcdefghijklmnopqrstuv"
)

func options(to *bytes.Buffer) pool.Options {
	return pool.Options{Now: time.Now, Logger: slog.New(slog.NewTextHandler(to, nil))}
}

func take(t *testing.T) *pool.Node {
	t.Helper()
	n, err := pool.Take(t.Name())
	must(t, err)
	return n
}

func release(t *testing.T) {
	t.Helper()
	must(t, pool.Release(t.Name()))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func use(t *testing.T, n *pool.Node) error {
	t.Helper()
	return n.Update(t.Context(), func(tx storage.Tx) error { return tx.Put(storage.Item{Key: "k", Value: []byte("v")}) })
}

// TestNothingIsOpenBeforeStart: until then everything answers that the store is closed, which every face makes a 503 of.
func TestNothingIsOpenBeforeStart(t *testing.T) {
	t.Parallel()
	n := take(t)
	_, sealing := n.Seal("label", nil)
	_, opening := n.Open("label", nil)
	_, deriving := n.Derive("label")
	for name, err := range map[string]error{
		"View":   n.View(t.Context(), func(storage.Tx) error { return nil }),
		"Health": n.Health(),
		"Update": use(t, n), "Seal": sealing, "Open": opening, "Derive": deriving,
	} {
		if !errors.Is(err, storage.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	release(t)
	if pool.Holders(t.Name()) != 0 {
		t.Error("somebody holds what was given back")
	}
}

// TestStoreIsOpenedOnceAndClosedByTheLast: a configuration that fails gives its node back and closes nothing.
func TestStoreIsOpenedOnceAndClosedByTheLast(t *testing.T) {
	t.Parallel()
	e := &engine{secret: secretA}
	running := take(t)
	must(t, running.Start(t.Context(), e, nil, options(new(bytes.Buffer))))
	failing := take(t)
	if failing != running || pool.Holders(t.Name()) != 2 {
		t.Fatal("two configurations of one store do not share a node")
	}
	release(t) // it failed before it was started
	must(t, use(t, running))
	next := take(t)
	must(t, next.Start(t.Context(), e, nil, options(new(bytes.Buffer))))
	release(t) // the first one ends
	must(t, use(t, next))
	if e.opened.Load() != 1 || e.closed.Load() != 0 {
		t.Errorf("the store was opened %d times and closed %d times", e.opened.Load(), e.closed.Load())
	}
	release(t)
	if err := use(t, next); !errors.Is(err, storage.ErrClosed) || e.closed.Load() != 1 {
		t.Errorf("after the last one the store is not closed once: %v, %d times", err, e.closed.Load())
	}
	again := take(t)
	must(t, again.Start(t.Context(), e, nil, options(new(bytes.Buffer))))
	must(t, use(t, again))
	release(t)
	if e.opened.Load() != 2 || e.closed.Load() != 2 {
		t.Errorf("in the end the store was opened %d times and closed %d times", e.opened.Load(), e.closed.Load())
	}
}

// TestStartAtOnce: however many start at the same time, the store is opened once.
func TestStartAtOnce(t *testing.T) {
	t.Parallel()
	e := &engine{secret: secretA}
	n := take(t)
	var starting sync.WaitGroup
	for range 50 {
		starting.Go(func() {
			if err := n.Start(t.Context(), e, nil, options(new(bytes.Buffer))); err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	if e.opened.Load() != 1 {
		t.Errorf("the store was opened %d times", e.opened.Load())
	}
	release(t)
}

// TestStoreThatDoesNotOpen may open later.
func TestStoreThatDoesNotOpen(t *testing.T) {
	t.Parallel()
	e := &engine{secret: secretA, err: errors.New("the disk is gone")}
	n := take(t)
	if err := n.Start(t.Context(), e, nil, options(new(bytes.Buffer))); !errors.Is(err, e.err) {
		t.Fatalf("starting says %v", err)
	}
	if err := use(t, n); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("using says %v", err)
	}
	e.err = nil
	must(t, n.Start(t.Context(), e, nil, options(new(bytes.Buffer))))
	must(t, use(t, n))
	release(t)
}

// TestHealthIsTheStores: the records tell what is wrong with the store under them, although it can be read.
func TestHealthIsTheStores(t *testing.T) {
	t.Parallel()
	e := &engine{secret: secretA}
	n := take(t)
	defer release(t)
	must(t, n.Start(t.Context(), e, nil, options(new(bytes.Buffer))))
	must(t, n.Health())
	must(t, n.Store().Healthy(t.Context()))
	full := fmt.Errorf("no room: %w", storage.ErrFull)
	e.health.Store(&full)
	if err := n.Health(); !errors.Is(err, full) {
		t.Errorf("the node says %v", err)
	}
	if err := n.Store().Healthy(t.Context()); !errors.Is(err, full) {
		t.Errorf("the records say %v", err)
	}
}

// TestSealKeyCannotChangeUnderTheStore: what could not be read after a restart is refused while it still can be.
func TestSealKeyCannotChangeUnderTheStore(t *testing.T) {
	t.Parallel()
	a, b := seal.Key{ID: "ka", Secret: []byte(secretA)}, seal.Key{ID: "kb", Secret: []byte(secretB)}
	sealer := func(keys ...seal.Key) storage.Sealer {
		s, err := seal.New(keys...)
		must(t, err)
		return s
	}
	e := &engine{secret: secretA}
	n := take(t)
	defer release(t)
	must(t, n.Start(t.Context(), e, sealer(a), options(new(bytes.Buffer))))
	for _, c := range []struct {
		name   string
		sealer storage.Sealer
		good   bool
	}{
		{"the same", sealer(a), true}, {"a new one before it", sealer(b, a), true}, {"a new one after it", sealer(a, b), true},
		{"another", sealer(b), false}, {"the engine's own, which is the same", nil, true},
	} {
		err := n.Start(t.Context(), e, c.sealer, options(new(bytes.Buffer)))
		if (err == nil) != c.good || err != nil && !errors.Is(err, pool.ErrSealKey) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	e.secret = secretB
	if err := n.Start(t.Context(), e, nil, options(new(bytes.Buffer))); !errors.Is(err, pool.ErrSealKey) {
		t.Errorf("the engine's own, which is another: %v", err)
	}
	sealed, err := n.Seal("label", []byte("text"))
	must(t, err)
	want, err := sealer(a).Derive("label")
	must(t, err)
	if got, err := n.Derive("label"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the node derives %x (%v), the key %x", got, err, want)
	}
	if plain, err := sealer(a).Open("label", sealed); err != nil || string(plain) != "text" {
		t.Errorf("the node seals with another key than it began with: %v", err)
	}
}

// TestLogsGoWhereTheNewestConfigurationLogs: the logs of one that has ended are closed.
func TestLogsGoWhereTheNewestConfigurationLogs(t *testing.T) {
	t.Parallel()
	var first, second bytes.Buffer
	e := &engine{secret: secretA}
	n := take(t)
	defer release(t)
	must(t, n.Start(t.Context(), e, nil, options(&first)))
	grown := e.logger.With("store", "s").WithGroup("g").With("in", 1)
	grown.Info("one", "n", 1)
	must(t, n.Start(t.Context(), e, nil, options(&second)))
	grown.Info("two", "n", 2)
	e.logger.Debug("hidden")
	if got := first.String(); !strings.Contains(got, "msg=one store=s g.in=1 g.n=1") || strings.Contains(got, "two") {
		t.Errorf("the first log has %q", got)
	}
	if got := second.String(); !strings.Contains(got, "msg=two store=s g.in=1 g.n=2") || strings.Contains(got, "hidden") {
		t.Errorf("the second log has %q", got)
	}
}
