// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/tests/postgres/wire"
)

// recovery is how long a test waits for what has to come.
const recovery = time.Minute

// until waits until something is so.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), recovery)
	defer cancel()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("waiting until %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// troubled is a store at the end of a wire, and the same store without one.
type troubled struct {
	*testing.T
	*wire.Wire
	db, clear *pgstore.DB
}

func newTroubled(t *testing.T, change func(*pgstore.Config)) *troubled {
	t.Helper()
	place := t.TempDir()
	w := wire.New(t, server.DSN(t))
	return troubledBy(t, w, place, change)
}

func troubledBy(t *testing.T, w *wire.Wire, place string, change func(*pgstore.Config)) *troubled {
	t.Helper()
	clear, err := openWith(t, place, time.Now, nil)
	must(t, err)
	db, err := openWith(t, place, time.Now, func(c *pgstore.Config) {
		if c.DSN = w.DSN(""); change != nil {
			change(c)
		}
	})
	must(t, err)
	t.Cleanup(func() {
		w.Set(nil)
		must(t, db.Close())
		must(t, clear.Close())
	})
	f := &troubled{T: t, Wire: w, db: db, clear: clear}
	must(t, write(t, db, "warm", "up"))
	return f
}

func write(t testing.TB, db storage.DB, key, value string) error {
	return db.Update(t.Context(), func(tx storage.Tx) error { return tx.Put(storage.Item{Key: key, Value: []byte(value)}) })
}

// read returns the value at key; "" where there is none.
func read(t testing.TB, db storage.DB, key string) (value string, err error) {
	err = db.View(t.Context(), func(tx storage.Tx) error {
		item, err := tx.Get(key)
		value = string(item.Value)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		return err
	})
	return value, err
}

// want checks what is in the database, whatever the wire does.
func (f *troubled) want(key, want string) {
	f.Helper()
	if got, err := read(f.T, f.clear, key); err != nil || got != want {
		f.Errorf("at %q is %q, %v; want %q", key, got, err, want)
	}
}

// once is a rule that cuts at the first message which is the one.
func once(is func(*wire.Message) bool) func(*wire.Message) bool {
	var done atomic.Bool
	return func(m *wire.Message) bool { return !is(m) || done.Swap(true) }
}

// TestCommitOfUnknownFate: who gets no answer to a commit is told so, whether it happened or not, and nothing is tried again.
func TestCommitOfUnknownFate(t *testing.T) {
	t.Parallel()
	f := newTroubled(t, nil)
	for _, tt := range []struct {
		key, want string
		where     func(*wire.Message) bool
	}{
		{"answered", "value", (*wire.Message).Committed},
		{"unsent", "", func(m *wire.Message) bool { return m.Runs("COMMIT") }},
		{"written", "", func(m *wire.Message) bool { return m.Runs("INSERT") }},
	} {
		for _, reads := range []bool{true, false} {
			key, runs := fmt.Sprintf("%s/%t", tt.key, reads), 0
			f.Set(once(tt.where))
			err := f.db.Update(t.Context(), func(tx storage.Tx) error {
				runs++
				if reads {
					if _, err := tx.Get(key); !errors.Is(err, storage.ErrNotFound) {
						return err
					}
				}
				return tx.Put(storage.Item{Key: key, Value: []byte("value")})
			})
			if !errors.Is(err, storage.ErrUnknown) || errors.Is(err, storage.ErrUnavailable) || runs != 1 {
				t.Errorf("%s: after %d runs %v", key, runs, err)
			}
			f.want(key, tt.want)
			must(t, write(t, f.db, key+"/after", "value"))
		}
	}
}

// TestCutBeforeAnythingIsWritten: an update comes again by itself, as often as is sensible, and so does the first reading of a view.
func TestCutBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	f := newTroubled(t, nil)
	must(t, write(t, f.db, "a", "1"))
	for _, tt := range []struct {
		name  string
		where func(*wire.Message) bool
	}{
		{"the beginning", func(m *wire.Message) bool { return m.Runs("BEGIN") }},
		{"the reading", func(m *wire.Message) bool { return m.Runs("SELECT") }},
		{"the answer", func(m *wire.Message) bool { return m.Answer && m.Kind == 'D' }},
	} {
		f.Set(once(tt.where))
		if got, err := read(t, f.db, "a"); err != nil || got != "1" {
			t.Errorf("%s of a view: %q, %v", tt.name, got, err)
		}
		f.Set(once(tt.where))
		err := f.db.Update(t.Context(), func(tx storage.Tx) error {
			item, err := tx.Get("a")
			if err != nil {
				return err
			}
			return tx.Put(storage.Item{Key: tt.name, Value: item.Value})
		})
		if err != nil {
			t.Errorf("%s of an update: %v", tt.name, err)
		}
		f.want(tt.name, "1")
		f.Set(func(m *wire.Message) bool { return !tt.where(m) })
		for what, err := range map[string]error{
			"view": second(read(t, f.db, "a")), "update": f.db.Update(t.Context(), func(tx storage.Tx) error { return second(tx.Get("a")) }),
		} {
			if !errors.Is(err, storage.ErrUnavailable) || errors.Is(err, storage.ErrUnknown) {
				t.Errorf("%s of an %s is always cut: %v", tt.name, what, err)
			}
		}
		f.Set(nil)
	}
}

