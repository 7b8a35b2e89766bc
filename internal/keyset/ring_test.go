// SPDX-License-Identifier: Apache-2.0

package keyset_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*keyset.Config)
	}{
		{"no store", func(c *keyset.Config) { c.DB = nil }},
		{"no sealer", func(c *keyset.Config) { c.Sealer = nil }},
		{"no clock", func(c *keyset.Config) { c.Now = nil }},
		{"no algorithm", func(c *keyset.Config) { c.Algs = nil }},
		{"alg none", func(c *keyset.Config) { c.Algs = []jose.Algorithm{"none"} }},
		{"symmetric algorithm", func(c *keyset.Config) { c.Algs = []jose.Algorithm{jose.ES256, "HS256"} }},
		{"algorithm twice", func(c *keyset.Config) { c.Algs = []jose.Algorithm{jose.ES256, jose.ES256} }},
		{"lead too short", func(c *keyset.Config) { c.Lead = 59 * time.Minute }},
		{"retain too short", func(c *keyset.Config) { c.Retain = time.Minute }},
		{"lead negative", func(c *keyset.Config) { c.Lead = -24 * time.Hour }},
		{"token negative", func(c *keyset.Config) { c.LongestToken = -1 }},
		{"rotation without lead", func(c *keyset.Config) { c.RotateEvery = 23 * time.Hour }},
		{"rotation negative", func(c *keyset.Config) { c.RotateEvery = -time.Hour }},
		{"more keys than verifiers read", func(c *keyset.Config) { c.RotateEvery, c.Lead = time.Hour, time.Hour }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newWorld(t).config(jose.ES256)
			tt.change(&c)
			if _, err := keyset.Open(c); !errors.Is(err, keyset.ErrConfig) {
				t.Errorf("Open = %v, want ErrConfig", err)
			}
		})
	}
}

func TestOpenTakesTheShortestTimes(t *testing.T) {
	t.Parallel()
	c := newWorld(t).config(jose.ES256)
	c.RotateEvery, c.Lead, c.Retain, c.LongestToken = time.Hour, time.Hour, time.Hour, time.Millisecond
	open(t, c)
	c.RotateEvery, c.LongestToken = 2*time.Hour, 57*time.Hour // 32 keys at most
	open(t, c)
	c.LongestToken += 2 * time.Hour
	if _, err := keyset.Open(c); !errors.Is(err, keyset.ErrConfig) {
		t.Errorf("Open = %v, want ErrConfig for 33 keys", err)
	}
}

// validate runs beside a live server: Open must not touch the store.
func TestOpenDoesNoIO(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	r := open(t, w.config(jose.ES256))
	if _, err := r.Signer(); !errors.Is(err, keyset.ErrNotLoaded) {
		t.Errorf("Signer before Load = %v, want ErrNotLoaded", err)
	}
	if _, err := r.SignerFor(jose.ES256); !errors.Is(err, keyset.ErrNotLoaded) {
		t.Errorf("SignerFor before Load = %v, want ErrNotLoaded", err)
	}
	if _, ok := r.Key(t.Context(), "x"); ok || r.JWKS() != nil || r.Algorithms() != nil || r.List() != nil {
		t.Error("a ring that was not loaded has keys")
	}
	if err := r.Load(t.Context()); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("Load = %v, want ErrClosed", err)
	}
}

func TestFirstLoadCreatesKeysThatSign(t *testing.T) {
	t.Parallel()
	for _, alg := range []jose.Algorithm{jose.ES256, jose.EdDSA, jose.RS256} {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.node(t, alg)
			k := signer(t, r)
			raw, err := jose.Sign(k, "at+jwt", []byte(`{"sub":"usr_1"}`))
			if err != nil {
				t.Fatal(err)
			}
			token, err := jose.Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			public, ok := r.Key(t.Context(), token.Header.KID)
			if !ok || token.Verify(public) != nil {
				t.Errorf("token %v does not verify with Key: %v, %t", token, public, ok)
			}
			v := verifier{}
			v.see(t, w.clock.Now(), r.JWKS())
			if err := v.verify(w.clock.Now(), raw); err != nil {
				t.Errorf("token does not verify with JWKS: %v", err)
			}
			if got := states(r, alg); got != [3]int{1, 1, 0} {
				t.Errorf("next/active/retired = %v, want one next and one active", got)
			}
		})
	}
}

