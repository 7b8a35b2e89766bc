// SPDX-License-Identifier: Apache-2.0

package onegini_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

var results = []row{
	{"`is_authenticated`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		ends := func(want string, o answer) {
			t.Helper()
			s.operation(t, o.at("id")).says(t, map[string]string{"state": want})
		}
		push := func() answer { return s.asked(t, `"type":"push","user_id":"`+user+`"`) }
		o := push()
		must(t, approve(t, p, o, device.Proof{}))
		ends("approved", o)
		o = push()
		deny(t, p, o, envelope.Denied)
		ends("denied", o)
		o = push()
		s.api(t, "POST", "/operations/"+o.at("id")+"/cancel", "")
		ends("cancelled", o)
		ends("expired", s.asked(t, `"type":"brief","user_id":"`+user+`"`))
		to := number()
		o = s.asked(t, `"type":"strict","user_id":"`+s.user(t, to)+`"`)
		s.verify(t, o, other(s.code(t, to)))
		ends("failed", o)
	}},
	{"`authentication_method`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user, "biometric")
		o := s.asked(t, `"type":"push_fingerprint","user_id":"`+user+`"`)
		must(t, approve(t, p, o, device.Proof{PIN: pin})) // in the place of the fingerprint
		s.operation(t, o.at("id")).says(t, map[string]string{"auth_method": "push_pin", "acr": "push_pin", "type": "push_fingerprint"})
		if amr := s.operation(t, o.at("id")).at("amr"); !strings.Contains(amr, "pin") || strings.Contains(amr, "fpt") {
			t.Errorf("amr is %s", amr)
		}
	}},
	{"`used_authentication_attempts`", func(t *testing.T, s *server) {
		to := number()
		o := s.asked(t, `"type":"sms","user_id":"`+s.user(t, to)+`"`)
		code := s.code(t, to)
		s.verify(t, o, other(code))
		s.verify(t, o, code).says(t, map[string]string{"state": "approved", "tries": "1"})
	}},
	{"`signature`, `user_public_key`, `signature_verified`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		o := s.api(t, "POST", "/operations/authorisation", `{"type":"push_pin","user_id":"`+user+`"}`)
		must(t, approve(t, p, o, device.Proof{PIN: pin}))
		got := s.operation(t, o.at("id"))
		if strings.Count(got.at("receipt"), ".") != 2 {
			t.Errorf("the receipt is %q", got.at("receipt"))
		}
		o = s.asked(t, `"type":"push_pin","user_id":"`+user+`"`)
		must(t, approve(t, p, o, device.Proof{PIN: pin}))
		if got := s.operation(t, o.at("id")).at("statement"); strings.Count(got, ".") != 2 {
			t.Errorf("the statement is %q", got)
		}
	}},
	{"`timestamp`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		o := s.asked(t, `"type":"push","user_id":"`+user+`"`)
		must(t, approve(t, p, o, device.Proof{}))
		got := s.operation(t, o.at("id"))
		for _, member := range []string{"answered_at", "ended_at"} {
			if at, err := time.Parse(time.RFC3339, got.at(member)); err != nil || time.Since(at).Abs() > time.Minute {
				t.Errorf("%s is %v, %v", member, at, err)
			}
		}
	}},
	{"`user_id`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		o := s.asked(t, `"type":"scan"`)
		q, err := p.Scan(t.Context(), o.at("link"))
		must(t, err)
		must(t, p.Approve(t.Context(), q, device.Approval{Number: o.at("number")}))
		s.operation(t, o.at("id")).says(t, map[string]string{"state": "approved", "user_id": user})
	}},
	{"`not_authenticated_reason` `not_accepted`", func(t *testing.T, s *server) {
		for _, reason := range []string{"denied", "not_me", "incorrect_data"} {
			user := s.user(t, "")
			p := s.phone(t, user)
			o := s.asked(t, `"type":"push","user_id":"`+user+`"`)
			deny(t, p, o, reason)
			s.operation(t, o.at("id")).says(t, map[string]string{"state": "denied", "reason": reason})
		}
	}},
	{"`not_authenticated_reason` `invalid_answer`", invalidAnswer},
	{"`not_authenticated_reason` `failed_to_send`", func(t *testing.T, s *server) {
		o := s.asked(t, `"type":"sms","user_id":"`+s.user(t, stopped)+`"`)
		s.operation(t, o.at("id")).says(t, map[string]string{"state": "failed", "reason": "not_sent"})
	}},
	{"`not_authenticated_reason` `invalid_request`", func(t *testing.T, s *server) {
		user := s.user(t, number())
		s.ask(t, `"type":"sms","user_id":"`+user+`","message":"`+strings.Repeat("x", 156)+`"`).refuses(t, 422, "invalid_value", "message")
		if got := s.api(t, "GET", "/operations?user_id="+user, ""); got.at("operations") != "[]" {
			t.Errorf("there is one: %s", got.text)
		}
	}},
	{"nothing", func(t *testing.T, s *server) {
		for _, gone := range []struct{ path, reason string }{{"/devices/", "device_revoked"}, {"/users/", "user_revoked"}} {
			user := s.user(t, "")
			p := s.phone(t, user)
			o := s.asked(t, `"type":"push","user_id":"`+user+`","device_id":"`+p.State().Device+`"`)
			id := map[string]string{"/devices/": p.State().Device, "/users/": user}[gone.path]
			if got := s.api(t, "POST", gone.path+id+"/deactivate", `{"reason":"left"}`); got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.text)
			}
			s.operation(t, o.at("id")).says(t, map[string]string{"state": "cancelled", "reason": gone.reason})
		}
	}},
}

// invalidAnswer: what failed says whether this question's tries were used up, the phone's, or the user's.
func invalidAnswer(t *testing.T, s *server) {
	t.Helper()
	to := number()
	o := s.asked(t, `"type":"strict","user_id":"`+s.user(t, to)+`"`)
	s.verify(t, o, other(s.code(t, to)))
	s.operation(t, o.at("id")).says(t, map[string]string{"state": "failed", "reason": "attempts"})

	user := s.user(t, "")
	p := s.phone(t, user)
	o = s.asked(t, `"type":"push_pin","user_id":"`+user+`"`)
	for range 3 { // as many as the app's PIN allows
		if err := approve(t, p, o, device.Proof{PIN: wrongPIN}); err == nil {
			t.Fatal("a wrong PIN is taken")
		}
	}
	s.operation(t, o.at("id")).says(t, map[string]string{"state": "failed", "reason": "factor_limit"})
	s.api(t, "GET", "/devices/"+p.State().Device, "").says(t, map[string]string{"status": "deactivated"})

	to = number()
	o = s.asked(t, `"type":"endless","user_id":"`+s.user(t, to)+`"`)
	code := s.code(t, to)
	for range 5 {
		s.verify(t, o, other(code))
	}
	s.operation(t, o.at("id")).says(t, map[string]string{"state": "failed", "reason": "user_blocked"})
}
