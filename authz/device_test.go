// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/roster"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const (
	phone  = "dev_1"
	tablet = "dev_2"
)

// lose is what the store of devices does when it takes one out: a transaction of its own with the hook in it.
func (w *world) lose(device string) {
	w.Helper()
	w.ok(w.db.Update(w.Context(), func(tx storage.Tx) error { return w.store.RevokeDevice(tx, device) }))
}

// proofOf is a proof that a device gives now.
func (w *world) proofOf(device, subject string) realm.Proof {
	return realm.Proof{Realm: "phone", Subject: subject, Device: device, Time: w.store.Now(), Cutoffs: w.moment().Cutoffs}
}

// restingOn says on which devices a completion rests.
func restingOn(devices ...string) func(*authz.Completion) {
	return func(c *authz.Completion) { c.Grant.Authn.Devices = devices }
}

// signWith opens a session in which a device has proven something.
func (w *world) signWith(subject, device string) (authz.Session, authz.Handle) {
	w.Helper()
	session, handle := w.draft(subject)
	session.Proofs["phone"] = w.proofOf(device, subject)
	w.ok(w.store.OpenSession(w.Context(), session, nil))
	return session, handle
}

func TestALostDeviceTakesWhatRestsOnIt(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, handle := w.signWith(alice, phone)
		plain, plainHandle := w.sign(bob)
		online, onlineToken := w.line(session, restingOn(phone))
		away, awayToken := w.line(session, offline, restingOn(phone, tablet))
		code, pending := w.authorize(session, restingOn(phone))
		stays, staysToken := w.line(plain, restingOn(tablet))
		w.lose(phone)
		w.wantRevoked(w.log(), authz.KindDevice, phone)
		w.wantEnded(session, handle)
		for _, grant := range []authz.Grant{online, away, pending} {
			w.wantActive(grant, false)
		}
		w.refresh(onlineToken, authz.RefreshRevoked)
		w.refresh(awayToken, authz.RefreshRevoked)
		w.redeem(w.redemption(code), authz.RedeemRevoked)
		w.wantSession(plainHandle, true)
		w.wantActive(stays, true)
		w.refresh(staysToken, authz.Rotated)

		w.after(time.Millisecond) // and it is found again
		again, againHandle := w.signWith(alice, phone)
		w.wantSession(againHandle, true)
		fresh, token := w.line(again, restingOn(phone))
		w.wantActive(fresh, true)
		w.refresh(token, authz.Rotated)
		w.refresh(awayToken, authz.RefreshRevoked)
	})
}

// A device that is lost while it is being judged proves nothing, even where the clock says that it was before.
func TestADeviceThatIsLostMeanwhileProvesNothing(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		judged := w.proofOf(phone, alice)
		w.lose(phone)
		w.after(time.Minute)
		judged.Time = w.store.Now()
		session, handle := w.sign(alice)
		in := raise(session, alice, w.store.Now())
		in.Proof = judged
		_, err := w.store.RaiseSession(w.Context(), in)
		w.wantError("raising a session", err, storage.ErrNotFound)
		w.wantSession(handle, true) // with its old cookie
		in.Proof, in.Earlier = realm.Proof{Realm: "word", Time: w.store.Now()}, realm.Proofs{"phone": {Realm: "phone", Device: phone, Time: w.store.Now()}}
		_, err = w.store.RaiseSession(w.Context(), in)
		w.wantError("raising a session by what was proven before", err, storage.ErrNotFound)
		opened, _ := w.draft(bob)
		opened.Proofs["phone"] = judged
		w.wantError("opening a session", w.store.OpenSession(w.Context(), opened, nil), authz.ErrOvertaken)

		request := authz.NewRequest(w.store.Now())
		w.ok(w.store.InsertRequest(w.Context(), request))
		judged.Subject = ""
		w.ok(second(w.store.ProveRequest(w.Context(), request.ID, judged, nil)))
		_, c := w.completion(session)
		c.RequestID = request.ID
		w.wantError("completing", second(w.store.Complete(w.Context(), c)), authz.ErrRequestEnded)
	})
}

func TestRevokeDeviceIsPartOfTheCallersTransaction(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, handle := w.signWith(alice, phone)
		grant, _ := w.line(session, restingOn(phone))
		w.rollsBack(func(tx storage.Tx) error { return w.store.RevokeDevice(tx, phone) })
		w.wantSession(handle, true)
		w.wantActive(grant, true)
	})
}