func TestKeyKnowsOnlyWhatIsPublished(t *testing.T) {
	t.Parallel()
	r := newWorld(t).node(t, jose.ES256)
	for _, name := range []string{"", "../" + signer(t, r).KID, strings.ToUpper(signer(t, r).KID), "keyset/ring", "\x00"} {
		if k, ok := r.Key(t.Context(), name); ok {
			t.Errorf("Key(%q) = %v", name, k)
		}
	}
	next := kid(t, r, jose.ES256, keyset.Next)
	if k, ok := r.Key(t.Context(), next); !ok || k.KID != next {
		t.Errorf("Key of the next key = %v, %t", k, ok)
	}
}

func TestKeysSurviveARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, after := w.node(t, jose.ES256, jose.EdDSA), w.node(t, jose.ES256, jose.EdDSA)
	if string(before.JWKS()) != string(after.JWKS()) {
		t.Errorf("JWKS before %s\nafter %s", before.JWKS(), after.JWKS())
	}
	if signer(t, before).KID != signer(t, after).KID {
		t.Error("another key signs after a restart")
	}
	if diff := cmp.Diff(before.List(), after.List()); diff != "" {
		t.Errorf("List (-before +after):\n%s", diff)
	}
}

func TestSeveralAlgorithmsAtOnce(t *testing.T) {
	t.Parallel()
	r := newWorld(t).node(t, jose.ES256, jose.RS256, jose.EdDSA)
	if diff := cmp.Diff([]jose.Algorithm{jose.ES256, jose.RS256, jose.EdDSA}, r.Algorithms()); diff != "" {
		t.Errorf("Algorithms (-want +got):\n%s", diff)
	}
	if k := signer(t, r); k.Alg != jose.ES256 {
		t.Errorf("Signer has %s, want the first algorithm", k.Alg)
	}
	for _, alg := range r.Algorithms() {
		if k, err := r.SignerFor(alg); err != nil || k.Alg != alg {
			t.Errorf("SignerFor(%s) = %v, %v", alg, k, err)
		}
	}
	if _, err := r.SignerFor(jose.PS256); !errors.Is(err, keyset.ErrNoKey) {
		t.Errorf("SignerFor(PS256) = %v, want ErrNoKey", err)
	}
	var order []string
	for _, info := range r.List() {
		order = append(order, string(info.State)+" "+string(info.Alg))
	}
	want := []string{"active ES256", "active RS256", "active EdDSA", "next ES256", "next RS256", "next EdDSA"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestJWKSIsAStableListOfPublicKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.node(t, jose.ES256, jose.EdDSA)
	before := string(r.JWKS())
	w.clock.Advance(time.Hour)
	mustTick(t, r)
	if got := string(r.JWKS()); got != before {
		t.Errorf("JWKS changed although no key did:\n%s\n%s", before, got)
	}
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(r.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 4 {
		t.Fatalf("%d keys, want 4", len(set.Keys))
	}
	allowed := []string{"kty", "crv", "x", "y", "kid", "alg", "use"}
	for _, k := range set.Keys {
		for name := range k {
			if !slices.Contains(allowed, name) {
				t.Errorf("JWKS publishes member %q", name)
			}
		}
		if k["use"] != "sig" || k["kid"] == "" || k["alg"] == "" {
			t.Errorf("key without use, kid or alg: %v", k)
		}
	}
}

// Whoever publishes the keys beside others gets the same keys in the same order.
func TestPublicsAreTheKeysOfTheJWKS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ring, err := keyset.Open(w.config(jose.ES256))
	if err != nil {
		t.Fatal(err)
	}
	if got := ring.Publics(); got != nil {
		t.Errorf("%d keys before they are read", len(got))
	}
	r := w.node(t, jose.ES256, jose.EdDSA)
	set, err := jose.MarshalSet(r.Publics())
	if err != nil {
		t.Fatal(err)
	}
	if string(set) != string(r.JWKS()) {
		t.Errorf("published one by one:\n%s\nas a set:\n%s", set, r.JWKS())
	}
}

func TestCallersCannotChangeTheRing(t *testing.T) {
	t.Parallel()
	r := newWorld(t).node(t, jose.ES256, jose.EdDSA)
	r.Algorithms()[0] = "none"
	r.List()[0].KID = "x"
	if r.Algorithms()[0] != jose.ES256 || r.List()[0].KID == "x" {
		t.Error("a caller changed the ring through what it was given")
	}
}

// What stands in the store tells nothing to whoever reads a backup of it.
func TestStoredKeysAreSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.node(t, jose.ES256)
	private, err := jose.MarshalPrivate(signer(t, r))
	if err != nil {
		t.Fatal(err)
	}
	var jwk struct{ D, X string }
	if err := json.Unmarshal(private, &jwk); err != nil || jwk.D == "" {
		t.Fatalf("private key %v, %v", jwk, err)
	}
	items := 0
	err = w.db.View(t.Context(), func(tx storage.Tx) error {
		for item, err := range tx.Scan("", "", 0) {
			if err != nil {
				return err
			}
			items++
			for _, mark := range []string{jwk.D, jwk.X, signer(t, r).KID, "created_at"} {
				if strings.Contains(string(item.Value), mark) {
					t.Errorf("the value of %q shows %q", item.Key, mark)
				}
			}
		}
		return nil
	})
	if err != nil || items == 0 {
		t.Errorf("%d items, %v", items, err)
	}
}

