// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/storage"
)

// How many updates race in a round, and for how many keys that were never written before.
const (
	racing = 6
	prizes = 4
)

// Orders has random updates race for a few keys, over handles of one store, and wants what they saw and left to be what one order
// of those that have written makes, one after the other. They presume, read ahead, scan, insert, write and delete.
func Orders(t *testing.T, rounds int, handles ...storage.DB) {
	t.Helper()
	for round := range rounds {
		keys := make([]string, prizes)
		for i := range keys {
			keys[i] = fmt.Sprintf("%d|orders%d/%d", i*(round%2)*3, round, i) // side by side, or far apart
		}
		updates := make([]seen, racing)
		var group sync.WaitGroup
		for i := range updates {
			var drawn [32]byte // before the closure, which may run again
			_, _ = rand.Read(drawn[:])
			group.Go(func() {
				err := handles[i%len(handles)].Update(t.Context(), func(tx storage.Tx) error {
					updates[i] = seen{reads: map[string]string{}, writes: map[string]string{}}
					return updates[i].play(tx, drawn[:], keys, fmt.Sprint(i+1))
				})
				if err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		group.Wait()
		left, err := contents(t.Context(), handles[0], keys)
		if err != nil {
			t.Fatal(err)
		}
		var writers []seen
		for _, u := range updates {
			if len(u.writes) > 0 {
				writers = append(writers, u)
			}
		}
		if !ordered(writers, map[string]string{}, left) {
			t.Fatalf("round %d: no order of these leaves %v: %+v", round, left, writers)
		}
	}
}

// seen is what an update has read that it had not written, and what it wrote; nothing is an item that is not there.
type seen struct{ reads, writes map[string]string }

// play takes the steps that were drawn.
func (s *seen) play(tx storage.Tx, drawn []byte, keys []string, mine string) error {
	choose := func(n int) int {
		choice := int(drawn[0]) % n
		drawn = drawn[1:]
		return choice
	}
	one := func() string { return keys[choose(len(keys))] }
	if choose(4) > 0 {
		storage.Presume(tx, keys...)
	}
	steps := []func() error{
		func() error { return s.read(tx, one()) },
		func() error { return errors.Join(storage.Prefetch(tx, one(), one()), s.read(tx, one())) },
		func() error { return s.scan(tx, strings.TrimRight(one(), "0123456789")) },
		func() error { return s.insert(tx, one(), mine) },
		func() error { return s.write(tx, one(), mine) },
		func() error { return s.write(tx, one(), "") },
	}
	for range 2 + choose(3) {
		if err := steps[choose(len(steps))](); err != nil {
			return err
		}
	}
	return nil
}

// saw notes what stands at a key, unless the update has written there itself.
func (s *seen) saw(key, value string) {
	if _, own := s.writes[key]; !own {
		s.reads[key] = value
	}
}

func (s *seen) read(tx storage.Tx, key string) error {
	item, err := tx.Get(key)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	s.saw(key, string(item.Value))
	return nil
}

// scan notes what it finds. What it does not find it has not seen to be absent: a scan protects against no phantom.
func (s *seen) scan(tx storage.Tx, prefix string) error {
	for item, err := range tx.Scan(prefix, "", 0) {
		if err != nil {
			return err
		}
		s.saw(item.Key, string(item.Value))
	}
	return nil
}

func (s *seen) insert(tx storage.Tx, key, value string) error {
	switch err := tx.Insert(storage.Item{Key: key, Value: []byte(value)}); {
	case err == nil:
		s.saw(key, "")
		s.writes[key] = value
	case errors.Is(err, storage.ErrExists):
		return s.read(tx, key)
	default:
		return err
	}
	return nil
}

func (s *seen) write(tx storage.Tx, key, value string) error {
	s.writes[key] = value
	if value == "" {
		return tx.Delete(key)
	}
	return tx.Put(storage.Item{Key: key, Value: []byte(value)})
}

// ordered reports whether there is an order of updates that leads from one state to another, each of them seeing what those before it left.
func ordered(updates []seen, from, to map[string]string) bool {
	if len(updates) == 0 {
		return agree(to, from)
	}
	for i, next := range updates {
		if !agree(next.reads, from) {
			continue
		}
		state := maps.Clone(from)
		maps.Copy(state, next.writes)
		rest := append(append([]seen{}, updates[:i]...), updates[i+1:]...)
		if ordered(rest, state, to) {
			return true
		}
	}
	return false
}

// agree reports whether a state is what was seen of it.
func agree(saw, state map[string]string) bool {
	for key, value := range saw {
		if state[key] != value {
			return false
		}
	}
	return true
}

func contents(ctx context.Context, db storage.DB, keys []string) (map[string]string, error) {
	left := map[string]string{}
	err := db.View(ctx, func(tx storage.Tx) error {
		for _, key := range keys {
			item, err := tx.Get(key)
			if err != nil && !errors.Is(err, storage.ErrNotFound) {
				return err
			}
			left[key] = string(item.Value)
		}
		return nil
	})
	return left, err
}
