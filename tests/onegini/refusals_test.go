// SPDX-License-Identifier: Apache-2.0

package onegini_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/tests/services/apns"
	"github.com/gatehouse-id/gatehouse/tests/services/served"
)

var refusals = []row{
	{"1000 mobile authentication disabled", func(t *testing.T, _ *server) {
		s := serveWith(t, strings.Replace(basics, "push apple", "", 1), "mobile {\n}")
		user := s.user(t, "")
		s.ask(t, `"type":"push","user_id":"`+user+`"`).refuses(t, 422, "invalid_value", "type")
		if list := s.api(t, "GET", "/users/"+user+"/methods", ""); list.at("methods") != "[]" {
			t.Errorf("the user can be asked by %s", list.text)
		}
	}},
	{"1001 no possibilities, user not found", func(t *testing.T, s *server) {
		unnamed := regexp.MustCompile(`"request_id":"[^"]*"`)
		nobody := s.ask(t, `"type":"push_pin","user_id":"usr_none"`).refuses(t, 409, "not_possible", "push_pin", "no_device", "sms", "no_number")
		somebody := s.ask(t, `"type":"push_pin","user_id":"`+s.user(t, "")+`"`).refuses(t, 409, "not_possible")
		if unnamed.ReplaceAllString(nobody.text, "") != unnamed.ReplaceAllString(somebody.text, "") {
			t.Errorf("who is not there is told from who is: %s %s", nobody.text, somebody.text)
		}
	}},
	{"1002 provider could not be initialised", func(t *testing.T, _ *server) {
		s := serve(t, whole)
		s.apple.Script.Add(apns.Step{Status: 403, Reason: "InvalidProviderToken"})
		for range 20 {
			s.twilio.Script.Add(served.Step{Status: 401, Body: `{"code":20003,"message":"Authenticate","status":401}`})
		}
		user := s.user(t, number())
		s.phone(t, user)
		s.ask(t, `"type":"push","user_id":"`+user+`"`).begins(t, map[string]string{"push": "queued", "state": "pending"})
		s.ask(t, `"type":"sms","user_id":"`+user+`"`).begins(t, map[string]string{"state": "pending"})
	}},
	{"1003 bad or missing parameter", func(t *testing.T, s *server) {
		user := s.user(t, "")
		s.ask(t, `"type":"push"`).refuses(t, 422, "invalid_value", "user_id")
		s.ask(t, `"type":"push","user_id":"`+user+`","ip_address":"here"`).refuses(t, 422, "invalid_value", "ip_address")
		s.ask(t, `"type":"push","user_id":"`+user+`","language_code":"!"`).refuses(t, 422, "invalid_value", "language_code")
	}},
	{"1005 message too long", func(t *testing.T, s *server) {
		s.ask(t, `"type":"push","user_id":"`+s.user(t, "")+`","message":"`+strings.Repeat("x", 156)+`"`).refuses(t, 422, "invalid_value", "message")
	}},
	{"1006 message could not be fetched", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		o := s.asked(t, `"type":"push","user_id":"`+user+`"`)
		s.api(t, "POST", "/operations/"+o.at("id")+"/cancel", "")
		if _, err := p.Fetch(t.Context(), o.at("id")); !errors.Is(err, device.ErrGone) {
			t.Errorf("the phone is told %v", err)
		}
	}},
	{"3000 SMS disabled", func(t *testing.T, s *server) {
		if says := wrongly(t, types+"\nAPPLE"); !strings.Contains(says, "no gateway is configured") {
			t.Errorf("without a gateway it says %s", says)
		}
		only := serve(t, "mobile {\ntype push {\nmethod push\nmessage en \"Sign in\"\n}\nAPPLE\n}")
		only.ask(t, `"type":"sms","user_id":"`+only.user(t, number())+`"`).refuses(t, 422, "invalid_value", "type")
	}},
	{"3001 phone number missing", func(t *testing.T, s *server) {
		s.ask(t, `"type":"sms","user_id":"`+s.user(t, "")+`"`).refuses(t, 409, "not_possible", "no_number")
	}},
	{"3002 SMS could not be sent", func(t *testing.T, s *server) {
		o := s.asked(t, `"type":"sms","user_id":"`+s.user(t, number())+`","phone_number":"`+stopped+`"`)
		s.operation(t, o.at("id")).says(t, map[string]string{"state": "failed", "reason": "not_sent"})
	}},
	{"3003 code invalid", func(t *testing.T, s *server) {
		to := number()
		o := s.asked(t, `"type":"sms","user_id":"`+s.user(t, to)+`"`)
		s.verify(t, o, other(s.code(t, to))).refuses(t, 422, "wrong_code").says(t, map[string]string{"remaining": "2"})
	}},
	{"3004 bad transaction id", func(t *testing.T, s *server) {
		const path = "/operations/op_none"
		s.api(t, "GET", path, "").refuses(t, 404, "not_found")
		s.api(t, "POST", path+"/verify", `{"code":"123456"}`).refuses(t, 404, "not_found")
		s.api(t, "POST", path+"/resend", "").refuses(t, 404, "not_found")
	}},
	{"3005 bad user id, type not found", func(t *testing.T, s *server) {
		s.ask(t, `"type":"sms","user_id":"usr_none"`).refuses(t, 409, "not_possible", "sms", "no_number")
		s.ask(t, `"type":"fax","user_id":"`+s.user(t, number())+`"`).refuses(t, 422, "invalid_value", "type")
	}},
	{"3006 resend limit", func(t *testing.T, s *server) {
		o := s.asked(t, `"type":"strict","user_id":"`+s.user(t, number())+`"`)
		s.api(t, "POST", "/operations/"+o.at("id")+"/resend", "").refuses(t, 409, "resend_limit")
		o = s.asked(t, `"type":"sms","user_id":"`+s.user(t, number())+`"`)
		soon := s.api(t, "POST", "/operations/"+o.at("id")+"/resend", "").refuses(t, 429, "too_many_requests")
		if after := soon.header.Get("Retry-After"); len(after) == 0 || after == "0" {
			t.Errorf("Retry-After is %q", after)
		}
	}},
	{"4000 authentication properties not found", func(t *testing.T, s *server) {
		s.ask(t, `"type":"PUSH","user_id":"`+s.user(t, "")+`"`).refuses(t, 422, "invalid_value", "type")
	}},
	{"401 `invalid_client`", func(t *testing.T, s *server) {
		s.request(t, "", "POST", "/api/v1/operations/authentication", `{"type":"scan"}`).refuses(t, 401, "unauthenticated")
		s.request(t, "nobody", "POST", "/api/v1/operations/authentication", `{"type":"scan"}`).refuses(t, 401, "unauthenticated")
		s.request(t, "clerk", "POST", "/api/v1/operations/authentication", `{"type":"scan"}`).refuses(t, 403, "insufficient_scope")
	}},
}