// A wrong sealing key must stop the start. Were it taken for an empty store, every token would be lost.
func TestWrongSealingKeyIsNamedAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kept := w.node(t, jose.ES256)
	w.sealer = newSealer(t, "k2")
	wrong := open(t, w.config(jose.ES256))
	err := wrong.Load(t.Context())
	if !errors.Is(err, seal.ErrUnknownKey) || !strings.Contains(err.Error(), `"k1"`) {
		t.Errorf("Load = %v, want ErrUnknownKey that names k1", err)
	}
	if err := wrong.Rotate(t.Context(), true); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("Rotate = %v, want ErrUnknownKey", err)
	}
	w.sealer = newSealer(t, "k2", "k1")
	both := w.node(t, jose.ES256)
	if signer(t, both).KID != signer(t, kept).KID {
		t.Error("the keys were replaced")
	}
	// The next change seals with the new key, and the old one may go.
	mustRotate(t, both, true)
	w.sealer = newSealer(t, "k2")
	if after := w.node(t, jose.ES256); signer(t, after).KID != signer(t, both).KID {
		t.Error("another key signs after the sealing key was replaced")
	}
}

// Somebody who writes to the store and does not hold the sealing key cannot add a key.
func TestDamagedRecordIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.node(t, jose.ES256)
	before := signer(t, r).KID
	err := w.db.Update(t.Context(), func(tx storage.Tx) error {
		item, err := tx.Get("keyset/ring")
		if err != nil {
			return err
		}
		item.Value[len(item.Value)-1] ^= 1
		return tx.Put(item)
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"Load":   func() error { return r.Load(t.Context()) },
		"Tick":   func() error { return r.Tick(t.Context()) },
		"Rotate": func() error { return r.Rotate(t.Context(), true) },
		"Revoke": func() error { return r.Revoke(t.Context(), before) },
	} {
		if err := call(); !errors.Is(err, seal.ErrDamaged) {
			t.Errorf("%s = %v, want ErrDamaged", name, err)
		}
	}
	if got := signer(t, r).KID; got != before {
		t.Errorf("signs with %q after a failed load, want %q", got, before)
	}
}

// A record that opens and makes no sense is a fault of ours. It must not put a key into use under another's name.
func TestInconsistentRecordIsRefused(t *testing.T) {
	t.Parallel()
	type fields = map[string]any
	tests := []struct {
		name   string
		change func(active, next fields)
	}{
		{"name of another key", func(active, next fields) { active["kid"] = next["kid"] }},
		{"algorithm of another type", func(active, _ fields) { active["alg"] = "RS256" }},
		{"public half of another key", func(active, next fields) { active["public"] = next["public"] }},
		{"private half of another key", func(active, next fields) { active["private"] = next["private"] }},
		{"no private half", func(active, _ fields) { delete(active, "private") }},
		{"no public half", func(active, _ fields) { active["public"] = fields{"keys": []any{}} }},
		{"two public halves", func(active, next fields) {
			set := active["public"].(fields)
			set["keys"] = append(set["keys"].([]any), next["public"].(fields)["keys"].([]any)...)
		}},
		{"private half under another name", func(active, _ fields) { active["private"].(fields)["kid"] = "x" }},
		{"private half for another algorithm", func(active, _ fields) { active["private"].(fields)["alg"] = "EdDSA" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.node(t, jose.ES256)
			table := storage.Table[fields]{Name: "keyset", Version: 1, Sealer: w.sealer, ID: func(*fields) string { return "ring" }}
			err := w.db.Update(t.Context(), func(tx storage.Tx) error {
				ring, err := table.Get(tx, "ring")
				if err != nil {
					return err
				}
				keys := ring["keys"].([]any)
				tt.change(keys[0].(fields), keys[1].(fields))
				keys[1].(fields)["state"] = "retired" // so that the ring is seen to have changed
				return table.Put(tx, ring)
			})
			if err != nil {
				t.Fatal(err)
			}
			before := signer(t, r).KID
			if err := r.Load(t.Context()); !errors.Is(err, jose.ErrKey) {
				t.Errorf("Load = %v, want ErrKey", err)
			}
			if got := signer(t, r).KID; got != before {
				t.Errorf("signs with %q, want the key at hand", got)
			}
		})
	}
}

