// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
)

func candidates(t *testing.T, h *house, n int, password string) []identity.Candidate {
	t.Helper()
	var batch []identity.Candidate
	for i := range n {
		c, err := h.Candidate(identity.NewUser{Profile: logins(fmt.Sprint("user", i)), Password: password})
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, c)
	}
	return batch
}

// TestAddingManyLeavesRoomForLogins: while plain passwords are hashed, a slot stays free, and a full queue stops nothing.
func TestAddingManyLeavesRoomForLogins(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *identity.Config) {
		c.Hasher = newHasher(t, identity.HasherConfig{Concurrent: 3, Queue: 1})
	})
	most := int64(0)
	seen := make(chan int64, 1000)
	h.hasher.During(func() {
		for range 1000 { // let the others in, if they may
			runtime.Gosched()
		}
		seen <- h.hasher.Stats().InFlight
	})
	defer h.hasher.Occupy(false)()
	defer h.hasher.Occupy(false)()
	defer h.hasher.Occupy(false)()
	fates, hashed, err := h.AddAll(t.Context(), candidates(t, h, 30, password))
	if err != nil || len(fates) != 30 || hashed != 30 {
		t.Fatalf("%+v, %d hashed, %v", fates, hashed, err)
	}
	close(seen)
	for n := range seen {
		most = max(most, n)
	}
	if most > 2 {
		t.Errorf("%d of 3 slots were used", most)
	}
}

func TestAddingTooManyAddsNone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	batch := candidates(t, h, storage.MaxWrites, "")
	writes := 0
	for i := range batch {
		writes += batch[i].Writes()
	}
	if writes != 2*storage.MaxWrites {
		t.Errorf("%d writes", writes)
	}
	if _, _, err := h.AddAll(t.Context(), batch); !errors.Is(err, storage.ErrTooLarge) || len(h.items("user/")) != 0 {
		t.Errorf("%v", err)
	}
}
