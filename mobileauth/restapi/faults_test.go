// SPDX-License-Identifier: Apache-2.0

package restapi_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// scene is a world in which every call of the description can succeed.
type scene struct {
	*world
	calls map[string]func() *answer
}

// newScene makes one. A call is named by its operationId; those without one in the scene change nothing and are walked by their
// paths.
func newScene(t testing.TB) *scene {
	t.Helper()
	w := newWorld(t)
	p := w.person()
	hash, err := w.devices.Hash(t.Context(), "a phone")
	must(t, err)
	locked, err := w.devices.Hash(t.Context(), "a phone that is locked")
	must(t, err)
	w.do("POST", "/handsets/"+locked+"/lock", "").is(200)
	leaving := w.addUser(`{"logins":["frank"]}`).get("id")
	w.addDevice(leaving)
	second := w.addDevice(p.userID, func(d *handset.Device) { d.Hash = hash })
	waiting := w.addDevice(p.userID, func(d *handset.Device) { d.Status = handset.Quarantined })
	out := w.addUser(`{"logins":["bob"],"status":"locked"}`).get("id")
	gone := w.addUser(`{"logins":["carol"]}`)
	w.do("DELETE", "/users/"+gone.get("id"), "", "If-Match", `"1"`).is(204)
	op := w.do("POST", "/operations/authorisation", payment).is(201)
	approved := w.do("POST", "/operations/authorisation", payment).is(201)
	p.answer(approved, "approve")
	begun := w.do("POST", "/operations/registration", registration).is(201)
	digits := w.scan(begun)
	user, device := "/users/"+p.userID, "/devices/"+second.ID
	post := func(path, body string) func() *answer { return func() *answer { return w.do("POST", path, body) } }
	get := func(path string) func() *answer { return func() *answer { return w.do("GET", path, "") } }
	return &scene{w, map[string]func() *answer{
		"addUser": post("/users", `{"logins":["dave"]}`), "lockUser": post(user+"/lock", `{"reason":"x"}`),
		"addUserOnce": func() *answer {
			return w.do("POST", "/users", `{"logins":["erin"]}`, "Idempotency-Key", "k")
		},
		"unlockUser": post("/users/"+out+"/unlock", ""), "setPassword": post(user+"/password", `{"password":"another horse"}`),
		"updateUser":        func() *answer { return w.do("PATCH", user, `{"attributes":{"a":"b"}}`, "If-Match", `"1"`) },
		"releaseNames":      post("/users/"+gone.get("id")+"/release-names", ""),
		"listUsers":         get("/users"),
		"getUser":           get(user),
		"unblockUser":       post(user+"/unblock", `{"reason":"x"}`),
		"getStanding":       get(user + "/standing"),
		"makeRecoveryCodes": post(user+"/recovery-codes", ""), "countRecoveryCodes": get(user + "/recovery-codes"),
		"renameDevice":  func() *answer { return w.do("PATCH", device, `{"name":"n"}`, "If-Match", `"1"`) },
		"listDevices":   get("/devices"),
		"lockDevice":    post(device+"/lock", `{"reason":"x"}`),
		"markLost":      post(device+"/lost", ""),
		"markStolen":    post(device+"/stolen", ""),
		"quarantine":    post(device+"/quarantine", ""),
		"deactivate":    post(device+"/deactivate", ""),
		"releaseDevice": post("/devices/"+waiting.ID+"/release", ""),
		"getHistory":    get(device + "/history"),
		"getHandset":    get("/handsets/" + hash),
		"lockHandset":   post("/handsets/"+hash+"/lock", `{"reason":"x"}`),
		"unlockHandset": post("/handsets/"+locked+"/unlock", ""),
		"deleteUser":    func() *answer { return w.do("DELETE", "/users/"+leaving, "", "If-Match", `"1"`) },
		"deactivateAll": post("/users/"+leaving+"/deactivate", ""),
		"start":         post("/operations/authentication", `{"user_id":"`+p.userID+`","context":{"title":"t"}}`),
		"register":      post("/operations/registration", registration),
		"getOperation":  get("/operations/" + op.get("id")),
		"listByUser":    get("/operations?user_id=" + p.userID),
		"cancel":        post("/operations/"+op.get("id")+"/cancel", ""),
		"redeem":        post("/operations/"+approved.get("id")+"/redeem", ""),
		"confirm":       post("/operations/"+begun.get("id")+"/confirm", `{"digits":"`+digits+`"}`),
		"queryAudit":    get("/audit"),
	}}
}

