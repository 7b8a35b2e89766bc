// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Totals is how much went through.
type Totals struct {
	Items int64 `json:"items"`
	// Bytes are those of keys and values.
	Bytes int64 `json:"bytes"`
	// Digest is the SHA-256 of all items in their order, in hexadecimal: two stores with the same one hold the same.
	Digest string `json:"digest,omitempty"`
}

// tally counts items and sums them up.
type tally struct {
	totals Totals
	sum    hash.Hash
	line   []byte
}

func newTally() *tally { return &tally{sum: sha256.New()} }

func (t *tally) add(item storage.Item) {
	t.totals.Items++
	t.totals.Bytes += int64(len(item.Key) + len(item.Value))
	t.line = appendItem(t.line[:0], item)
	t.sum.Write(t.line)
}

// close returns the totals with the digest.
func (t *tally) close() Totals {
	t.totals.Digest = hex.EncodeToString(t.sum.Sum(nil))
	return t.totals
}

// moment is when an item expires, as it is written: 1970 itself is long past, so its neighbour may stand for it.
func moment(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	if ms := at.UnixMilli(); ms != 0 {
		return ms
	}
	return -1
}

func appendItem(to []byte, item storage.Item) []byte {
	to = binary.AppendUvarint(to, uint64(len(item.Key)))
	to = append(to, item.Key...)
	to = binary.AppendUvarint(to, uint64(len(item.Value)))
	to = append(to, item.Value...)
	return binary.AppendVarint(to, moment(item.ExpiresAt))
}

var errItem = errors.New("an item is not as items are")

// cutItem reads the item at the beginning of data and returns what follows it.
func cutItem(data []byte) (item storage.Item, rest []byte, err error) {
	key, data, err := cutBytes(data, storage.MaxKey)
	if err != nil {
		return item, nil, err
	}
	value, data, err := cutBytes(data, storage.MaxValue)
	if err != nil {
		return item, nil, err
	}
	at, n := binary.Varint(data)
	if n <= 0 || len(key) == 0 {
		return item, nil, errItem
	}
	item = storage.Item{Key: string(key), Value: value}
	if at != 0 {
		item.ExpiresAt = time.UnixMilli(at).UTC()
	}
	return item, data[n:], nil
}

func cutBytes(data []byte, most uint64) (part, rest []byte, err error) {
	length, n := binary.Uvarint(data)
	if n <= 0 || length > most || length > uint64(len(data)-n) {
		return nil, nil, errItem
	}
	end := n + int(length)
	return data[n:end:end], data[end:], nil
}
