// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
)

// TestDamagedMessages: an answer that is not of the protocol is an error, ends its connection, and what comes next works.
func TestDamagedMessages(t *testing.T) {
	t.Parallel()
	f := newTroubled(t, func(c *pgstore.Config) { c.Timeout = 2 * time.Second })
	must(t, write(t, f.db, "a", "1"))
	length := func(change func(int) int) func(*message) {
		return func(m *message) { binary.BigEndian.PutUint32(m.raw[1:], uint32(change(len(m.raw)-1))) }
	}
	for _, tt := range []struct {
		name   string
		kind   byte
		damage func(*message)
	}{
		{"an unknown kind", 'D', func(m *message) { m.raw[0] = 0xff }},
		{"a kind out of place", 'D', func(m *message) { m.raw[0] = 'R' }},
		{"a row that is cut short", 'D', func(m *message) { m.raw = m.raw[:len(m.raw)-3] }},
		{"no length", 'D', length(func(int) int { return 0 })},
		{"a length that is too short", 'D', length(func(n int) int { return n - 5 })},
		{"a length that is too long", 'D', length(func(n int) int { return n + 5 })},
		{"a length of a gigabyte", 'D', length(func(int) int { return 1 << 30 })},
		{"a negative length", 'D', length(func(int) int { return -1 })},
		{"too many fields", 'D', func(m *message) { m.raw[6]++ }},
		{"too few fields", 'D', func(m *message) { m.raw[6]-- }},
		{"a field longer than its row", 'D', func(m *message) { m.raw[7] = 0x7f }},
		{"an expiry of three bytes", 'D', func(m *message) {
			m.raw = append(m.raw[:len(m.raw)-4], 0, 0, 0, 3, 1, 2, 3)
			length(func(n int) int { return n })(m)
		}},
		{"a description without an end", 'T', func(m *message) { m.raw[6] = 0x7f }},
		{"no end", 'Z', func(m *message) { m.raw[0] = '?' }},
	} {
		var hits atomic.Int64
		damage := func(most int64) {
			f.set(func(m *message) bool {
				if m.answer && m.kind == tt.kind && hits.Add(1) <= most {
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
		f.cut() // so that statements are described again
		damage(1 << 40)
		if got, err := read(t, f.db, "a"); !errors.Is(err, storage.ErrUnavailable) || got != "" {
			t.Errorf("%s, again and again: %q, %v", tt.name, got, err)
		}
		f.set(nil)
		if got, err := read(t, f.db, "a"); err != nil || got != "1" {
			t.Errorf("after %s: %q, %v", tt.name, got, err)
		}
	}
	until(t, "its health is green", func() bool { return f.db.Health() == nil })
}

// TestDamagedBytes: over TLS not a bit of an answer is changed without being noticed.
func TestDamagedBytes(t *testing.T) {
	t.Parallel()
	w := newWire(t, server.DSN(t))
	authority := w.speakTLS()
	db, err := openWith(t, t.TempDir(), time.Now, func(c *pgstore.Config) {
		c.DSN, c.Timeout = w.dsn("sslmode=verify-full sslrootcert="+authority), time.Second
	})
	must(t, err)
	defer db.Close()
	must(t, write(t, db, "a", "1"))
	refused := 0
	for at := 0; at < 400; at += 7 {
		sent, hit := 0, false
		w.alter(func(bytes []byte) {
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
		w.alter(nil)
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

// alter has what is sent to the store changed.
func (w *wire) alter(damage func([]byte)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.damage = damage
}

// speakTLS has the wire speak TLS with the store, and returns the path of who vouches for it.
func (w *wire) speakTLS() (authority string) {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(w.t, err)
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	must(w.t, err)
	authority = filepath.Join(w.t.TempDir(), "authority.pem")
	must(w.t, os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secret = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return authority
}
