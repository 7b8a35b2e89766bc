// SPDX-License-Identifier: Apache-2.0

package onegini_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

var methods = []row{
	{"`PUSH`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.register(t, user, "bank", pin) // no push service knows it
		o := s.ask(t, `"type":"push","user_id":"`+user+`"`).begins(t, map[string]string{"auth_method": "push", "push": "none"})
		open, err := p.Pending(t.Context(), 0)
		if err != nil || len(open) != 1 || open[0].Operation != o.at("id") {
			t.Errorf("the phone finds %v, %v", open, err)
		}
	}},
	{"`PUSH_WITH_PIN`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		o := s.asked(t, `"type":"push_pin","user_id":"`+user+`"`)
		if err := approve(t, p, o, device.Proof{}); err == nil {
			t.Error("the phone alone does")
		}
		must(t, approve(t, p, o, device.Proof{PIN: pin}))
		s.operation(t, o.at("id")).says(t, map[string]string{"auth_method": "push_pin", "factor": "true"})
		without := s.user(t, "")
		s.register(t, without, "shop", "") // whose app has no PIN
		s.ask(t, `"type":"push_pin","user_id":"`+without+`"`).refuses(t, 409, "not_possible", "no_factor")
	}},
	{"`PUSH_WITH_FINGERPRINT`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user, "biometric")
		o := s.asked(t, `"type":"push_fingerprint","user_id":"`+user+`"`)
		must(t, approve(t, p, o, device.Proof{Factor: "biometric"}))
		s.operation(t, o.at("id")).says(t, map[string]string{"auth_method": "push_fingerprint"})
		user = s.user(t, "")
		p = s.phone(t, user) // has none
		o = s.asked(t, `"type":"push_fingerprint","user_id":"`+user+`"`)
		must(t, approve(t, p, o, device.Proof{PIN: pin}))
	}},
	{"`PUSH_WITH_CUSTOM_AUTHENTICATOR`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user, "custom:face")
		o := s.asked(t, `"type":"push_face","user_id":"`+user+`"`)
		must(t, approve(t, p, o, device.Proof{Factor: "custom:face"}))
		s.operation(t, o.at("id")).says(t, map[string]string{"auth_method": "push_custom", "method": "custom:face"})
		o = s.asked(t, `"type":"push_face","user_id":"`+user+`"`)
		must(t, approve(t, p, o, device.Proof{PIN: pin}))
	}},
	{"`OTP`", func(t *testing.T, s *server) {
		o := s.ask(t, `"type":"scan"`).begins(t, map[string]string{"auth_method": "otp", "channel": "otp"})
		q, err := s.phone(t, s.user(t, "")).Scan(t.Context(), o.at("link"))
		if err != nil || q.NumberMatch != 2 {
			t.Errorf("whoever scans types %d digits, %v", q.NumberMatch, err)
		}
		wrongly(t, strings.Replace(types, "type scan {\n\t\t\tmethod otp", "type scan {\n\t\t\tmethod otp\n\t\t\tfallback sms", 1))
	}},
	{"`SMS`", func(t *testing.T, s *server) {
		to := number()
		s.ask(t, `"type":"sms","user_id":"`+s.user(t, to)+`"`).begins(t, map[string]string{"auth_method": "sms"})
		text := s.texted(t, to)
		code := digits.FindString(text)
		if want := "Your code: " + code + "\n@login.example.com #" + code; text != want {
			t.Errorf("the message is %q, want %q", text, want)
		}
	}},
}