// Whatever people and the helpdesk do in whatever order: a session or a grant lives as long as no device that it names was lost
// since.
func TestDevicesBehaveLikeTheModel(t *testing.T) {
	t.Parallel()
	type thing struct {
		devices []string
		session authz.Session
		grant   authz.Grant
		dead    bool
	}
	rapid.Check(t, func(r *rapid.T) {
		clock := storagetest.NewClock()
		w := newWorld(t, clock, openMemory(t, clock.Now))
		var things []*thing
		for range rapid.IntRange(1, 25).Draw(r, "steps") {
			w.after(time.Duration(rapid.IntRange(1, 2000).Draw(r, "ms")) * time.Millisecond)
			device := rapid.SampledFrom([]string{phone, tablet, ""}).Draw(r, "device")
			switch rapid.SampledFrom([]string{"open", "raise", "lose"}).Draw(r, "step") {
			case "open":
				session, _ := w.signWith(alice, device)
				next := &thing{session: session}
				if device != "" {
					next.devices = []string{device}
				}
				_, next.grant = w.authorize(session, restingOn(next.devices...))
				things = append(things, next)
			case "raise":
				if len(things) == 0 {
					continue
				}
				x := things[rapid.IntRange(0, len(things)-1).Draw(r, "which")]
				in := raise(x.session, alice, w.store.Now())
				in.Proof = w.proofOf(device, alice)
				in.Proof.Realm = "another"
				_, err := w.store.RaiseSession(w.Context(), in)
				if x.dead != (err != nil) {
					r.Fatalf("raising a session that is dead: %v: %v", x.dead, err)
				}
				if err != nil {
					continue
				}
				// The grant from before names what it named; the session is looked at by all it has.
				x.session.Proofs["another"] = in.Proof
			case "lose":
				if device == "" {
					continue
				}
				w.lose(device)
				for _, x := range things {
					for _, p := range x.session.Proofs {
						x.dead = x.dead || p.Device == device
					}
				}
			}
			for _, x := range things {
				_, err := w.store.Session(w.Context(), x.session.ID)
				if x.dead != errors.Is(err, storage.ErrNotFound) {
					r.Fatalf("a session by %v is %v, want dead: %v", x.session.Proofs, err, x.dead)
				}
				lost := false
				for _, rev := range w.log() {
					for _, d := range x.devices {
						lost = lost || rev.Target == d && !x.grant.CreatedAt.After(rev.At)
					}
				}
				_, err = w.store.Grant(w.Context(), x.grant.ID)
				if lost != errors.Is(err, storage.ErrNotFound) {
					r.Fatalf("a grant by %v is %v, want dead: %v", x.devices, err, lost)
				}
			}
		}
	})
}

// Whoever has logged in on a device is known to have, also when what rested on it has ended; a device may be several users'.
func TestDevicesOfAUser(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		devices := func(subject string, want ...string) {
			w.Helper()
			got, err := w.store.DevicesOf(w.Context(), subject)
			w.ok(err)
			if diff := cmp.Diff(want, got); diff != "" {
				w.Errorf("the devices of %s (-want +got):\n%s", subject, diff)
			}
		}
		session, _ := w.signWith(alice, phone)
		theirs, _ := w.sign(bob)
		w.authorize(session)
		devices(alice)
		w.authorize(session, restingOn(phone))
		w.authorize(theirs, restingOn(phone, tablet))
		devices(alice, phone)
		devices(bob, phone, tablet)
		w.lose(phone)
		devices(alice, phone)
		w.after(authz.MaxRefreshTTL - time.Hour)
		again, _ := w.sign(bob)
		w.authorize(again, restingOn(tablet))
		w.after(time.Hour)
		devices(alice)
		devices(bob, tablet)
	})
}

// A user who has logged in on more devices than are remembered can log in on another one.
func TestDevicesOfAUserAreBounded(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		session, _ := w.sign(alice)
		for i := range roster.MaxDevices + 1 {
			w.authorize(session, restingOn(fmt.Sprint("ins_", i)))
			w.after(time.Second)
		}
		got, err := w.store.DevicesOf(w.Context(), alice)
		w.ok(err)
		if len(got) != roster.MaxDevices || got[0] != "ins_1" {
			w.Errorf("%d devices are remembered, beginning with %s", len(got), got[0])
		}
	})
}
