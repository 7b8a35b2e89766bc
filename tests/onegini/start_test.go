// SPDX-License-Identifier: Apache-2.0

package onegini_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
)

const chrome = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_3) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/73.0.3683.75 Safari/537.36"

// shows fails the test unless the phone shows this.
func shows(t *testing.T, p *device.Device, o answer, want string) {
	t.Helper()
	if q, err := p.Fetch(t.Context(), o.at("id")); err != nil || q.Content != want {
		t.Errorf("the phone shows %q, %v, want %q", q.Content, err, want)
	}
}

var fields = []row{
	{"`type`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		s.phone(t, user)
		s.ask(t, `"type":"push","user_id":"`+user+`"`).begins(t, map[string]string{"type": "push"})
		s.ask(t, `"type":"fax","user_id":"`+user+`"`).refuses(t, 422, "invalid_value", "type")
		s.ask(t, `"message":"hello","user_id":"`+user+`"`).refuses(t, 422, "invalid_value", "type")
		s.ask(t, `"methods":["pin"],"user_id":"`+user+`","context":{"title":"Sign in"}`).begins(t, map[string]string{"type": "", "methods": "[pin]"})
		s.ask(t, `"type":"push","methods":["pin"],"user_id":"`+user+`"`).refuses(t, 422, "invalid_value", "methods")
	}},
	{"`user_id`", func(t *testing.T, s *server) {
		s.ask(t, `"type":"push"`).refuses(t, 422, "invalid_value", "user_id")
		s.ask(t, `"type":"scan","user_id":"`+s.user(t, "")+`"`).refuses(t, 422, "invalid_value", "user_id")
		to := number()
		added := s.api(t, "POST", "/users", `{"external_ref":"ref`+to+`","attributes":{"phone_number":"`+to+`"}}`)
		s.ask(t, `"type":"sms","user_external_ref":"ref`+to+`"`).begins(t, map[string]string{"user_id": added.at("id")})
	}},
	{"`device_id`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		first, second := s.phone(t, user), s.phone(t, user)
		o := s.ask(t, `"type":"push","user_id":"`+user+`","device_id":"`+second.State().Device+`"`).
			begins(t, map[string]string{"device_id": second.State().Device})
		if _, err := first.Fetch(t.Context(), o.at("id")); err == nil {
			t.Error("another phone is shown it")
		}
		must(t, approve(t, second, o, device.Proof{}))
	}},
	{"(`app_id`, v3)", func(t *testing.T, s *server) {
		user := s.user(t, "")
		s.phone(t, user)
		s.ask(t, `"type":"push","user_id":"`+user+`","application":"bank"`).begins(t, map[string]string{"application": "bank"})
		s.ask(t, `"type":"push","user_id":"`+user+`","application":"shop"`).refuses(t, 409, "not_possible", "no_device")
	}},
	{"`callback_uri`", callbackURI},
	{"`message`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		shows(t, p, s.asked(t, `"type":"push","user_id":"`+user+`","message":"Welcome to XYZ"`), "Welcome to XYZ")
		shows(t, p, s.asked(t, `"type":"push","user_id":"`+user+`"`), "Sign in")
		s.ask(t, `"type":"silent","user_id":"`+user+`"`).refuses(t, 422, "invalid_value", "message")
		s.ask(t, `"type":"push","user_id":"`+user+`","message":"`+strings.Repeat("é", 155)+`"`).begins(t, nil)
		s.ask(t, `"type":"push","user_id":"`+user+`","message":"`+strings.Repeat("é", 156)+`"`).refuses(t, 422, "invalid_value", "message")
	}},
	{"`secure_message`", func(t *testing.T, s *server) {
		to := number()
		user := s.user(t, to)
		p := s.phone(t, user)
		o := s.asked(t, `"type":"push","user_id":"`+user+`","secure_message":"Your savings"`)
		if n := s.pushed(t, p); n.Operation != o.at("id") || strings.Contains(string(n.Payload), "savings") {
			t.Errorf("through Apple goes %s", n.Payload)
		}
		if q, err := p.Fetch(t.Context(), o.at("id")); err != nil || q.Secure != "Your savings" {
			t.Errorf("the phone shows %q, %v", q.Secure, err)
		}
		s.asked(t, `"type":"sms","user_id":"`+user+`","secure_message":"Your savings"`)
		if text := s.texted(t, to); strings.Contains(text, "savings") {
			t.Errorf("a message says %s", text)
		}
	}},
	{"`signing_data`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		o := s.asked(t, `"type":"signed","user_id":"`+user+`","signing_data":"order=7"`)
		if q, err := p.Fetch(t.Context(), o.at("id")); err != nil || q.Data != "order=7" {
			t.Errorf("the phone signs %q, %v", q.Data, err)
		}
		s.ask(t, `"type":"push","user_id":"`+user+`","signing_data":"order=7"`).refuses(t, 422, "invalid_value", "signing_data")
	}},
	{"`phone_number`", func(t *testing.T, s *server) {
		own, named := number(), number()
		user := s.user(t, own)
		s.asked(t, `"type":"sms","user_id":"`+user+`"`)
		s.code(t, own)
		s.asked(t, `"type":"sms","user_id":"`+user+`","phone_number":"`+named+`"`)
		s.code(t, named)
		s.request(t, "plain", "POST", "/api/v1/operations/authentication", `{"type":"sms","user_id":"`+user+`","phone_number":"`+named+`"}`).
			refuses(t, 422, "invalid_value", "phone_number")
	}},
	{"`language_code`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		shows(t, p, s.asked(t, `"type":"push","user_id":"`+user+`","language_code":"nl-BE"`), "Aanmelden")
		shows(t, p, s.asked(t, `"type":"push","user_id":"`+user+`","language_code":"de-AT"`), "Sign in")
	}},
	{"`ip_address`, `user_agent`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		o := s.asked(t, `"type":"push","user_id":"`+user+`","ip_address":"192.0.2.77","user_agent":"`+chrome+`"`)
		shows(t, p, o, "Sign in Device: macOS 10.14 Chrome 73")
		trail := s.api(t, "GET", "/audit?limit=200&operation_id="+o.at("id"), "")
		if kept := s.api(t, "GET", "/operations/"+o.at("id"), "").text + trail.text; trail.status != 200 || strings.Contains(kept, "192.0.2.77") {
			t.Errorf("the address is kept: %s", kept)
		}
	}},
}

