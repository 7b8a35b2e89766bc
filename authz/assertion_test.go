// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// spend marks an assertion as used and checks whether it was fresh.
func (w *world) spend(client, jti string, expires time.Time, want bool) {
	w.Helper()
	fresh, err := w.store.SpendAssertion(w.Context(), client, jti, expires)
	w.ok(err)
	if fresh != want {
		w.Errorf("the assertion %.20q of %q is fresh: %v, want %v", jti, client, fresh, want)
	}
}

// OpenID Connect Core 9: a jti is used once.
func TestAssertionsAreSpentOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		expires := w.store.Now().Add(time.Minute)
		w.spend(app, "jti", expires, true)
		w.spend(app, "jti", expires, false)
		w.spend(app, "jti", expires.Add(time.Hour), false) // a later expiry makes it no other
		w.spend(app, "JTI", expires, true)
		w.spend(app, "", expires, true)
		w.spend(app, "", expires, false)
		w.spend(other, "jti", expires, true) // each client draws its own
		w.spend(app+".jti", "", expires, true)
		long := strings.Repeat("j", storage.MaxKey)
		w.spend(app, long, expires, true)
		w.spend(app, long, expires, false)
		w.after(time.Minute - time.Millisecond)
		w.spend(app, "jti", expires, false)
	})
}

// Whether an expired assertion is accepted is not decided here: its key is free again.
func TestAssertionsAreForgottenWhenTheyExpire(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		expires := w.store.Now().Add(time.Minute)
		w.spend(app, "jti", expires, true)
		w.after(time.Minute)
		w.spend(app, "jti", w.store.Now().Add(time.Minute), true)
		w.spend(app, "jti", w.store.Now().Add(time.Minute), false)
	})
}

func TestAnAssertionWithoutExpiryStaysSpent(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		w.spend(app, "jti", time.Time{}, true)
		w.after(100 * 365 * 24 * time.Hour)
		w.spend(app, "jti", time.Time{}, false)
	})
}

func TestOneOfManySpendsAnAssertion(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		expires := w.store.Now().Add(time.Minute)
		won := race(w, func(int) (bool, error) { return w.store.SpendAssertion(w.Context(), app, "jti", expires) })
		equal(w, "uses of one assertion", len(won), 1)
		won = race(w, func(i int) (bool, error) {
			return w.store.SpendAssertion(w.Context(), app, fmt.Sprint("jti", i), expires)
		})
		equal(w, "uses of many assertions", len(won), crowd)
	})
}

func TestAnAssertionIsNotSpentByAnError(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		expires := w.store.Now().Add(time.Minute)
		w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Nth: 1, Err: storage.ErrFull})
		fresh, err := w.store.SpendAssertion(w.Context(), app, "jti", expires)
		w.wantError("spending in a full store", err, storage.ErrFull)
		equal(w, "fresh beside the error", fresh, false)
		w.spend(app, "jti", expires, true)
		w.db.Inject(storagetest.Fault{Op: storagetest.OnReply, Nth: 1})
		fresh, err = w.store.SpendAssertion(w.Context(), app, "next", expires)
		w.wantError("spending without an answer", err, storage.ErrUnknown)
		equal(w, "fresh beside the error", fresh, false)
		w.spend(app, "next", expires, false) // spent without being used: the safe side
	})
}
