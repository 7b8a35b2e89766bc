// SPDX-License-Identifier: Apache-2.0

package twilio_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/twilio"
)

// Whatever Twilio answers, or something that stands before it: an id is one, a failure repeats nothing, and nothing is sent again that
// may have been sent.
func FuzzAnswer(f *testing.F) {
	var says struct {
		status int
		body   string
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(says.status)
		_, _ = w.Write([]byte(says.body))
	}))
	f.Cleanup(server.Close)
	s, err := twilio.New(twilio.Config{AccountSID: account, AuthToken: token, From: sender, BaseURL: server.URL, Now: message().Expires.Add(-60e9).UTC})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(201, `{"sid":"SM0123456789abcdef0123456789abcdef","status":"queued"}`)
	f.Add(201, `{"sid":"SM0123456789abcdef0123456789abcdef","status":"failed","error_code":"30006"}`)
	f.Add(400, `{"code":21211,"message":"x"}`)
	f.Add(429, `{"code":1e5}`)
	f.Add(503, `<h1>`)
	id := regexp.MustCompile(`^(SM|MM)[0-9a-f]{32}$`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 || status == 204 || status == 304 {
			return
		}
		says.status, says.body = status, body
		got, err := s.Send(t.Context(), message())
		if (err == nil) != id.MatchString(got) || err == nil && status > 299 {
			t.Errorf("status %d, %q: %q, %v", status, body, got, err)
		}
		if err == nil {
			return
		}
		class := sms.ClassOf(err)
		if status >= 500 && class != sms.Ambiguous || status < 300 && class.Repeatable() && !strings.Contains(body, "error_code") {
			t.Errorf("status %d, %q: %v", status, body, err)
		}
		if len(err.Error()) > 150 {
			t.Errorf("the error tells too much: %v", err)
		}
	})
}
