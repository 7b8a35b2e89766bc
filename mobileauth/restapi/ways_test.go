// SPDX-License-Identifier: Apache-2.0

package restapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/budget"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
	"github.com/gatehouse-id/gatehouse/storage"
)

// people are the users, all of whom have the same number.
type people struct{ *identity.Store }

func (people) Person(storage.Tx, string) (asking.Person, error) {
	return asking.Person{Number: "+31612345678"}, nil
}

// asked makes a world in which people are asked by types.
func asked(t testing.TB) *world {
	t.Helper()
	types, err := mobiletype.New([]mobiletype.Type{
		{Name: "push_pin", Method: mobiletype.PushPIN, Fallback: "sms_code", Signing: true, Messages: map[string]string{"en": "Sign in to Example"}},
		{Name: "late", Method: mobiletype.PushPIN, Fallback: "sms_code", After: 30 * time.Second, Messages: map[string]string{"en": "Sign in"}},
		{Name: "scan", Method: mobiletype.OTP, Messages: map[string]string{"en": "Sign in to Example"}},
		{Name: "sms_code", Method: mobiletype.SMS, ACR: "bronze", Messages: map[string]string{"en": "Your code: {code}"}},
	}, mobiletype.Config{})
	must(t, err)
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	must(t, err)
	w := newWorld(t)
	b, err := budget.New(budget.Config{DB: w.db, Sealer: sealer, Now: w.clock.Now})
	must(t, err)
	service, err := asking.New(asking.Config{
		DB: w.db, Operations: w.operations, Devices: w.devices, People: people{w.users}, Types: types, Budget: b,
		Describe: func(_ context.Context, from asking.Origin, _, message string, _ int) string {
			return fmt.Sprintf("%s. Device: %s, Location: %s", message, from.UserAgent, from.Address)
		},
	})
	must(t, err)
	w.api, err = restapi.New(restapi.Config{
		Enrolment: w.enrolment, Issuer: issuer, Authenticator: gate{}, Users: w.users, Devices: w.devices, Operations: w.operations,
		Applications: apps{}, Trail: w.trail, DB: w.db, Sealer: sealer, Now: w.clock.Now, Logger: slog.New(slog.NewTextHandler(w.logs, nil)), Asking: service,
	})
	must(t, err)
	return w
}

const withNumber = `{"logins":["alice"],"external_ref":"crm-1"}`

func (w *world) textOf(id string) operation.Texting {
	w.t.Helper()
	o, err := w.operations.Get(w.t.Context(), id)
	must(w.t, err)
	return *o.SMS
}

// TestNoPhoneSoAMessage: the story of a portal whose user has no phone enrolled.
func TestNoPhoneSoAMessage(t *testing.T) {
	t.Parallel()
	w := asked(t)
	id := w.addUser(withNumber).get("id")
	started := w.do("POST", "/operations/authentication", `{"user_id":"`+id+`","type":"push_pin"}`).is(201)
	if started.get("type") != "sms_code" || started.get("asked_type") != "push_pin" || started.get("auth_method") != "sms" ||
		started.get("channel") != "sms" || started.get("phone_number") != "+31 ** *** **78" || started.get("resends") != "2" ||
		started.get("skipped") != "[map[reason:no_device type:push_pin]]" || started.get("display") != "" {
		t.Errorf("%s", started.body)
	}
	text := w.textOf(started.get("id"))
	for _, secret := range []string{text.Code, text.To} {
		if strings.Contains(started.body, `"`+secret) || strings.Contains(w.logs.String(), secret) {
			t.Errorf("the answer or the log tells %s", text)
		}
	}
	path := "/operations/" + started.get("id")
	w.do("POST", path+"/verify", `{"code":"12345"}`).is(422).refused("invalid_value")
	wrong := "000000"
	if text.Code == wrong {
		wrong = "000001"
	}
	refused := w.do("POST", path+"/verify", `{"code":"`+wrong+`"}`).is(422)
	refused.refused("wrong_code")
	if refused.get("remaining") != "2" {
		t.Errorf("%s", refused.body)
	}
	early := w.do("POST", path+"/resend", "").is(429)
	if early.refused("too_many_requests"); early.Get("Retry-After") != "30" {
		t.Errorf("%v", early.Header)
	}
	for _, pause := range []time.Duration{30 * time.Second, time.Minute} {
		w.clock.Advance(pause)
		w.do("POST", path+"/resend", "").is(200)
	}
	w.clock.Advance(2 * time.Minute)
	w.do("POST", path+"/resend", "").is(409).refused("resend_limit")
	approved := w.do("POST", path+"/verify", `{"code":"`+text.Code[:3]+" "+text.Code[3:]+`"}`).is(200)
	if approved.get("state") != "approved" || approved.get("acr") != "bronze" || approved.get("amr") != "[sms]" || approved.get("auth_method") != "sms" ||
		approved.get("method") != "sms" || approved.get("factor") != "false" {
		t.Errorf("%s", approved.body)
	}
	w.do("POST", path+"/verify", `{"code":"`+text.Code+`"}`).is(409).refused("invalid_state")
	w.do("POST", path+"/resend", "").is(409).refused("invalid_state")
	w.do("POST", path+"/redeem", "").is(200)
}

