// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/storage"
)

func TestKeepRealmState(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		r := w.ask("browser")
		w.ok(w.store.KeepRealmState(w.Context(), r.ID, "password", []byte{0, 1}))
		w.ok(w.store.KeepRealmState(w.Context(), r.ID, "phone", []byte("op")))
		w.ok(w.store.KeepRealmState(w.Context(), r.ID, "password", []byte{2}))
		got, err := w.store.Request(w.Context(), r.ID)
		w.ok(err)
		r.RealmState = map[string][]byte{"password": {2}, "phone": []byte("op")}
		if diff := cmp.Diff(r, got, cmpopts.EquateEmpty()); diff != "" {
			w.Errorf("the request is not what it was but for the state (-want +got):\n%s", diff)
		}
		w.wantError("keeping too much", w.store.KeepRealmState(w.Context(), r.ID, "phone", make([]byte, storage.MaxValue)), storage.ErrTooLarge)
	})
}

// spendState answers a challenge and checks whether that counted.
func (w *world) spendState(what, id, realm, state string, want bool) {
	w.Helper()
	first, err := w.store.SpendRealmState(w.Context(), id, realm, []byte(state))
	w.ok(err)
	equal(w, what, first, want)
}

func TestAStateIsSpentOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		r := w.ask("browser")
		w.spendState("nothing was kept", r.ID, "password", "", false)
		w.ok(w.store.KeepRealmState(w.Context(), r.ID, "password", []byte("one")))
		w.ok(w.store.KeepRealmState(w.Context(), r.ID, "phone", []byte("op")))
		w.spendState("another state", r.ID, "password", "two", false)
		w.spendState("the first answer", r.ID, "password", "one", true)
		w.spendState("the second answer", r.ID, "password", "one", false)
		w.spendState("another realm's", r.ID, "phone", "op", true)
		got, err := w.store.Request(w.Context(), r.ID)
		w.ok(err)
		if diff := cmp.Diff(map[string]bool{"password": true, "phone": true}, got.RealmSpent); diff != "" {
			w.Errorf("unexpected states are spent (-want +got):\n%s", diff)
		}
		w.ok(w.store.KeepRealmState(w.Context(), r.ID, "password", []byte("two")))
		w.spendState("the challenge before", r.ID, "password", "one", false)
		w.spendState("the next challenge", r.ID, "password", "two", true)
		w.ok(w.store.KeepRealmState(w.Context(), r.ID, "password", []byte("two")))
		w.spendState("the same challenge anew", r.ID, "password", "two", true)
	})
}

// Many answers to one challenge that come at once: one is the first, or a code could be guessed in one go.
func TestManyAnswersAtOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		r := w.ask("browser")
		w.ok(w.store.KeepRealmState(w.Context(), r.ID, "password", []byte("one")))
		var firsts atomic.Int64
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				first, err := w.store.SpendRealmState(w.Context(), r.ID, "password", []byte("one"))
				if err != nil {
					w.Errorf("spending: %v", err)
				}
				if first {
					firsts.Add(1)
				}
			})
		}
		group.Wait()
		equal(w, "the number of first answers", firsts.Load(), 1)
	})
}
