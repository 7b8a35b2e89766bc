// SPDX-License-Identifier: Apache-2.0

package onegini_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/tests/services/twilio"
)

var calls = []row{
	{"`POST /oauth/api/v4/authenticate/user`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		s.phone(t, user)
		for _, kind := range []string{"authentication", "authorisation", "signature"} {
			s.api(t, "POST", "/operations/"+kind, `{"type":"push_pin","user_id":"`+user+`"}`).begins(t, map[string]string{"kind": kind, "type": "push_pin"})
		}
	}},
	{"`GET /oauth/api/v4/authenticate/transaction/{id}`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		o := s.asked(t, `"type":"push","user_id":"`+user+`"`)
		done := make(chan answer)
		go func() { done <- s.operation(t, o.at("id")) }()
		deny(t, p, o, envelope.Denied)
		(<-done).says(t, map[string]string{"id": o.at("id"), "state": "denied"})
	}},
	{"`POST …/user/{user_id}/sms`", func(t *testing.T, s *server) {
		to := number()
		o := s.asked(t, `"type":"sms","user_id":"`+s.user(t, to)+`"`)
		s.verify(t, o, s.code(t, to)).says(t, map[string]string{"state": "approved"})
	}},
	{"`POST …/user/{user_id}/sms/resend`", func(t *testing.T, s *server) {
		o := s.asked(t, `"type":"sms","user_id":"`+s.user(t, number())+`"`).says(t, map[string]string{"resends": "2"})
		again := s.api(t, "POST", "/operations/"+o.at("id")+"/resend", "").refuses(t, http.StatusTooManyRequests, "too_many_requests")
		if again.header.Get("Retry-After") == "" {
			t.Error("it does not say when")
		}
	}},
	{"`GET …/user/{user_id}/enabled`, `…/device/{device_id}/enabled`", enabled},
	{"`GET /oauth/api/v4/users/{userId}/devices`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		got := s.api(t, "GET", "/users/"+user+"/devices", "").at("devices")
		for _, want := range []string{p.State().Device, "name:Phone", "application:bank", "platform:ios", "created_at:", "kind:pin", "service:apple"} {
			if !strings.Contains(got, want) {
				t.Errorf("there is no %s in %s", want, got)
			}
		}
	}},
	{"`DELETE …/devices/{deviceId}`", func(t *testing.T, s *server) {
		user := s.user(t, "")
		p := s.phone(t, user)
		for _, step := range [][2]string{{"lock", "locked"}, {"unlock", "active"}, {"lost", "lost"}, {"deactivate", "deactivated"}} {
			got := s.api(t, "POST", "/devices/"+p.State().Device+"/"+step[0], `{"reason":"test"}`)
			if got.at("status") != step[1] {
				t.Errorf("after %s it is %d %s", step[0], got.status, got.text)
			}
		}
		if _, err := p.Pending(t.Context(), 0); err == nil {
			t.Error("the phone is still answered")
		}
	}},
	{"`GET …/users/{userId}/sessions`", func(t *testing.T, s *server) {
		client := *s.client
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		page := (&server{url: s.url, client: &client}).request(t, "", "GET", "/account", "")
		if page.status != http.StatusSeeOther || !strings.HasPrefix(page.header.Get("Location"), "/login?") {
			t.Errorf("without a login the page answers %d, %s", page.status, page.header.Get("Location"))
		}
	}},
	{"`POST /oauth/api/v2/token/introspect`", func(t *testing.T, s *server) {
		token := s.request(t, "portal", "POST", "/token", "grant_type=client_credentials&scope=read").at("access_token")
		s.request(t, "portal", "POST", "/introspect", "token="+token).says(t, map[string]string{"active": "true", "client_id": "portal"})
		s.request(t, "portal", "POST", "/introspect", "token="+token+"x").says(t, map[string]string{"active": "false"})
	}},
	{"nothing", beyond},
}

// enabled: by which types a user can be asked, on any phone, on one, and in one app; and nothing of a user who is not there.
func enabled(t *testing.T, s *server) {
	t.Helper()
	user := s.user(t, "")
	p := s.phone(t, user)
	of := func(query string) []string {
		var all []string
		list, _ := s.api(t, "GET", "/users/"+query, "").body["methods"].([]any)
		for _, m := range list {
			found := m.(map[string]any)
			all = append(all, fmt.Sprint(found["type"], " by ", found["by"]))
		}
		return all
	}
	all := of(user + "/methods")
	if !slices.Contains(all, "push_pin by push_pin") || slices.Contains(all, "sms by sms") {
		t.Errorf("the user can be asked by %q", all)
	}
	if same := of(user + "/methods?device=" + p.State().Device); !slices.Equal(all, same) {
		t.Errorf("on the phone by %q", same)
	}
	for _, none := range []string{user + "/methods?application=shop", user + "/methods?device=dev_none", "usr_none/methods"} {
		if got := of(none); slices.Contains(got, "push by push") {
			t.Errorf("%s: %q", none, got)
		}
	}
	if got := of(s.user(t, number()) + "/methods"); !slices.Contains(got, "push_pin by sms") {
		t.Errorf("by its fallback: %q", got)
	}
}

// beyond is what there was not: to cancel, to repeat safely, and to hear that a message has arrived.
func beyond(t *testing.T, s *server) {
	t.Helper()
	to := number()
	user := s.user(t, to)
	var started [2]answer
	for i := range started {
		r, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/api/v1/operations/authentication",
			strings.NewReader(`{"type":"sms","user_id":"`+user+`"}`))
		must(t, err)
		r.SetBasicAuth("portal", portalSecret)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "once-"+user)
		started[i] = s.send(t, r)
	}
	if started[0].at("id") == "" || started[0].at("id") != started[1].at("id") || started[1].header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the same request starts %q and %q", started[0].at("id"), started[1].at("id"))
	}
	s.texted(t, to)
	for _, m := range s.twilio.Messages() {
		if m.To == to {
			if status, err := s.twilio.Call(t.Context(), twilio.Callback{SID: m.SID, Status: "delivered"}); err != nil || status != http.StatusNoContent {
				t.Errorf("a delivery report is answered %d, %v", status, err)
			}
		}
	}
	s.api(t, "POST", "/operations/"+started[0].at("id")+"/cancel", "").says(t, map[string]string{"state": "cancelled"})
}