func second[T any](_ T, err error) error { return err }

// TestAllConnectionsAreCut: however many connections a node holds, what comes next finds one that works.
func TestAllConnectionsAreCut(t *testing.T) {
	t.Parallel()
	const conns = 6
	f := newTroubled(t, func(c *pgstore.Config) { c.MaxConns = conns })
	var ended atomic.Int64
	f.Set(func(m *wire.Message) bool {
		if m.Answer && m.Kind == 'C' && string(m.Raw[5:]) == "ROLLBACK\x00" {
			ended.Add(1)
		}
		return true
	})
	for name, next := range map[string]func() error{
		"an update": func() error {
			return f.db.Update(t.Context(), func(tx storage.Tx) error { return second(tx.Get("warm")) })
		},
		"a view": func() error { return second(read(t, f.db, "warm")) },
	} {
		ended.Store(0)
		var reading, group sync.WaitGroup
		reading.Add(conns)
		for range conns { // at once, so that each has a connection
			group.Go(func() {
				must(t, f.db.View(t.Context(), func(tx storage.Tx) error {
					_, err := tx.Get("warm")
					reading.Done()
					reading.Wait()
					return err
				}))
			})
		}
		group.Wait()
		until(t, "all connections are idle", func() bool { return ended.Load() >= conns })
		f.Cut()
		if err := next(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNothingIsUsedTwice: two nodes redeem the same codes over wires that are cut at every place. One at most is told success; where
// nobody is, the code is untouched or somebody was told that nobody knows.
func TestNothingIsUsedTwice(t *testing.T) {
	t.Parallel()
	place := t.TempDir()
	w := wire.New(t, server.DSN(t))
	here, there := troubledBy(t, w, place, nil), troubledBy(t, w, place, nil)
	redeem := func(db storage.DB, code string) error {
		return db.Update(t.Context(), func(tx storage.Tx) error {
			if _, err := tx.Get(code); err != nil {
				return err
			}
			return tx.Delete(code)
		})
	}
	for i := range 60 {
		code := fmt.Sprintf("code/%d", i)
		must(t, write(t, here.clear, code, "a"))
		var seen atomic.Int64
		w.Set(func(m *wire.Message) bool {
			switch {
			case m.Runs("BEGIN"), m.Runs("DELETE"), m.Runs("COMMIT"), m.Committed():
				return seen.Add(1) != int64(i%12)
			}
			return true
		})
		results := make([]error, 2)
		var group sync.WaitGroup
		for j, node := range []*troubled{here, there} {
			group.Go(func() { results[j] = redeem(node.db, code) })
		}
		group.Wait()
		w.Set(nil)
		told, unknown := 0, false
		for _, err := range results {
			switch {
			case err == nil:
				told++
			case errors.Is(err, storage.ErrUnknown):
				unknown = true
			case !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrUnavailable):
				t.Errorf("%s: %v", code, err)
			}
		}
		left, err := read(t, here.clear, code)
		must(t, err)
		if told > 1 || told == 1 && left != "" || told == 0 && left == "" && !unknown {
			t.Errorf("%s: %d are told success, %q is left: %v", code, told, left, results)
		}
	}
}

// TestSlow: an answer that does not come within the time-out is waited for once, and what was not answered in time is not tried again.
func TestSlow(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	f := newTroubled(t, func(c *pgstore.Config) { c.Timeout, c.AcquireTimeout, c.MaxConns = timeout, timeout, 4 })
	for _, tt := range []struct {
		name  string
		where func(*wire.Message) bool
		do    func(runs *int) error
		want  error
	}{
		{"the answer to a view", func(m *wire.Message) bool { return m.Answer }, func(runs *int) error {
			*runs++
			return second(read(t, f.db, "warm"))
		}, storage.ErrUnavailable},
		{"the answer to a reading", func(m *wire.Message) bool { return m.Answer }, func(runs *int) error {
			return f.db.Update(t.Context(), func(tx storage.Tx) error {
				*runs++
				return second(tx.Get("warm"))
			})
		}, storage.ErrUnavailable},
		{"the answer to a commit", (*wire.Message).Committed, func(runs *int) error {
			return f.db.Update(t.Context(), func(tx storage.Tx) error {
				*runs++
				return tx.Put(storage.Item{Key: "slow"})
			})
		}, storage.ErrUnknown},
	} {
		must(t, write(t, f.db, "warm", "up"))
		gate := make(chan struct{})
		f.Set(func(m *wire.Message) bool {
			if tt.where(m) {
				<-gate
			}
			return true
		})
		runs, begun := 0, time.Now()
		err := tt.do(&runs)
		took := time.Since(begun)
		close(gate)
		f.Set(nil)
		if !errors.Is(err, tt.want) || runs != 1 || took < timeout || took > 5*timeout {
			t.Errorf("%s: %v after %v and %d runs", tt.name, err, took, runs)
		}
		until(t, "all is as before", func() bool { return write(t, f.db, "after", tt.name) == nil && f.db.Health() == nil })
		f.want("after", tt.name)
	}
}

// TestNobodyAnswersToAConnection: who takes connections and says nothing on them does not keep them for long.
func TestNobodyAnswersToAConnection(t *testing.T) {
	t.Parallel()
	f := newTroubled(t, func(c *pgstore.Config) {
		c.Timeout, c.AcquireTimeout, c.MaxConns = 500*time.Millisecond, 2*time.Second, 1
	})
	for name, is := range map[string]func(*wire.Message) bool{
		"at its beginning": func(m *wire.Message) bool { return m.Answer }, "as it is set up": func(m *wire.Message) bool { return m.Kind == 'P' },
	} {
		gate := make(chan struct{})
		f.Cut()
		f.Set(func(m *wire.Message) bool {
			if is(m) {
				<-gate
			}
			return true
		})
		if err := second(read(t, f.db, "key")); !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		f.Set(nil) // those that are held stay so
		until(t, "there is another connection", func() bool { return write(t, f.db, "key", name) == nil })
		close(gate)
		f.want("key", name)
	}
}

// TestTheConnectionsAreInUse: who finds none free waits as long as it may, and no longer.
func TestTheConnectionsAreInUse(t *testing.T) {
	t.Parallel()
	const conns = 2
	f := newTroubled(t, func(c *pgstore.Config) { c.AcquireTimeout, c.MaxConns = 500*time.Millisecond, conns })
	var reading, group sync.WaitGroup
	reading.Add(conns)
	leave := make(chan struct{})
	for range conns {
		group.Go(func() {
			until(t, "there is a connection", func() bool {
				return f.db.View(t.Context(), func(tx storage.Tx) error {
					if _, err := tx.Get("warm"); err != nil {
						return err
					}
					reading.Done()
					<-leave
					return nil
				}) == nil
			})
		})
	}
	reading.Wait()
	for what, err := range map[string]error{"a view": second(read(t, f.db, "warm")), "an update": write(t, f.db, "a", "1")} {
		if !errors.Is(err, storage.ErrUnavailable) || errors.Is(err, storage.ErrUnknown) {
			t.Errorf("%s: %v", what, err)
		}
	}
	f.want("a", "")
	close(leave)
	group.Wait()
	until(t, "one is free", func() bool { return write(t, f.db, "a", "1") == nil && f.db.Health() == nil })
}
