// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/tests/postgres/wire"
)

// TestDamagedMessages: an answer that is not of the protocol is an error, ends its connection, and what comes next works.
func TestDamagedMessages(t *testing.T) {
	t.Parallel()
	f := newTroubled(t, func(c *pgstore.Config) { c.Timeout = 2 * time.Second })
	must(t, write(t, f.db, "a", "1"))
	length := func(change func(int) int) func(*wire.Message) {
		return func(m *wire.Message) { binary.BigEndian.PutUint32(m.Raw[1:], uint32(change(len(m.Raw)-1))) }
	}
	for _, tt := range []struct {
		name   string
		kind   byte
		damage func(*wire.Message)
	}{
		{"an unknown kind", 'D', func(m *wire.Message) { m.Raw[0] = 0xff }},
		{"a kind out of place", 'D', func(m *wire.Message) { m.Raw[0] = 'R' }},
		{"a row that is cut short", 'D', func(m *wire.Message) { m.Raw = m.Raw[:len(m.Raw)-3] }},
		{"no length", 'D', length(func(int) int { return 0 })},
		{"a length that is too short", 'D', length(func(n int) int { return n - 5 })},
		{"a length that is too long", 'D', length(func(n int) int { return n + 5 })},
		{"a length of a gigabyte", 'D', length(func(int) int { return 1 << 30 })},
		{"a negative length", 'D', length(func(int) int { return -1 })},
		{"too many fields", 'D', func(m *wire.Message) { m.Raw[6]++ }},
		{"too few fields", 'D', func(m *wire.Message) { m.Raw[6]-- }},
		{"a field longer than its row", 'D', func(m *wire.Message) { m.Raw[7] = 0x7f }},
		{"an expiry of three bytes", 'D', func(m *wire.Message) {
			m.Raw = append(m.Raw[:len(m.Raw)-4], 0, 0, 0, 3, 1, 2, 3)
			length(func(n int) int { return n })(m)
		}},
		{"a description without an end", 'T', func(m *wire.Message) { m.Raw[6] = 0x7f }},
		{"no end", 'Z', func(m *wire.Message) { m.Raw[0] = '?' }},
	} {
		var hits atomic.Int64
		damage := func(most int64) {
			f.Set(func(m *wire.Message) bool {
				if m.Answer && m.Kind == tt.kind && hits.Add(1) <= most {
					tt.damage(m)
				}
				return true
			})
		}
		damage(1)
		got := "nothing was read"
		err := f.db.Update(t.Context(), func(tx storage.Tx) error {
			item, err := tx.Get("a")
			if err == nil {
				got = string(item.Value)
			}
			return err
		})
		if err != nil && !errors.Is(err, storage.ErrUnavailable) || err == nil && got != "1" {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
		f.Cut() // so that statements are described again
		damage(1 << 40)
		if got, err := read(t, f.db, "a"); !errors.Is(err, storage.ErrUnavailable) || got != "" {
			t.Errorf("%s, again and again: %q, %v", tt.name, got, err)
		}
		f.Set(nil)
		if got, err := read(t, f.db, "a"); err != nil || got != "1" {
			t.Errorf("after %s: %q, %v", tt.name, got, err)
		}
	}
	until(t, "its health is green", func() bool { return f.db.Health() == nil })
}

// TestDamagedBytes: over TLS not a bit of an answer is changed without being noticed.
func TestDamagedBytes(t *testing.T) {
	t.Parallel()
	w := wire.New(t, server.DSN(t))
	authority := w.SpeakTLS()
	db, err := openWith(t, t.TempDir(), time.Now, func(c *pgstore.Config) {
		c.DSN, c.Timeout = w.DSN("sslmode=verify-full sslrootcert="+authority), time.Second
	})
	must(t, err)
	defer db.Close()
	must(t, write(t, db, "a", "1"))
	refused := 0
	for at := 0; at < 400; at += 7 {
		sent, hit := 0, false
		w.Alter(func(bytes []byte) {
			if i := at - sent; i >= 0 && i < len(bytes) && !hit {
				bytes[i] ^= 1 << (at % 8)
				hit = true
			}
			sent += len(bytes)
		})
		var got string
		err := db.Update(t.Context(), func(tx storage.Tx) error {
			item, err := tx.Get("a")
			got = string(item.Value)
			return errors.Join(err, tx.Put(storage.Item{Key: "b", Value: []byte("2")}))
		})
		w.Alter(nil)
		if err != nil && !errors.Is(err, storage.ErrUnavailable) && !errors.Is(err, storage.ErrUnknown) || err == nil && got != "1" {
			t.Errorf("byte %d: %q, %v", at, got, err)
		}
		if hit && err != nil {
			refused++
		}
		if got, err := read(t, db, "a"); err != nil || got != "1" {
			t.Errorf("after byte %d: %q, %v", at, got, err)
		}
	}
	if refused == 0 {
		t.Error("no damage was noticed")
	}
}
