// SPDX-License-Identifier: Apache-2.0

package restapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

func TestDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	userID := w.addUser(alice).get("id")
	d := w.addDevice(userID, func(d *handset.Device) {
		d.Push = &handset.Push{Service: "apns", Address: "secret-address"}
		d.Model, d.OS, d.AppVersion = "iPhone", "18", "2.1"
		d.Attestation = handset.Attestation{Format: "apple", Result: handset.Verified, Grade: attestation.Hardware, Detail: "inner detail"}
	})
	path := "/devices/" + d.ID
	got := w.do("GET", path, "").is(200)
	if got.get("user_id") != userID || got.get("status") != "active" || got.get("push", "service") != "apns" || got.get("attestation", "result") != "verified" ||
		got.get("attestation", "grade") != "hardware" {
		t.Errorf("%s", got.body)
	}
	for _, secret := range []string{"secret-address", `"x":`, "sign_key\"", "inner detail", "BwcHBw"} {
		if strings.Contains(got.body, secret) {
			t.Errorf("the answer tells %q: %s", secret, got.body)
		}
	}
	w.do("GET", path, "", "If-None-Match", got.Get("ETag")).is(304)
	w.do("PATCH", path, `{"name":"Work"}`).is(428).refused("version_required")
	w.do("PATCH", path, `{"name":"Work"}`, "If-Match", `"77"`).is(412).refused("version_mismatch")
	named := w.do("PATCH", path, `{"name":" Work  phone "}`, "If-Match", got.Get("ETag")).is(200)
	if named.get("name") != "Work phone" || named.Get("ETag") == got.Get("ETag") {
		t.Errorf("%s", named.body)
	}
	if names := w.do("PATCH", path, `{"name":"`+strings.Repeat("x", 65)+`"}`, "If-Match", named.Get("ETag")).is(422).refused("invalid_value"); fmt.Sprint(names) != "[name]" {
		t.Errorf("%v", names)
	}
	var list struct {
		Devices []struct {
			ID string `json:"id"`
		} `json:"devices"`
	}
	for _, where := range []string{"/devices", "/users/" + userID + "/devices"} {
		if w.do("GET", where, "").is(200).json(&list); len(list.Devices) != 1 || list.Devices[0].ID != d.ID {
			t.Errorf("%s: %+v", where, list)
		}
	}
	var history struct {
		Changes []struct {
			What []string `json:"what"`
			By   string   `json:"by"`
		} `json:"changes"`
		Next string `json:"next"`
	}
	if w.do("GET", path+"/history?limit=1", "").is(200).json(&history); len(history.Changes) != 1 || history.Next == "" {
		t.Fatalf("%+v", history)
	}
	if w.do("GET", path+"/history?cursor="+history.Next, "").is(200).json(&history); history.Changes[0].What[0] != "renamed" || history.Changes[0].By != "client:portal" {
		t.Errorf("%+v", history)
	}
	for _, gone := range []string{"/devices/dev_nothing", "/devices/dev_nothing/history", "/users/usr_nobody/devices"} {
		w.do("GET", gone, "").is(404).refused("not_found")
	}
}

func TestDeviceActions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	userID := w.addUser(alice).get("id")
	for _, test := range []struct {
		before []string
		action string
		status int
		want   string
	}{
		{nil, "lock", 200, "locked"},
		{[]string{"lock"}, "unlock", 200, "active"},
		{nil, "lost", 200, "lost"},
		{[]string{"lost"}, "unlock", 200, "active"},
		{nil, "stolen", 200, "stolen"},
		{[]string{"stolen"}, "unlock", 409, ""},
		{nil, "quarantine", 200, "quarantined"},
		{[]string{"quarantine"}, "release", 200, "active"},
		{nil, "deactivate", 200, "deactivated"},
		{[]string{"deactivate"}, "lock", 409, ""},
		{nil, "explode", 404, ""},
	} {
		t.Run(fmt.Sprint(test.before, test.action), func(t *testing.T) {
			t.Parallel()
			w := w.on(t)
			id := w.addDevice(userID).ID
			for _, action := range test.before {
				w.do("POST", "/devices/"+id+"/"+action, `{"reason":"why"}`).is(200)
			}
			a := w.do("POST", "/devices/"+id+"/"+test.action, "").is(test.status)
			if test.want != "" && a.get("status") != test.want {
				t.Errorf("%s", a.body)
			}
		})
	}
}

// TestALostPhoneIsOutAtOnce: an operation that it alone could answer ends, and the gates hear before the answer.
func TestALostPhoneIsOutAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	userID := w.addUser(alice).get("id")
	d := w.addDevice(userID)
	op := w.do("POST", "/operations/authentication", `{"user_id":"`+userID+`","device_id":"`+d.ID+`","context":{"title":"Sign in"}}`).is(201)
	before := w.told.applied
	if a := w.do("POST", "/devices/"+d.ID+"/stolen", `{"reason":"on the train"}`).is(200); a.get("status_reason") != "on the train" {
		t.Errorf("%s", a.body)
	}
	if w.told.applied != before+1 {
		t.Error("the gates were not told")
	}
	if a := w.do("GET", "/operations/"+op.get("id"), "").is(200); a.get("reason") != operation.ReasonDeviceRevoked {
		t.Errorf("%s", a.body)
	}
}

func TestHandsetAcrossUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hash, err := w.devices.Hash(t.Context(), "the same phone")
	must(t, err)
	same := func(d *handset.Device) { d.Hash = hash }
	ann := w.addDevice(w.addUser(`{"logins":["ann"]}`).get("id"), same)
	bob := w.addDevice(w.addUser(`{"logins":["bob"]}`).get("id"), same)
	var got struct {
		Devices []struct {
			ID string `json:"id"`
		} `json:"devices"`
		Lock *struct {
			Reason string `json:"reason"`
			By     string `json:"by"`
		} `json:"lock"`
	}
	if w.do("GET", "/handsets/"+hash, "").is(200).json(&got); len(got.Devices) != 2 || got.Lock != nil {
		t.Errorf("%+v", got)
	}
	if w.do("POST", "/handsets/"+hash+"/lock", `{"reason":"farm"}`).is(200).json(&got); len(got.Devices) != 2 {
		t.Errorf("%+v", got)
	}
	for _, id := range []string{ann.ID, bob.ID} {
		if w.device(id).Status != handset.Locked {
			t.Errorf("%s is %s", id, w.device(id).Status)
		}
	}
	if w.do("GET", "/handsets/"+hash, "").is(200).json(&got); got.Lock == nil || got.Lock.Reason != "farm" || got.Lock.By != "client:portal" {
		t.Errorf("%+v", got)
	}
	w.do("POST", "/handsets/"+hash+"/unlock", "").is(200)
	got.Lock = nil
	if w.do("GET", "/handsets/"+hash, "").is(200).json(&got); got.Lock != nil {
		t.Errorf("%+v", got)
	}
	for _, unknown := range []string{strings.Repeat("0", 64), "abc", strings.ToUpper(hash), "%00"} {
		w.do("GET", "/handsets/"+unknown, "").is(404).refused("not_found")
	}
}