func TestStoreFailureKeepsTheKeysAtHand(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk is on fire")
	load := func(r *keyset.Ring) error { return r.Load(t.Context()) }
	tick := func(r *keyset.Ring) error { return r.Tick(t.Context()) }
	rotate := func(r *keyset.Ring) error { return r.Rotate(t.Context(), true) }
	tests := []struct {
		name string
		op   storagetest.Op
		call func(*keyset.Ring) error
	}{
		{"load", storagetest.OnView, load},
		{"tick", storagetest.OnView, tick},
		{"update", storagetest.OnUpdate, rotate},
		{"commit", storagetest.OnCommit, rotate},
		{"scheduled commit", storagetest.OnCommit, tick},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.node(t, jose.ES256)
			before, set := signer(t, r).KID, string(r.JWKS())
			w.clock.Advance(31 * 24 * time.Hour) // a rotation is due
			w.db.Inject(storagetest.Fault{Op: tt.op, Err: broken})
			if err := tt.call(r); !errors.Is(err, broken) {
				t.Fatalf("err = %v, want the store's", err)
			}
			if got := signer(t, r).KID; got != before || string(r.JWKS()) != set {
				t.Errorf("signs with %q after a failure, want %q and the same key set", got, before)
			}
			w.db.Clear()
			mustTick(t, r)
			if signer(t, r).KID == before {
				t.Error("the rotation that was due did not happen once the store was back")
			}
		})
	}
}

func TestFirstLoadFailsWithoutAStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken := errors.New("disk is on fire")
	w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Nth: 1, Err: broken})
	r := open(t, w.config(jose.ES256))
	if err := r.Load(t.Context()); !errors.Is(err, broken) {
		t.Fatalf("Load = %v", err)
	}
	// A key that was not stored must not sign: it would be gone after a restart.
	if _, err := r.Signer(); !errors.Is(err, keyset.ErrNotLoaded) {
		t.Errorf("Signer = %v, want ErrNotLoaded", err)
	}
	if err := r.Load(t.Context()); err != nil {
		t.Errorf("second Load = %v", err)
	}
}

// The commit happened and its reply was lost: the next reading shows what is true.
func TestLostReplyIsHealedByTheNextTick(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.node(t, jose.ES256)
	next := kid(t, r, jose.ES256, keyset.Next)
	w.db.Inject(storagetest.Fault{Op: storagetest.OnReply, Nth: 1})
	if err := r.Rotate(t.Context(), true); !errors.Is(err, storage.ErrUnknown) {
		t.Fatalf("Rotate = %v, want ErrUnknown", err)
	}
	mustTick(t, r)
	if got := signer(t, r).KID; got != next {
		t.Errorf("signs with %q, want the key that was next", got)
	}
}

func TestWaitingForASlowStoreEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.node(t, jose.ES256)
		hold := make(chan struct{})
		w.db.Inject(storagetest.Fault{Op: storagetest.OnView, Nth: 1, Wait: hold})
		slow, waiting := make(chan error, 1), make(chan error, 1)
		go func() { slow <- r.Tick(t.Context()) }()
		synctest.Wait() // Tick has the turn and hangs in the store
		ctx, cancel := context.WithCancel(t.Context())
		go func() { waiting <- r.Load(ctx) }()
		synctest.Wait()
		signer(t, r) // reading waits for nobody
		cancel()
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("Load = %v, want context.Canceled", err)
		}
		close(hold)
		if err := <-slow; err != nil {
			t.Errorf("Tick = %v", err)
		}
	})
}
