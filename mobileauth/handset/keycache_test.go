// SPDX-License-Identifier: Apache-2.0

package handset_test

import (
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
)

// TestKeyCache: what is remembered is never more than what the record says now.
func TestKeyCache(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0)
	cache := new(handset.KeyCache)
	now := h.clock.Now()
	a, b := h.add("usr_1"), h.add("usr_2")
	check := func(what string, d handset.Device, kid string, at time.Time) {
		t.Helper()
		for range 2 { // read, and remembered
			want, known := d.Keys(kid, at)
			got, ok := cache.Keys(&d, kid, at)
			if ok != known || ok && (got.Sign.ID() != want.Sign.ID() || got.Enc.ID() != want.Enc.ID()) {
				t.Errorf("%s: %v, want %v", what, ok, known)
			}
		}
	}
	check("its own", a, a.SignKeyID, now)
	check("another device's", a, b.SignKeyID, now)
	check("none", a, "", now)
	moved := a
	moved.EncKey, moved.EncKeyID = b.EncKey, b.EncKeyID
	check("with another encryption key", moved, a.SignKeyID, now)
	claimed := b
	claimed.SignKeyID = a.SignKeyID
	check("the name of another's key", claimed, a.SignKeyID, now)
	gone := a
	gone.SignKey = nil
	check("a key that the record has lost", gone, a.SignKeyID, now)

	rolled := a
	rolled.SignKey, rolled.EncKey, rolled.SignKeyID, rolled.EncKeyID = b.SignKey, b.EncKey, b.SignKeyID, b.EncKeyID
	rolled.OldKeys = []handset.OldKeys{{
		Sign: a.SignKeyID, Enc: a.EncKeyID, SignKey: a.SignKey, EncKey: a.EncKey, Until: now.Add(handset.KeyOverlap),
	}}
	check("the old key in the overlap", rolled, a.SignKeyID, now)
	check("the old key after it", rolled, a.SignKeyID, now.Add(handset.KeyOverlap))
	check("the new key", rolled, b.SignKeyID, now)
}

func BenchmarkKeyCache(b *testing.B) {
	h := newHouse(b, 0)
	d, now := h.add("usr_1"), h.clock.Now()
	cache := new(handset.KeyCache)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := cache.Keys(&d, d.SignKeyID, now); !ok {
			b.Fatal("the key is not known")
		}
	}
}
