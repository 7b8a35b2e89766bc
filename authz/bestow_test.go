// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// bestowal is a grant of the app that rests on a proof of alice's phone, with a line of refresh tokens, and its first token.
func (w *world) bestowal() (b authz.Bestowal, token string) {
	w.Helper()
	now := w.store.Now()
	b = authz.Bestowal{Grant: authz.NewGrant(now, grantTTL), Proof: w.proofOf(phone, alice), Spend: func(storage.Tx) error { return nil }}
	b.Grant.ClientID, b.Grant.Subject, b.Grant.Scopes, b.Grant.Offline = app, alice, scopes, true
	b.Grant.Authn = realm.Authentication{
		Subject: alice, ACR: "phone", AuthTime: now, Realms: map[string]time.Time{"phone": now}, Devices: []string{phone},
	}
	family := authz.NewFamily(now, familyTTL, familyIdle)
	b.Family = &family
	return b, family.Token()
}

func TestBestow(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		b, token := w.bestowal()
		revoked, err := w.store.Bestow(w.Context(), b)
		w.ok(err)
		w.wantRevoked(revoked, authz.KindGrant)
		w.wantActive(b.Grant, true)
		got := w.refresh(token, authz.Rotated)
		equal(w, "grant of the line", got.Grant.ID, b.Grant.ID)
		w.lose(phone)
		w.wantActive(b.Grant, false)
	})
}

func TestBestowWithoutRefreshLeavesNoFamily(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		b, token := w.bestowal()
		b.Family = nil
		w.ok(second(w.store.Bestow(w.Context(), b)))
		w.wantActive(b.Grant, true)
		w.refresh(token, authz.RefreshUnknown)
	})
}

// What was revoked after the proof was given leads to nothing, whatever the clock says.
func TestBestowAfterARevocation(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		revoke func(*world)
	}{
		{"the user is locked", func(w *world) { w.lock(alice) }},
		{"the user's tokens are revoked", func(w *world) { w.ok(second(w.store.Revoke(w.Context(), authz.KindSubject, alice))) }},
		{"the client is revoked", func(w *world) { w.ok(second(w.store.Revoke(w.Context(), authz.KindClient, app))) }},
		{"the phone is lost", func(w *world) { w.lose(phone) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				b, token := w.bestowal()
				tt.revoke(w)
				w.after(time.Minute)
				b.Proof.Time = w.store.Now() // the proof was judged before, whatever its time says
				w.wantError("bestowing", second(w.store.Bestow(w.Context(), b)), authz.ErrOvertaken)
				w.wantActive(b.Grant, false)
				w.refresh(token, authz.RefreshUnknown)

				after, _ := w.bestowal()
				w.ok(second(w.store.Bestow(w.Context(), after)))
				w.wantActive(after.Grant, true)
			})
		})
	}
}

// A revocation of somebody else, or of another phone, is none of it.
func TestBestowBesideOtherRevocations(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		b, _ := w.bestowal()
		w.lock(bob)
		w.lose("dev_other")
		w.ok(second(w.store.Revoke(w.Context(), authz.KindClient, other)))
		w.ok(second(w.store.Bestow(w.Context(), b)))
		w.wantActive(b.Grant, true)
	})
}

// What it is made for is used up with it or not at all.
func TestBestowSpends(t *testing.T) {
	t.Parallel()
	errSpent := errors.New("spent")
	everywhere(t, func(w *world) {
		b, token := w.bestowal()
		b.Spend = func(storage.Tx) error { return errSpent }
		w.wantError("bestowing", second(w.store.Bestow(w.Context(), b)), errSpent)
		w.wantActive(b.Grant, false)
		w.refresh(token, authz.RefreshUnknown)

		key := storage.Item{Key: "test/spent", Value: []byte("1")}
		b.Spend = func(tx storage.Tx) error { return tx.Insert(key) }
		w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Nth: 1, Err: storage.ErrUnavailable})
		w.wantError("bestowing", second(w.store.Bestow(w.Context(), b)), storage.ErrUnavailable)
		w.wantActive(b.Grant, false)
		w.ok(second(w.store.Bestow(w.Context(), b)))
		again, _ := w.bestowal()
		again.Spend = b.Spend
		w.wantError("bestowing again", second(w.store.Bestow(w.Context(), again)), storage.ErrExists)
		w.wantActive(again.Grant, false)
	})
}

// Of many that spend the same thing at once one gets a grant.
func TestBestowRace(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		key := storage.Item{Key: "test/spent", Value: []byte("1")}
		drafts := make([]authz.Bestowal, crowd)
		for i := range drafts {
			drafts[i], _ = w.bestowal()
			drafts[i].Spend = func(tx storage.Tx) error { return tx.Insert(key) }
		}
		won := race(w, func(i int) (string, error) {
			_, err := w.store.Bestow(w.Context(), drafts[i])
			if errors.Is(err, storage.ErrExists) || errors.Is(err, storage.ErrConflict) {
				return "", nil
			}
			return drafts[i].Grant.ID, err
		})
		if len(won) != 1 {
			w.Fatalf("%d grants", len(won))
		}
		for _, b := range drafts {
			w.wantActive(b.Grant, b.Grant.ID == won[0])
		}
	})
}

// A user's grants of one client are bounded here as with codes: the oldest gives way.
func TestBestowMakesRoom(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		first, _ := w.bestowal()
		w.ok(second(w.store.Bestow(w.Context(), first)))
		for range authz.MaxGrants - 1 {
			w.after(time.Millisecond)
			b, _ := w.bestowal()
			w.wantRevoked(w.bestow(b), authz.KindGrant)
		}
		w.after(time.Millisecond)
		last, _ := w.bestowal()
		w.wantRevoked(w.bestow(last), authz.KindGrant, first.Grant.ID)
		w.wantActive(first.Grant, false)
		w.wantActive(last.Grant, true)
	})
}

func (w *world) bestow(b authz.Bestowal) []authz.Revocation {
	w.Helper()
	revoked, err := w.store.Bestow(w.Context(), b)
	w.ok(err)
	return revoked
}

func TestGone(t *testing.T) {
	t.Parallel()
	w := solo(t)
	equal(t, "a record that is not there", authz.Gone(second(w.store.Grant(t.Context(), "grt_none"))), true)
	equal(t, "a store that is away", authz.Gone(storage.ErrUnavailable), false)
	equal(t, "nothing", authz.Gone(nil), false)
}
