// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Progress is told, now and then, how far something has come.
type Progress func(done Totals)

// progressEvery is how many items lie between two tellings.
const progressEvery = 1000

func (p Progress) tell(done Totals) {
	if p != nil && done.Items%progressEvery == 0 {
		p(done)
	}
}

var errAgain = errors.New("reading a snapshot for the second time")

// Snapshot has read see the whole of a store as it is at one moment, in the order of the keys, without the mark of an import. It refuses
// a store that is being filled.
func Snapshot(ctx context.Context, db storage.DB, read func(iter.Seq2[storage.Item, error]) error) error {
	if err := Unfinished(ctx, db); err != nil {
		return err
	}
	return snapshot(ctx, db, read)
}

func snapshot(ctx context.Context, db storage.DB, read func(iter.Seq2[storage.Item, error]) error) error {
	begun := false
	return db.View(ctx, func(tx storage.Tx) error {
		if begun { // what was read has been handed on
			return errAgain
		}
		begun = true
		return read(func(yield func(storage.Item, error) bool) {
			for item, err := range tx.Scan("", "", 0) {
				if err == nil && item.Key == markKey {
					continue
				}
				if !yield(item, err) || err != nil {
					return
				}
			}
		})
	})
}

// Export writes the whole of a store as it is at one moment.
func Export(ctx context.Context, db storage.DB, to io.Writer, header Header, progress Progress) (totals Totals, err error) {
	err = Snapshot(ctx, db, func(items iter.Seq2[storage.Item, error]) error {
		w, err := NewWriter(to, header)
		if err != nil {
			return err
		}
		for item, err := range items {
			if err == nil {
				err = w.Add(item)
			}
			if err != nil {
				return err
			}
			progress.tell(w.count.totals)
		}
		totals, err = w.Close()
		return err
	})
	if err != nil {
		return Totals{}, fmt.Errorf("exporting: %w", err)
	}
	return totals, nil
}

// Sum reads items to their end and returns how many there are, and their digest.
func Sum(items iter.Seq2[storage.Item, error], progress Progress) (Totals, error) {
	count := newTally()
	for item, err := range items {
		if err != nil {
			return count.totals, err
		}
		count.add(item)
		progress.tell(count.totals)
	}
	return count.close(), nil
}

const probeLabel = "transfer/probe"

// ErrSealKey is a store whose key does not open what another store has sealed.
var ErrSealKey = errors.New("the sealing key is another one than that of the store that the values come from: nobody could read them")

// Probe seals a value that tells one sealing key from another; nil where the key is not known.
func Probe(sealer storage.Sealer) ([]byte, error) {
	if sealer == nil {
		return nil, nil
	}
	sealed, err := sealer.Seal(probeLabel, []byte(probeLabel))
	if err != nil {
		return nil, fmt.Errorf("sealing a probe: %w", err)
	}
	return sealed, nil
}

// CheckKey refuses a sealer that does not open a probe with [ErrSealKey].
func CheckKey(sealer storage.Sealer, probe []byte) error {
	if _, err := sealer.Open(probeLabel, probe); err != nil {
		return fmt.Errorf("%w (%w)", ErrSealKey, err)
	}
	return nil
}