// dump is everything in the store.
func (w *world) dump() map[string]string {
	w.t.Helper()
	items := map[string]string{}
	must(w.t, w.db.View(w.t.Context(), func(tx storage.Tx) error {
		clear(items)
		for item, err := range tx.Scan("", "", 0) {
			if err != nil {
				return err
			}
			items[item.Key] = string(item.Value)
		}
		return nil
	}))
	return items
}

// TestEveryCallSurvivesAFault at every place where the store can fail: the answer is one that is described, tells nothing of the
// cause, and when the commit failed, nothing has happened, nor does the audit trail say so. Without the fault the same call
// succeeds then.
func TestEveryCallSurvivesAFault(t *testing.T) {
	t.Parallel()
	cause := errors.New("secret cause")
	for _, name := range slices.Sorted(maps.Keys(newScene(t).calls)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, op := range []storagetest.Op{storagetest.OnView, storagetest.OnUpdate, storagetest.OnCommit} {
				for nth := 1; nth <= 6; nth++ {
					s := newScene(t)
					before := s.dump()
					s.db.Inject(storagetest.Fault{Op: op, Nth: nth, Err: cause})
					a := s.calls[name]()
					s.db.Clear()
					if a.code >= 400 {
						a.refused("temporarily_unavailable")
					}
					if strings.Contains(a.body, "secret") || a.code >= 400 && a.code != 503 {
						t.Errorf("fault %d, %d: %d %s", op, nth, a.code, a.body)
					}
					if a.code < 400 {
						break // it needs no more of the store
					}
					if diff := cmp.Diff(before, s.dump()); diff != "" && !multiple[name] {
						t.Errorf("fault %d, %d: %d, and this is left:\n%s", op, nth, a.code, diff)
					}
					if again := s.calls[name](); again.code >= 400 {
						t.Errorf("fault %d, %d: without it %d %s", op, nth, again.code, again.body)
					}
				}
			}
		})
	}
}

// multiple are calls of several transactions.
var multiple = map[string]bool{
	"releaseDevice": true, "confirm": true, "lockHandset": true, "deleteUser": true, "deactivateAll": true,
}

// TestAnUnknownCommitIsSaidToBeUnknown: everything is written and the caller does not learn it. To repeat the call does no harm.
func TestAnUnknownCommitIsSaidToBeUnknown(t *testing.T) {
	t.Parallel()
	for name, repeated := range map[string]int{
		"addUser": 409, "addUserOnce": 200, "lockUser": 200, "unlockUser": 200, "updateUser": 412, "releaseNames": 200, "renameDevice": 412,
		"lockDevice": 200, "markStolen": 200, "cancel": 200, "redeem": 409,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.db.Inject(storagetest.Fault{Op: storagetest.OnReply, Nth: 1})
			s.calls[name]().is(503).refused("temporarily_unavailable")
			s.db.Clear()
			s.calls[name]().is(repeated)
		})
	}
}

// TestEveryChangeIsAudited: who changes something through the API is named in the trail, in as many words as it took.
func TestEveryChangeIsAudited(t *testing.T) {
	t.Parallel()
	for name, event := range map[string]string{
		"addUser": "user.add", "lockUser": "user.lock", "unlockUser": "user.unlock", "setPassword": "user.password", "updateUser": "user.update",
		"releaseNames": "user.release_names", "renameDevice": "device.renamed", "lockDevice": "device.status", "markLost": "device.status",
		"markStolen": "device.status", "quarantine": "device.status", "deactivate": "device.status", "releaseDevice": "device.status",
		"start": "operation.start", "register": "operation.start", "cancel": "operation.cancel", "redeem": "operation.redeem", "unblockUser": "operation.unblock",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			before := len(s.events(event))
			if a := s.calls[name](); a.code >= 300 {
				t.Fatalf("%d %s", a.code, a.body)
			}
			after := s.events(event)
			if len(after) != before+1 {
				t.Fatalf("%d events %s, %d before", len(after), event, before)
			}
			if e := after[len(after)-1]; e.By != "client:portal" || e.ClientIP != "192.0.2.1" || e.RequestID != "rq_test" {
				t.Errorf("%+v", e)
			}
		})
	}
}

// events of a name, the latest last.
func (w *world) events(name string) []audit.Event {
	w.t.Helper()
	page, err := w.trail.Query(w.t.Context(), audit.Query{Name: name, Limit: audit.MaxPage})
	must(w.t, err)
	return page.Events
}
