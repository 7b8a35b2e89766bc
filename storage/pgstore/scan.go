// SPDX-License-Identifier: Apache-2.0

package pgstore

import (
	"iter"
	"strings"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/internal/pending"
)

// How many items a scan reads at once: few at first, since many a scan is left early.
const (
	firstPage = 64
	nextPage  = 256
)

// Scan yields live items in order: those of the snapshot, overlaid with the writes made before the loop began.
func (t *tx) Scan(prefix, after string, limit int) iter.Seq2[storage.Item, error] {
	return func(yield func(storage.Item, error) bool) {
		if err := t.usable(); err != nil {
			yield(storage.Item{}, err)
			return
		}
		first := pending.First(prefix, after)
		s := &scan{tx: t, from: first, end: above(prefix), size: firstPage, own: t.writes.From(prefix, first)}
		if limit > 0 {
			s.size = min(limit+len(s.own), nextPage)
		}
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

// above returns the least text that is greater than all keys with a prefix.
func above(prefix string) []byte {
	end := []byte(prefix)
	for len(end) > 0 && end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	if len(end) == 0 {
		return []byte(strings.Repeat("\xff", storage.MaxKey+1))
	}
	end[len(end)-1]++
	return end
}

// scan merges two ordered rows: what is stored and the transaction's own.
type scan struct {
	tx   *tx
	from string // the key with which the next page begins
	end  []byte
	size int // of the next page
	last bool
	page []storage.Item
	own  []pending.Write
}

// next returns the lowest item of both rows. At the same key the transaction's own write stands.
func (s *scan) next() (item storage.Item, ok bool, err error) {
	for {
		if s.tx.over {
			return item, false, pending.ErrOver
		}
		if len(s.page) == 0 && !s.last {
			if err := s.fetch(); err != nil {
				return item, false, err
			}
		}
		switch {
		case len(s.page) == 0 && len(s.own) == 0:
			return item, false, nil
		case len(s.own) == 0 || len(s.page) > 0 && s.page[0].Key < s.own[0].Key:
			item, s.page = s.page[0], s.page[1:]
			return item, true, nil
		}
		write := s.own[0]
		s.own = s.own[1:]
		if len(s.page) > 0 && s.page[0].Key == write.Key {
			s.page = s.page[1:]
		}
		if write.Item != nil {
			return pending.Clone(write.Item), true, nil
		}
	}
}

// fetch reads the next page.
func (s *scan) fetch() (err error) {
	if err := s.tx.usable(); err != nil {
		return err
	}
	s.page, err = s.tx.read(s.tx.db.sql.scan, []byte(s.from), s.end, s.tx.now.UnixMilli(), s.size)
	if err == nil {
		err = s.tx.learn(s.page)
	}
	if err != nil {
		return err
	}
	s.last = len(s.page) < s.size
	if !s.last {
		s.from = s.page[len(s.page)-1].Key + "\x00"
	}
	s.size = nextPage
	return nil
}