var settings = []row{
	{"time to live", func(t *testing.T, s *server) {
		user := s.user(t, number())
		s.phone(t, user)
		for kind, want := range map[string]time.Duration{"push": 2 * time.Minute, "sms": 5 * time.Minute} {
			o := s.asked(t, `"type":"`+kind+`","user_id":"`+user+`"`)
			began, err := time.Parse(time.RFC3339, o.at("created_at"))
			must(t, err)
			ends, err := time.Parse(time.RFC3339, o.at("answer_by"))
			must(t, err)
			if got := ends.Sub(began); got != want {
				t.Errorf("%s lives %v", kind, got)
			}
		}
		s.ask(t, `"type":"push","user_id":"`+user+`","time_to_live":601`).refuses(t, 422, "invalid_value", "time_to_live")
	}},
	{"max attempts, 0 = unlimited", func(t *testing.T, s *server) {
		to := number()
		user := s.user(t, to)
		o := s.asked(t, `"type":"endless","user_id":"`+user+`"`)
		code := s.code(t, to)
		for range 4 { // more than the three that there are otherwise
			s.verify(t, o, other(code)).refuses(t, 422, "wrong_code")
		}
		s.verify(t, o, other(code))
		s.ask(t, `"type":"sms","user_id":"`+user+`"`).refuses(t, 409, "user_blocked")
	}},
	{"max allowed resends", func(t *testing.T, s *server) {
		o := s.asked(t, `"type":"sms","user_id":"`+s.user(t, number())+`"`).says(t, map[string]string{"resends": "2"})
		began, err := time.Parse(time.RFC3339, o.at("created_at"))
		must(t, err)
		if at, err := time.Parse(time.RFC3339, o.at("resend_at")); err != nil || at.Sub(began).Round(time.Second) != 30*time.Second {
			t.Errorf("it is sent again after %v, %v", at.Sub(began), err)
		}
	}},
	{"fallback", func(t *testing.T, s *server) {
		to := number()
		user := s.user(t, to)
		s.ask(t, `"type":"push_pin","user_id":"`+user+`"`).begins(t, map[string]string{"type": "sms"})
		s.code(t, to)
		s.phone(t, user)
		o := s.ask(t, `"type":"patient","user_id":"`+user+`"`).begins(t, map[string]string{"type": "patient"})
		s.code(t, to) // nobody has fetched it for five seconds
		s.api(t, "GET", "/operations/"+o.at("id"), "").says(t, map[string]string{"type": "sms", "channel": "sms"})
	}},
	{"default messages", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		shows(t, p, s.asked(t, `"type":"push","user_id":"`+user+`","language_code":"nl"`), "Aanmelden")
		shows(t, p, s.asked(t, `"type":"push","user_id":"`+user+`"`), "Sign in")
	}},
	{"transaction signing", func(t *testing.T, s *server) {
		user := s.user(t, "")
		s.phone(t, user)
		s.ask(t, `"type":"signed","user_id":"`+user+`","signing_data":"order=7"`).begins(t, nil)
		s.ask(t, `"type":"push_pin","user_id":"`+user+`","signing_data":"order=7"`).refuses(t, 422, "invalid_value", "signing_data")
	}},
	{"context template `[message] …`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		agent := `,"user_agent":"` + chrome + `"`
		shows(t, p, s.asked(t, `"type":"push","user_id":"`+user+`","language_code":"nl"`+agent), "Aanmelden Apparaat: macOS 10.14 Chrome 73")
		shows(t, p, s.asked(t, `"type":"push","user_id":"`+user+`"`+agent), "Sign in Device: macOS 10.14 Chrome 73")
	}},
	{"callback whitelist", func(t *testing.T, s *server) {
		body := `{"type":"scan","callback_url":"https://example.com/done"}`
		s.api(t, "POST", "/operations/authentication", body).refuses(t, 422, "invalid_value", "callback_url")
		serve(t, "mobile {"+types+"\nAPPLE\nTWILIO\nsms_limits {\ncountries NL\n}\n}"). // which lists none
												api(t, "POST", "/operations/authentication", body).refuses(t, 422, "invalid_value", "callback_url")
	}},
	{"push configuration", func(t *testing.T, s *server) {
		both := strings.Replace(basics, "ios com.example.shop", "ios com.example.shop {\n push apple\n }", 1)
		shared := serveWith(t, both, whole)
		for _, app := range []string{"bank", "shop"} {
			user := shared.user(t, "")
			p := shared.register(t, user, app, pin)
			must(t, p.SetPush(t.Context(), &envelope.PushAddress{Service: "apple", Address: tokenOf(p)}))
			o := shared.ask(t, `"type":"push","user_id":"`+user+`"`).begins(t, map[string]string{"push": "queued"})
			if n := shared.pushed(t, p); n.Operation != o.at("id") || n.Headers["apns-topic"] != "com.example."+app {
				t.Errorf("%s is notified %+v", app, n)
			}
		}
	}},
	{"FCM server key", func(t *testing.T, _ *server) {
		if says := wrongly(t, types+"\npush google {\nfcm {\nserver_key AAAA0123\n}\n}"); !strings.Contains(says, "service_account_file") {
			t.Errorf("of a server key it says %s", says)
		}
	}},
	{"push enrolment mode", func(t *testing.T, s *server) {
		user := s.user(t, "")
		s.register(t, user, "shop", pin)
		s.api(t, "POST", "/operations/registration", `{"user_id":"`+user+`","application":"shop"}`).refuses(t, 409, "invalid_state")
		user = s.user(t, "")
		s.register(t, user, "vault", pin)
		second := s.register(t, user, "vault", pin)
		s.api(t, "GET", "/devices/"+second.State().Device, "").says(t, map[string]string{"status": "quarantined"})
	}},
	{"PIN length 5", func(t *testing.T, s *server) {
		p := s.register(t, s.user(t, ""), "vault", pin)
		if got := p.State().Policy.PIN.MinLength; got != 6 {
			t.Errorf("the phone is told that %d digits do", got)
		}
		if err := p.ChangePIN(t.Context(), device.Proof{PIN: pin}, "49381"); err == nil {
			t.Error("five digits do")
		}
	}},
}
