// SPDX-License-Identifier: Apache-2.0

package restapi_test

import (
	"fmt"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
)

// scan has a new phone register with an activation code and returns the digits that it shows.
func (w *world) scan(started *answer) (digits string) {
	w.t.Helper()
	code, err := envelope.ParseActivationCode(started.get("activation_code"))
	must(w.t, err)
	keys := mobiletest.Keys(w.t)
	secret, err := envelope.NewSecret()
	must(w.t, err)
	said := envelope.Registration{
		Keys: keys.Public(), Application: "bank", Version: "1.0", Platform: "ios", Name: "Phone", Model: "X",
		Factors: map[string]envelope.Secret{envelope.FactorPIN: secret},
	}
	request := envelope.Request{
		Device: keys.Public().Sign.ID(), Audience: issuer, Path: envelope.PathRegistrations, ID: envelope.NewID(),
		At: w.clock.Now(), SigningKey: keys.Public().Sign.ID(), ServerKey: serverKey,
	}
	said.Lookup, said.MAC = code.Lookup(), code.MAC(said.Keys, request.ID)
	_, _, err = w.enrolment.Register(w.t.Context(), request, said)
	must(w.t, err)
	return envelope.Digits(started.get("id"), said.Keys, serverKey, request.ID)
}

const registration = `{"user_external_ref":"crm-1","application":"bank"}`

func TestRegistration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	userID := w.addUser(alice).get("id")
	started := w.do("POST", "/operations/registration", registration, "Idempotency-Key", "k").is(201)
	path := "/operations/" + started.get("id")
	if started.get("kind") != "registration" || started.get("qr") == "" || started.Get("Location") != "/api/v1"+path {
		t.Errorf("%v %s", started.Header, started.body)
	}
	again := w.do("POST", "/operations/registration", registration, "Idempotency-Key", "k").is(200)
	if again.get("activation_code") != started.get("activation_code") || again.get("id") != started.get("id") {
		t.Errorf("%s", again.body)
	}
	w.do("POST", path+"/confirm", `{"digits":"000000"}`).is(409).refused("invalid_state") // no phone yet
	digits := w.scan(started)
	if shown := w.do("GET", path, "").is(200); shown.get("activation_code") != "" || shown.get("qr") != "" {
		t.Errorf("the code is shown to whoever asks: %s", shown.body)
	}
	wrong := "000000"
	if digits == wrong {
		wrong = "000001"
	}
	if a := w.do("POST", path+"/confirm", `{"digits":"`+wrong+`"}`).is(200); a.get("confirmed") != "false" || a.get("tries_left") != "2" || a.get("device") != "" {
		t.Errorf("%s", a.body)
	}
	const other = "Test other gatehouse:operations gatehouse:operations:all"
	w.do("POST", path+"/confirm", `{"digits":"`+digits+`"}`, "Authorization", other).is(409).refused("invalid_state")
	done := w.do("POST", path+"/confirm", `{"digits":"`+digits+`"}`).is(200)
	if done.get("confirmed") != "true" || done.get("device", "user_id") != userID || done.get("operation", "state") != "approved" {
		t.Errorf("%s", done.body)
	}
	w.do("POST", path+"/confirm", `{"digits":"`+digits+`"}`).is(409).refused("invalid_state")
	d := w.device(done.get("device", "id"))
	if d.Status != handset.Active {
		t.Errorf("the first device is %s", d.Status)
	}
}

// TestASecondDeviceIsWatched until the back end that knows whose it is releases it.
func TestASecondDeviceIsWatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addUser(alice)
	confirm := func(body string) *answer {
		started := w.do("POST", "/operations/registration", body).is(201)
		digits := w.scan(started)
		return w.do("POST", "/operations/"+started.get("id")+"/confirm", `{"digits":"`+digits+`"}`).is(200)
	}
	confirm(registration)
	second := confirm(registration)
	if second.get("device", "status") == "active" {
		t.Fatalf("%s", second.body)
	}
	if a := w.do("POST", "/devices/"+second.get("device", "id")+"/release", "").is(200); a.get("status") != "active" {
		t.Errorf("%s", a.body)
	}
}

// TestACancelledRegistrationTakesItsDeviceAlong: what nobody confirmed is not there.
func TestACancelledRegistrationTakesItsDeviceAlong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	userID := w.addUser(alice).get("id")
	started := w.do("POST", "/operations/registration", registration).is(201)
	digits := w.scan(started)
	if a := w.do("POST", "/operations/"+started.get("id")+"/cancel", "").is(200); a.get("state") != "denied" || a.get("reason") != "rejected" {
		t.Errorf("%s", a.body)
	}
	w.do("POST", "/operations/"+started.get("id")+"/confirm", `{"digits":"`+digits+`"}`).is(409).refused("invalid_state")
	devices, err := w.devices.ByUser(t.Context(), userID)
	must(t, err)
	for _, d := range devices {
		if d.Status != handset.Deactivated {
			t.Errorf("a device is %s", d.Status)
		}
	}
}

func TestRecoveryCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	userID := w.addUser(alice).get("id")
	path := "/users/" + userID + "/recovery-codes"
	if a := w.do("GET", path, "").is(200); a.get("left") != "0" {
		t.Errorf("%s", a.body)
	}
	var made struct {
		Codes []string `json:"recovery_codes"`
	}
	w.do("POST", path, "").is(201).json(&made)
	if a := w.do("GET", path, "").is(200); a.get("left") != fmt.Sprint(len(made.Codes)) || len(made.Codes) == 0 {
		t.Errorf("%s", a.body)
	}
	with := func(code string) string {
		return `{"user_id":"` + userID + `","application":"bank","recovery_code":"` + code + `"}`
	}
	wrong := w.do("POST", "/operations/registration", with("AAAA")).is(422)
	if names := wrong.refused("invalid_value"); fmt.Sprint(names) != "[recovery_code]" {
		t.Errorf("%v", names)
	}
	w.do("POST", "/operations/registration", with(made.Codes[0]), "Idempotency-Key", "k").is(400).refused("invalid_parameter")
	begun := w.do("POST", "/operations/registration", with(made.Codes[0])).is(201)
	if begun.get("recovery_code") == "" || begun.get("recovery_code") == made.Codes[0] || begun.get("activation_code") == "" {
		t.Errorf("%s", begun.body)
	}
	w.do("POST", "/operations/registration", with(made.Codes[0])).is(422).refused("invalid_value")
	w.do("POST", "/users/usr_nobody/recovery-codes", "").is(404).refused("not_found")
	w.do("GET", "/users/usr_nobody/recovery-codes", "").is(404).refused("not_found")
}

func TestWithoutEnrolmentThereAreNoRegistrations(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *restapi.Config) { c.Enrolment = nil })
	userID := w.addUser(alice).get("id")
	w.do("POST", "/operations/registration", registration).is(404).refused("not_found")
	w.do("POST", "/users/"+userID+"/recovery-codes", "").is(404).refused("not_found")
	d := w.addDevice(userID, func(d *handset.Device) { d.Status = handset.Quarantined })
	w.do("POST", "/devices/"+d.ID+"/release", "").is(200)
}
