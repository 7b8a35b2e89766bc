// SPDX-License-Identifier: Apache-2.0

package check

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Stats is what a store holds.
type Stats struct {
	Items int64 `json:"items"`
	// Bytes are those of keys and values; what the engine needs besides is not in them.
	Bytes  int64       `json:"bytes"`
	Tables []TableSize `json:"tables"`
}

// TableSize is what a table holds.
type TableSize struct {
	Name    string `json:"name"`
	Records int64  `json:"records"`
	Bytes   int64  `json:"bytes"`
	// Entries are those of its indexes.
	Entries      int64 `json:"entries"`
	EntriesBytes int64 `json:"entries_bytes"`
	// Expiring are the records that have an end, and Largest the bytes of the largest one.
	Expiring int64 `json:"expiring"`
	Largest  int64 `json:"largest"`
}

// Count reads items to their end and returns how many there are of what.
func Count(items iter.Seq2[storage.Item, error], now time.Time, progress func(items int64)) (Stats, error) {
	var s Stats
	tables := map[string]*TableSize{}
	for item, err := range items {
		if err != nil {
			return s, err
		}
		if !item.Live(now) {
			continue
		}
		s.add(tables, item)
		if progress != nil && s.Items%pageItems == 0 {
			progress(s.Items)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		s.Tables = append(s.Tables, *tables[name])
	}
	return s, nil
}

func (s *Stats) add(tables map[string]*TableSize, item storage.Item) {
	size := int64(len(item.Key) + len(item.Value))
	s.Items++
	s.Bytes += size
	name, _, _ := strings.Cut(item.Key, "/")
	name, _, entry := strings.Cut(name, "#")
	t := tables[name]
	if t == nil {
		t = &TableSize{Name: name}
		tables[name] = t
	}
	if entry {
		t.Entries++
		t.EntriesBytes += size
		return
	}
	t.Records++
	t.Bytes += size
	t.Largest = max(t.Largest, size)
	if !item.ExpiresAt.IsZero() {
		t.Expiring++
	}
}