// callbackURI: one of the configuration is told, letter by letter, and without one a result is waited for.
func callbackURI(t *testing.T, s *server) {
	t.Helper()
	user := s.user(t, "")
	p := s.phone(t, user)
	o := s.asked(t, `"type":"push","user_id":"`+user+`","callback_url":"`+s.back+`"`)
	for _, not := range []string{s.back + "/", s.back + "?a=b", strings.Replace(s.back, "http", "HTTP", 1), "https://example.com/done"} {
		s.ask(t, `"type":"push","user_id":"`+user+`","callback_url":"`+not+`"`).refuses(t, 422, "invalid_value", "callback_url")
	}
	must(t, approve(t, p, o, device.Proof{}))
	var told struct{ Operation string }
	for told.Operation != o.at("id") {
		select {
		case body := <-s.told:
			must(t, json.Unmarshal([]byte(body), &told))
		case <-t.Context().Done():
			t.Fatal("nobody is told")
		}
	}
}

var answers = []row{
	{"`transaction_id`", func(t *testing.T, s *server) {
		o := s.asked(t, `"type":"scan"`)
		if !regexp.MustCompile(`^op_[a-z0-9]{30,}$`).MatchString(o.at("id")) || !strings.HasSuffix(o.header.Get("Location"), o.at("id")) {
			t.Errorf("it is called %q", o.at("id"))
		}
		s.api(t, "GET", "/operations/"+o.at("id"), "").says(t, map[string]string{"id": o.at("id")})
	}},
	{"`auth_method`", func(t *testing.T, s *server) {
		o := s.ask(t, `"type":"push_pin","user_id":"`+s.user(t, number())+`"`).
			begins(t, map[string]string{"auth_method": "sms", "type": "sms", "channel": "sms", "asked_type": "push_pin"})
		if why := o.at("skipped"); !strings.Contains(why, "push_pin") || !strings.Contains(why, "no_device") {
			t.Errorf("why not by what was asked: %s", why)
		}
	}},
	{"`time_to_live` (milliseconds)", func(t *testing.T, s *server) {
		by, err := time.Parse(time.RFC3339, s.asked(t, `"type":"scan","time_to_live":90`).at("answer_by"))
		if left := time.Until(by); err != nil || left > 90*time.Second || left < time.Second {
			t.Errorf("%v are left, %v", left, err)
		}
	}},
	{"`otp`", func(t *testing.T, s *server) {
		o := s.asked(t, `"type":"scan"`)
		if !regexp.MustCompile(`^[A-Z2-7]{32}$`).MatchString(o.at("otp")) || !strings.Contains(o.at("link"), o.at("otp")) {
			t.Errorf("it is %q in %q", o.at("otp"), o.at("link"))
		}
		for kind, media := range map[string]string{"png": "image/png", "svg": "image/svg+xml"} {
			picture := s.request(t, "portal", "GET", o.at("qr."+kind), "")
			if picture.status != http.StatusOK || picture.header.Get("Content-Type") != media || len(picture.text) < 100 {
				t.Errorf("%s is %d %s", kind, picture.status, picture.header.Get("Content-Type"))
			}
		}
	}},
	{"`device{name, platform}`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		if got := s.api(t, "GET", "/users/"+user+"/methods", "").at("methods"); !strings.Contains(got, "name:Phone") || !strings.Contains(got, "platform:ios") {
			t.Errorf("the user can be asked by %s", got)
		}
		o := s.asked(t, `"type":"push","user_id":"`+user+`"`)
		must(t, approve(t, p, o, device.Proof{}))
		s.operation(t, o.at("id")).says(t, map[string]string{"answered_by": p.State().Device})
	}},
	{"nothing", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		o := s.asked(t, `"type":"push","user_id":"`+user+`"`)
		q, err := p.Fetch(t.Context(), o.at("id"))
		must(t, err)
		if len(o.at("number")) != 2 || q.NumberMatch != 2 {
			t.Fatalf("%q is shown, and the phone asks for %d digits", o.at("number"), q.NumberMatch)
		}
		wrong := string('0'+(o.at("number")[0]-'0'+1)%10) + o.at("number")[1:]
		if err := p.Approve(t.Context(), q, device.Approval{Number: wrong}); err == nil {
			t.Error("another number does")
		}
		must(t, p.Approve(t.Context(), q, device.Approval{Number: o.at("number")}))
	}},
}