// TestCodeIsTheStarters: another client does not even see the operation, and one that sees all verifies and resends none.
func TestCodeIsTheStarters(t *testing.T) {
	t.Parallel()
	w := asked(t)
	id := w.addUser(withNumber).get("id")
	started := w.do("POST", "/operations/authentication", `{"user_id":"`+id+`","type":"sms_code"}`).is(201)
	path, code := "/operations/"+started.get("id"), w.textOf(started.get("id")).Code
	w.clock.Advance(30 * time.Second)
	for _, test := range []struct {
		scopes         string
		verify, resend int
	}{
		{"Test shop gatehouse:operations", 404, 404},
		{"Test shop gatehouse:operations gatehouse:operations:all", 409, 404},
	} {
		w.do("POST", path+"/verify", `{"code":"`+code+`"}`, "Authorization", test.scopes).is(test.verify)
		w.do("POST", path+"/resend", "", "Authorization", test.scopes).is(test.resend)
	}
	w.do("POST", path+"/verify", `{"code":"`+code+`"}`).is(200)
}

// TestGuessesBlock: the fifth wrong code over two operations blocks the user, whoever asks.
func TestGuessesBlock(t *testing.T) {
	t.Parallel()
	w := asked(t)
	id := w.addUser(withNumber).get("id")
	start := func() string {
		return w.do("POST", "/operations/authentication", `{"user_id":"`+id+`","type":"sms_code"}`).is(201).get("id")
	}
	first, second := start(), start()
	third := start()
	for i, op := range []string{first, first, first, second, second} {
		code := "111111"
		if w.textOf(op).Code == code {
			code = "111112"
		}
		a := w.do("POST", "/operations/"+op+"/verify", `{"code":"`+code+`"}`).is(422)
		if last := i == 2 || i == 4; last != (a.get("remaining") == "0") {
			t.Errorf("%d. wrong code: %s", i+1, a.body)
		}
	}
	w.do("POST", "/operations/"+third+"/verify", `{"code":"`+w.textOf(third).Code+`"}`).is(409).refused("user_blocked")
	w.do("POST", "/operations/authentication", `{"user_id":"`+id+`","type":"sms_code"}`).is(409).refused("user_blocked")
	if a := w.do("GET", "/users/"+id+"/methods", "").is(200); a.get("methods") != "[]" {
		t.Errorf("%s", a.body)
	}
}