var limits = []row{
	{"message 155 characters", func(t *testing.T, s *server) {
		user := s.user(t, "")
		s.phone(t, user)
		for _, limit := range []struct {
			typ, member string
			most        int
		}{{"push", "message", 155}, {"push", "secure_message", 1000}, {"signed", "signing_data", 2000}} {
			ask := func(length int) answer {
				return s.ask(t, `"type":"`+limit.typ+`","user_id":"`+user+`","`+limit.member+`":"`+strings.Repeat("é", length)+`"`)
			}
			ask(limit.most).begins(t, nil)
			ask(limit.most+1).refuses(t, 422, "invalid_value", limit.member)
		}
		pay := func(content, fields int) answer {
			all := strings.Repeat(`,{"type":"text","label":"a","value":"b"}`, fields)
			return s.api(t, "POST", "/operations/authorisation", `{"user_id":"`+user+`","context":{"title":"Pay","content":"`+
				strings.Repeat("é", content)+`","fields":[`+strings.TrimPrefix(all, ",")+`]}}`)
		}
		pay(1000, 20).begins(t, nil)
		pay(1001, 20).refuses(t, 422, "invalid_value", "content")
		pay(1000, 21).refuses(t, 422, "invalid_value", "fields")
	}},
	{"one code with 10 tries, and any number of transactions", func(t *testing.T, s *server) {
		to := number()
		user := s.user(t, to)
		for _, client := range []string{"portal", "plain"} {
			o := s.request(t, client, "POST", "/api/v1/operations/authentication", `{"type":"endless","user_id":"`+user+`"}`)
			code := s.code(t, to)
			for range map[string]int{"portal": 3, "plain": 2}[client] {
				s.request(t, client, "POST", "/api/v1/operations/"+o.at("id")+"/verify", `{"code":"`+other(code)+`"}`)
			}
		}
		s.ask(t, `"type":"sms","user_id":"`+user+`"`).refuses(t, 409, "user_blocked")
		standing := s.api(t, "GET", "/users/"+user+"/standing", "").says(t, map[string]string{"failures": "5", "blocked": "true"})
		if standing.at("blocked_until") == "" {
			t.Errorf("it is not said until when: %s", standing.text)
		}
	}},
	{"unlimited notifications", func(t *testing.T, s *server) {
		user := s.user(t, "")
		s.phone(t, user)
		for i := range 5 {
			want := map[string]string{"push": "queued"}
			if i == 4 { // the fifth of a minute is kept for what no client begins
				want["push"] = "held_budget"
			}
			o := s.ask(t, `"type":"push","user_id":"`+user+`"`).begins(t, want)
			s.api(t, "POST", "/operations/"+o.at("id")+"/cancel", "")
		}
		user = s.user(t, "")
		deny(t, s.phone(t, user), s.asked(t, `"type":"push","user_id":"`+user+`"`), envelope.NotMe)
		s.ask(t, `"type":"push","user_id":"`+user+`"`).refuses(t, 429, "too_many_requests") // the client is slowed for this user
		s.api(t, "GET", "/users/"+user+"/standing", "").says(t, map[string]string{"not_me": "true"})
	}},
	{"unlimited messages", func(t *testing.T, s *server) {
		to := number()
		for i := range 4 {
			got := s.ask(t, `"type":"sms","user_id":"`+s.user(t, to)+`"`) // each time for somebody else
			if i < 3 {
				got.begins(t, nil)
				continue
			}
			got.refuses(t, 409, "not_possible", "sms_limit")
		}
		s.ask(t, `"type":"sms","user_id":"`+s.user(t, "+4915112345678")+`"`).refuses(t, 409, "not_possible", "bad_number")
		wrongly(t, fmt.Sprint(types, "\nTWILIO")) // which names no countries
	}},
}
