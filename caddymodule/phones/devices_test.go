// SPDX-License-Identifier: Apache-2.0

package phones_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
)

// sign opens a session that rests on a device.
func (h *house) sign(user, on string) authz.Session {
	h.t.Helper()
	now, handle := h.parts.Store.Now(), authz.NewSessionHandle()
	began, err := h.parts.Store.Moment(h.t.Context())
	must(h.t, err)
	s := authz.Session{
		ID: handle.ID, SecretHash: randid.Hash(handle.Secret), Subject: user, CreatedAt: now, Cutoffs: began.Cutoffs, SeenAt: now,
		ExpiresAt: now.Add(time.Hour), IdleTTL: 3600, Proofs: realm.Proofs{
			"phone": {Realm: "phone", Subject: user, Device: on, Time: now, Cutoffs: began.Cutoffs},
		},
	}
	must(h.t, h.parts.Store.OpenSession(h.t.Context(), s, nil))
	return s
}

// TestLockedPhone: a back end that locks a phone ends what rests on it, and a phone that guesses ends what rests on itself. The
// gates know before either is answered.
func TestLockedPhone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		lose func(h *house, phone *device.Device)
	}{
		{"by a back end", func(h *house, phone *device.Device) {
			status, answer := h.call("POST", "/devices/"+phone.State().Device+"/lock", `{"reason":"lost"}`)
			if status != http.StatusOK {
				h.t.Fatalf("%d %v", status, answer)
			}
		}},
		{"by wrong PINs", func(h *house, phone *device.Device) {
			for range 5 {
				if err := phone.ChangePIN(h.t.Context(), device.Proof{PIN: "111222"}, "702846"); err == nil {
					h.t.Fatal("a wrong PIN was taken")
				}
			}
			warned, err := h.parts.Trail.Query(h.t.Context(), audit.Query{Name: "device.last_try", DeviceID: phone.State().Device})
			must(h.t, err)
			if len(warned.Events) != 1 {
				h.t.Errorf("the audit has %d warnings", len(warned.Events))
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, nil)
			user, phone := h.enrol()
			on, other := h.sign(user, phone.State().Device), h.sign(user, "dev_other")
			applied := h.applied.Load()
			tt.lose(h, phone)
			if _, err := h.parts.Store.Session(t.Context(), on.ID); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("a session that rests on it: %v", err)
			}
			if _, err := h.parts.Store.Session(t.Context(), other.ID); err != nil {
				t.Errorf("a session that does not: %v", err)
			}
			if h.applied.Load() == applied {
				t.Error("the gates were not told")
			}
		})
	}
}

// TestDeletedUserCannotRecover: recovery codes end with their user, and not when the user is only locked.
func TestDeletedUserCannotRecover(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	user, _ := h.enrol()
	path := "/users/" + user + "/recovery-codes"
	if status, answer := h.call("POST", path, ""); status >= 300 {
		t.Fatalf("%d %v", status, answer)
	}
	left := func() any {
		status, answer := h.call("GET", path, "")
		if status != http.StatusOK {
			t.Fatalf("%d %v", status, answer)
		}
		return answer["left"]
	}
	revoke := func(u identity.User) {
		must(t, h.parts.DB.Update(t.Context(), func(tx storage.Tx) error { return h.phones.Revoke(tx, u) }))
	}
	before := left()
	revoke(identity.User{ID: user})
	if got := left(); got != before || got == float64(0) {
		t.Errorf("of a locked user %v are left of %v", got, before)
	}
	revoke(identity.User{ID: user, DeletedAt: time.Now()})
	if got := left(); got != float64(0) {
		t.Errorf("of a deleted user %v are left", got)
	}
}