// TestWhoeverScans: the story of a portal that does not know who is there.
func TestWhoeverScans(t *testing.T) {
	t.Parallel()
	w := asked(t)
	p := w.person()
	started := w.do("POST", "/operations/authentication",
		`{"type":"scan","message":"You are logging into the XYZ portal","ip_address":"192.0.2.7","user_agent":"Chrome 73"}`, "Idempotency-Key", "k").is(201)
	id, otp := started.get("id"), started.get("otp")
	want := envelope.Scan{Issuer: issuer, OTP: otp}.Text()
	if len(otp) != 32 || started.get("link") != want || started.get("user_id") != "" || started.get("auth_method") != "otp" || len(started.get("number")) != 2 ||
		started.get("qr", "png") != "/api/v1/operations/"+id+"/qr.png" || !strings.Contains(started.get("display"), "Device: Chrome 73, Location: 192.0.2.7") {
		t.Errorf("%s", started.body)
	}
	again := w.do("POST", "/operations/authentication",
		`{"type":"scan","message":"You are logging into the XYZ portal","ip_address":"192.0.2.7","user_agent":"Chrome 73"}`, "Idempotency-Key", "k").is(200)
	if again.get("otp") != otp {
		t.Errorf("%s", again.body)
	}
	png := w.do("GET", "/operations/"+id+"/qr.png", "").is(200)
	svg := w.do("GET", "/operations/"+id+"/qr.svg", "").is(200)
	if !strings.HasPrefix(png.body, "\x89PNG") || !strings.HasPrefix(svg.body, "<svg") || png.Get("Cache-Control") != "no-store" ||
		png.Get("Content-Type") != "image/png" || svg.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("%v %v", png.Header, svg.Header)
	}
	other := "Test shop gatehouse:operations gatehouse:operations:all"
	if a := w.do("GET", "/operations/"+id, "", "Authorization", other).is(200); a.get("otp")+a.get("link")+a.get("qr") != "" {
		t.Errorf("another client is told %s", a.body)
	}
	w.do("GET", "/operations/"+id+"/qr.png", "", "Authorization", other).is(404)
	w.do("GET", "/operations/"+id+"/qr.png", "", "Authorization", "Test portal gatehouse:operations:read").is(403)

	m := handset.Message{DeviceID: p.device, KID: p.keys.Public().Sign.ID(), JTI: envelope.NewID(), IssuedAt: w.clock.Now()}
	out, err := w.operations.Claim(t.Context(), operation.Claim{Message: m, OTP: otp})
	must(t, err)
	if out.Code != operation.Accepted {
		t.Fatalf("%+v", out)
	}
	w.do("GET", "/operations/"+id+"/qr.svg", "").is(409).refused("invalid_state")
	claimed := w.do("GET", "/operations/"+id, "").is(200)
	if claimed.get("user_id")+claimed.get("device_id") != "" || strings.Contains(claimed.body, p.userID) || claimed.get("claimed_at") == "" || claimed.get("otp")+claimed.get("link") != "" || claimed.get("number") == "" {
		t.Errorf("%s", claimed.body)
	}
	known := func(want bool) {
		t.Helper()
		listed, standing := w.do("GET", "/operations?user_id="+p.userID, "").is(200), w.do("GET", "/users/"+p.userID+"/standing", "").is(200)
		all := w.do("GET", "/operations?user_id="+p.userID, "", "Authorization", other).is(200)
		for _, a := range []*answer{listed, standing, all} {
			if told := strings.Contains(a.body, id); told != (want && a.body != standing.body) {
				t.Errorf("whose it is can be read from %s", a.body)
			}
		}
	}
	known(false)
	if out := p.answer(claimed, envelope.Approve); out.Code != operation.Accepted {
		t.Fatalf("%+v", out)
	}
	known(true)
	if a := w.do("GET", "/operations/"+id, "").is(200); a.get("user_id") != p.userID || a.get("state") != "approved" || a.get("auth_method") != "push_pin" {
		t.Errorf("%s", a.body)
	}
	if strings.Contains(w.logs.String(), otp) {
		t.Error("the log tells what is scanned")
	}
}

// TestSMSTakesOver: the answer says when, and afterwards that it has.
func TestSMSTakesOver(t *testing.T) {
	t.Parallel()
	w := asked(t)
	id := w.addUser(withNumber).get("id")
	w.addDevice(id)
	started := w.do("POST", "/operations/authentication", `{"user_external_ref":"crm-1","type":"late"}`).is(201)
	if started.get("auth_method") != "push_pin" || started.get("switch_at") == "" || started.get("phone_number") != "" {
		t.Errorf("%s", started.body)
	}
	w.clock.Advance(30 * time.Second)
	must(t, w.operations.Tick(t.Context()))
	a := w.do("GET", "/operations/"+started.get("id"), "").is(200)
	if a.get("auth_method") != "sms" || a.get("switched_at") == "" || a.get("skipped") != "[map[reason:not_fetched type:late]]" || a.get("number") != "" {
		t.Errorf("%s", a.body)
	}
}

