// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/storage"
)

// ringID is the one record of the table.
const ringID = "ring"

func newTable(sealer storage.Sealer) storage.Table[state] {
	return storage.Table[state]{
		Name: "exchange", Version: 1, ID: func(*state) string { return ringID }, Sealer: sealer,
	}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables(sealer storage.Sealer) []storage.Kind {
	table := newTable(sealer)
	return []storage.Kind{&table}
}

// state is the record: every key that opens messages, the current one first.
type state struct {
	// Changes counts the writes of the record. An empty ring has none.
	Changes int64   `json:"changes"`
	Keys    []entry `json:"keys"`
}

// entry is one key.
type entry struct {
	KID       string          `json:"kid"`
	CreatedAt time.Time       `json:"created_at"`
	RetiredAt time.Time       `json:"retired_at,omitzero"`
	Private   json.RawMessage `json:"private"`
}

func newEntry(now time.Time) (entry, error) {
	k, err := jose.GenerateDecryption()
	if err != nil {
		return entry{}, err
	}
	private, err := jose.MarshalDecryption(k)
	if err != nil {
		return entry{}, fmt.Errorf("storing an encryption key: %w", err)
	}
	return entry{KID: k.KID, CreatedAt: now, Private: private}, nil
}

// keep puts the fresh key first where there is none or one is due, and drops those that no phone holds any more. It reports
// whether it changed anything.
func (s *state) keep(fresh entry, due func(*state, time.Time) bool, retain time.Duration, now time.Time) bool {
	before := len(s.Keys)
	s.Keys = slices.DeleteFunc(s.Keys, func(e entry) bool {
		return !e.RetiredAt.IsZero() && !now.Before(e.RetiredAt.Add(retain))
	})
	changed := len(s.Keys) != before
	if len(s.Keys) == 0 || due(s, now) {
		if len(s.Keys) > 0 {
			s.Keys[0].RetiredAt = now
		}
		s.Keys = slices.Insert(s.Keys, 0, fresh)
		changed = true
	}
	if changed {
		s.Changes++
	}
	return changed
}

// snapshot reads the keys.
func (s *state) snapshot() (*snapshot, error) {
	out := &snapshot{changes: s.Changes, keys: make(map[string]jose.DecryptionKey, len(s.Keys))}
	for _, e := range s.Keys {
		k, err := jose.ParseDecryption(e.Private)
		if err != nil {
			return nil, fmt.Errorf("reading encryption key %q: %w", e.KID, err)
		}
		out.keys[e.KID] = k
		out.publics = append(out.publics, k.Public())
	}
	if len(out.publics) == 0 {
		return nil, ErrNotLoaded
	}
	out.current = out.publics[0]
	return out, nil
}
