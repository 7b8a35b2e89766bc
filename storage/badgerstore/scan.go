// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"iter"

	"github.com/dgraph-io/badger/v4"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/internal/pending"
)

// Scan yields live items in order: those of the snapshot, overlaid with the writes made before the loop began.
func (t *tx) Scan(prefix, after string, limit int) iter.Seq2[storage.Item, error] {
	return func(yield func(storage.Item, error) bool) {
		s, err := t.openScan(prefix, after)
		if err != nil {
			yield(storage.Item{}, err)
			return
		}
		defer s.close()
		for left := limit; ; {
			item, ok, err := s.next()
			switch {
			case err != nil:
				yield(storage.Item{}, err)
				return
			case !ok:
				return
			case !item.Live(t.now):
				continue
			}
			if left--; !yield(item, nil) || left == 0 {
				return
			}
		}
	}
}

// scan merges two ordered rows: the snapshot's keys and the transaction's own.
type scan struct {
	tx       *tx
	iterator *badger.Iterator
	own      []pending.Write
}

func (t *tx) openScan(prefix, after string) (s *scan, err error) {
	if t.over {
		return nil, pending.ErrOver
	}
	defer recoverDamage(&err)
	first := pending.First(prefix, after)
	options := badger.DefaultIteratorOptions
	options.Prefix = []byte(namespace + prefix)
	options.PrefetchValues = false // values stand beside their keys; fetching ahead starts a goroutine for each
	s = &scan{tx: t, iterator: t.txn.NewIterator(options), own: t.writes.From(prefix, first)}
	if t.iterators == nil {
		t.iterators = make(map[*badger.Iterator]struct{})
	}
	t.iterators[s.iterator] = struct{}{}
	s.iterator.Seek([]byte(namespace + first))
	return s, nil
}

func (s *scan) close() {
	if !s.tx.over {
		delete(s.tx.iterators, s.iterator)
		s.iterator.Close()
	}
}

// next returns the lowest item of both rows. At the same key the transaction's own write stands.
func (s *scan) next() (item storage.Item, ok bool, err error) {
	for {
		if s.tx.over {
			return item, false, pending.ErrOver
		}
		if err := s.tx.cancelled(); err != nil {
			return item, false, err
		}
		key, found, err := s.stored()
		if err != nil || !found && len(s.own) == 0 {
			return item, false, err
		}
		if found && (len(s.own) == 0 || key < s.own[0].Key) {
			return s.take(key)
		}
		write := s.own[0]
		s.own = s.own[1:]
		if found && key == write.Key {
			if err := s.skip(); err != nil {
				return item, false, err
			}
		}
		if write.Item != nil {
			return pending.Clone(write.Item), true, nil
		}
	}
}

// stored returns the key the iterator stands on.
func (s *scan) stored() (key string, found bool, err error) {
	defer recoverDamage(&err)
	if !s.iterator.Valid() {
		return "", false, nil
	}
	return string(s.iterator.Item().Key()[len(namespace):]), true, nil
}

// take returns the item the iterator stands on and moves on.
func (s *scan) take(key string) (item storage.Item, ok bool, err error) {
	defer recoverDamage(&err)
	s.tx.note(key)
	item, err = decode(key, s.iterator.Item())
	s.iterator.Next()
	return item, err == nil, err
}

func (s *scan) skip() (err error) {
	defer recoverDamage(&err)
	s.iterator.Next()
	return nil
}
