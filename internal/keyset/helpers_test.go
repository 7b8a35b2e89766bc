// SPDX-License-Identifier: Apache-2.0

package keyset_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// world is a store and a clock that any number of nodes share.
type world struct {
	clock  *storagetest.Clock
	db     *storagetest.FaultyDB
	sealer storage.Sealer
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	clock := storagetest.NewClock()
	mem, err := memstore.Open(memstore.Config{Now: clock.Now})
	if err != nil {
		tb.Fatal(err)
	}
	// Every transaction may run twice, so nothing below can rest on a closure running once.
	return &world{clock: clock, db: storagetest.Faulty(storagetest.Twice(mem, 1)), sealer: newSealer(tb, "k1")}
}

func newSealer(tb testing.TB, ids ...string) *seal.Sealer {
	tb.Helper()
	var keys []seal.Key
	for _, id := range ids {
		secret := append(bytes.Repeat([]byte(id), 16), 0)[:32]
		secret[0]++
		keys = append(keys, seal.Key{ID: id, Secret: secret})
	}
	s, err := seal.New(keys...)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// config is the default configuration over the world's store.
func (w *world) config(algs ...jose.Algorithm) keyset.Config {
	return keyset.Config{DB: w.db, Sealer: w.sealer, Algs: algs, Now: w.clock.Now}
}

// node opens and loads a ring.
func (w *world) node(tb testing.TB, algs ...jose.Algorithm) *keyset.Ring {
	tb.Helper()
	r := open(tb, w.config(algs...))
	if err := r.Load(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return r
}

func open(tb testing.TB, c keyset.Config) *keyset.Ring {
	tb.Helper()
	r, err := keyset.Open(c)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func mustTick(tb testing.TB, r *keyset.Ring) {
	tb.Helper()
	if err := r.Tick(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func mustRotate(tb testing.TB, r *keyset.Ring, force bool) {
	tb.Helper()
	if err := r.Rotate(tb.Context(), force); err != nil {
		tb.Fatal(err)
	}
}

func signer(tb testing.TB, r *keyset.Ring) jose.PrivateKey {
	tb.Helper()
	k, err := r.Signer()
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func mustSign(tb testing.TB, k jose.PrivateKey) string {
	tb.Helper()
	raw, err := jose.Sign(k, "at+jwt", []byte(`{}`))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// states counts the keys of an algorithm as "next/active/retired".
func states(r *keyset.Ring, alg jose.Algorithm) [3]int {
	var n [3]int
	for _, info := range r.List() {
		if info.Alg == alg {
			n[slices.Index([]keyset.State{keyset.Next, keyset.Active, keyset.Retired}, info.State)]++
		}
	}
	return n
}

func kid(tb testing.TB, r *keyset.Ring, alg jose.Algorithm, state keyset.State) string {
	tb.Helper()
	for _, info := range r.List() {
		if info.Alg == alg && info.State == state {
			return info.KID
		}
	}
	tb.Fatalf("no %s %s key in %v", state, alg, r.List())
	return ""
}

// verifier checks tokens as a resource server elsewhere does: with a key set it fetched some time ago.
type verifier struct {
	age     time.Duration
	fetched []fetch
	checked map[check]error // the same check has the same end
}

type check struct {
	fetched time.Time
	raw     string
}

type fetch struct {
	at   time.Time
	data []byte
	keys []jose.PublicKey
}

// see offers the verifier the key set published at now.
func (v *verifier) see(tb testing.TB, now time.Time, data []byte) {
	tb.Helper()
	if n := len(v.fetched); n > 0 && bytes.Equal(v.fetched[n-1].data, data) {
		return // the same set as before
	}
	keys, err := jose.ParseSet(data)
	if err != nil {
		tb.Fatal(err)
	}
	v.fetched = append(v.fetched, fetch{at: now, data: data, keys: keys})
}

// held returns what the verifier holds at now: the newest set that is at least as old as its cache, or the first there was.
func (v *verifier) held(now time.Time) fetch {
	for _, f := range slices.Backward(v.fetched) {
		if !f.at.After(now.Add(-v.age)) {
			return f
		}
	}
	return v.fetched[0]
}

// verify checks a token with what the verifier holds at now.
func (v *verifier) verify(now time.Time, raw string) error {
	held := v.held(now)
	which := check{held.at, raw}
	err, ok := v.checked[which]
	if !ok {
		err = held.verify(raw)
		if v.checked == nil {
			v.checked = make(map[check]error)
		}
		v.checked[which] = err
	}
	return err
}

func (f fetch) verify(raw string) error {
	token, err := jose.Parse(raw)
	if err != nil {
		return err
	}
	for _, k := range f.keys {
		if k.KID == token.Header.KID {
			return token.Verify(k)
		}
	}
	return keyset.ErrNoKey
}

// logBuffer keeps what was logged.
type logBuffer struct{ text strings.Builder }

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(&l.text, nil)) }

func (l *logBuffer) lines() []string {
	return strings.FieldsFunc(l.text.String(), func(r rune) bool { return r == '\n' })
}

// mustNotHave fails where the secret of k was logged.
func (l *logBuffer) mustNotHave(tb testing.TB, k jose.PrivateKey) {
	tb.Helper()
	data, err := jose.MarshalPrivate(k)
	if err != nil {
		tb.Fatal(err)
	}
	var jwk struct{ D string }
	if err := json.Unmarshal(data, &jwk); err != nil || jwk.D == "" || strings.Contains(l.text.String(), jwk.D) {
		tb.Errorf("the secret was logged, or there is none: %v", err)
	}
}