func TestTypesThatAreRefused(t *testing.T) {
	t.Parallel()
	w := asked(t)
	id := w.addUser(withNumber).get("id")
	for _, test := range []struct {
		name, body string
		status     int
		code       string
		params     []string
	}{
		{"an unknown type", `{"user_id":"ID","type":"none"}`, 422, "invalid_value", []string{"type"}},
		{"words without a type", `{"user_id":"ID","message":"Hello"}`, 422, "invalid_value", []string{"type"}},
		{"a type and methods", `{"user_id":"ID","type":"push_pin","methods":["pin"]}`, 422, "invalid_value", []string{"methods"}},
		{"a long message", `{"user_id":"ID","type":"push_pin","message":"` + strings.Repeat("x", 156) + `"}`, 422, "invalid_value", []string{"message"}},
		{"a text that reorders", `{"user_id":"ID","type":"push_pin","secure_message":"a\u202eb"}`, 422, "invalid_value", []string{"secure_message"}},
		{"no address", `{"user_id":"ID","type":"push_pin","ip_address":"localhost"}`, 422, "invalid_value", []string{"ip_address"}},
		{"an address with a zone", `{"user_id":"ID","type":"push_pin","ip_address":"fe80::1%eth0"}`, 422, "invalid_value", []string{"ip_address"}},
		{"a number without the scope", `{"user_id":"ID","type":"sms_code","phone_number":"+31611111111"}`, 422, "invalid_value", []string{"phone_number"}},
		{"another fallback", `{"user_id":"ID","type":"push_pin","fallback":"maybe"}`, 422, "invalid_value", []string{"fallback"}},
		{"no fallback", `{"user_id":"ID","type":"push_pin","fallback":"none"}`, 409, "not_possible", []string{"push_pin"}},
		{"somebody who scans", `{"user_id":"ID","type":"scan"}`, 422, "invalid_value", []string{"user_id"}},
		{"nobody", `{"type":"push_pin"}`, 422, "invalid_value", []string{"user_id"}},
		{"a user who is not there", `{"user_id":"usr_none","type":"push_pin"}`, 409, "not_possible", []string{"push_pin", "sms_code"}},
		{"a reference that nobody has", `{"user_external_ref":"crm-9","type":"push_pin"}`, 409, "not_possible", []string{"push_pin", "sms_code"}},
		{"data over sms", `{"user_id":"ID","type":"push_pin","signing_data":"x"}`, 409, "not_possible", []string{"push_pin", "sms_code"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := w.on(t).do("POST", "/operations/authentication", strings.Replace(test.body, "ID", id, 1)).is(test.status)
			if diff := cmp.Diff(test.params, a.refused(test.code)); diff != "" {
				t.Error(diff)
			}
		})
	}
	none := newWorld(t)
	none.do("POST", "/operations/authentication", `{"user_id":"usr_1","type":"push_pin"}`).is(422).refused("invalid_value")
	if a := none.do("GET", "/users/usr_1/methods", "").is(200); a.get("methods") != "[]" {
		t.Errorf("%s", a.body)
	}
}

// TestNamedNumber: with its scope a client says where the message goes.
func TestNamedNumber(t *testing.T) {
	t.Parallel()
	w := asked(t)
	id := w.addUser(withNumber).get("id")
	a := w.do("POST", "/operations/authentication", `{"user_id":"`+id+`","type":"sms_code","phone_number":"+31 6 8765 4321"}`,
		"Authorization", "Test portal gatehouse:operations gatehouse:operations:numbers").is(201)
	if a.get("phone_number") != "+31 ** *** **21" || w.textOf(a.get("id")).To != "+31687654321" {
		t.Errorf("%s", a.body)
	}
}

func TestMethodsOfUsers(t *testing.T) {
	t.Parallel()
	w := asked(t)
	id := w.addUser(withNumber).get("id")
	d := w.addDevice(id)
	type method struct {
		Type, By string
		Devices  []struct {
			ID   string
			Push bool
		}
		PhoneNumber string `json:"phone_number"`
	}
	methods := func(path string) (lines []string) {
		t.Helper()
		var got struct{ Methods []method }
		w.do(http.MethodGet, path, "").is(200).json(&got)
		for _, m := range got.Methods {
			lines = append(lines, strings.TrimSpace(fmt.Sprint(m.Type, " by ", m.By, " ", len(m.Devices), " ", m.PhoneNumber)))
		}
		return lines
	}
	want := []string{"late by late 1", "push_pin by push_pin 1", "scan by scan 1", "sms_code by sms_code 0 +31 ** *** **78"}
	for _, path := range []string{"", "?device=" + d.ID, "?application=bank"} {
		if diff := cmp.Diff(want, methods("/users/"+id+"/methods"+path)); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	if got := methods("/users/" + id + "/methods?application=shop"); !slices.Contains(got, "push_pin by sms_code 0 +31 ** *** **78") {
		t.Errorf("by another application: %q", got)
	}
	if got := methods("/users/usr_none/methods"); len(got) != 0 {
		t.Errorf("of nobody: %q", got)
	}
	w.do("GET", "/users/"+id+"/methods?x=1", "").is(400)
}
