// SPDX-License-Identifier: Apache-2.0

package confirming_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/caddymodule/confirming"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
)

// TestPages: every state, and every reason for which nobody is asked, has words of its own; nothing but a question shows a form.
func TestPages(t *testing.T) {
	t.Parallel()
	show, _, err := confirming.Pages()
	if err != nil {
		t.Fatal(err)
	}
	asks := func(state hold.State) *hold.Page {
		p := &hold.Page{
			Status: http.StatusUnauthorized, State: state, Message: "Pay 10", Number: "42", Expires: time.Unix(2e9, 0), Path: "/pay", AgainPath: "/pay?again",
			Post: true, Fields: []hold.Field{{Name: "a", Value: "<1>"}}, StatusPath: "/_gatehouse/confirm/op_1",
		}
		if state == hold.StateBusy {
			p.Status, p.RetryAfter = http.StatusTooManyRequests, 90*time.Second
		}
		return p
	}
	refused := func(status int, code, detail, field string) *hold.Page {
		return &hold.Page{Status: status, Code: code, Detail: detail, Field: field, RequestID: "rq_1"}
	}
	seen := map[string]string{}
	for _, test := range []struct {
		name, says string
		page       *hold.Page
	}{
		{"first", "Ask me on my phone", asks(hold.StateFirst)},
		{"asked", "I have answered", asks(hold.StateAsked)},
		{"approved", "Continue", asks(hold.StateApproved)},
		{"passed", "sent already", asks(hold.StatePassed)},
		{"denied", "You said no", asks(hold.StateDenied)},
		{"not me", "not you who began", asks(hold.StateNotMe)},
		{"expired", "in time", asks(hold.StateExpired)},
		{"failed", "answers were wrong", asks(hold.StateFailed)},
		{"cancelled", "took the question back", asks(hold.StateCancelled)},
		{"busy", "Try again", asks(hold.StateBusy)},
		{"no phone", "no phone that we can ask", refused(403, hold.CodeUnreachable, "", "")},
		{"blocked", "for a while", refused(403, hold.CodeBlocked, "", "")},
		{"a field", "form.amount: it is empty", refused(422, "field_not_showable", "it is empty", "form.amount")},
		{"another form", "only a form of a type", refused(400, "not_confirmable", "only a form of a type", "")},
		{"too large", "larger than we accept", refused(413, "body_too_large", "", "")},
		{"not found", "nothing at this address", refused(404, "not_found", "", "")},
		{"down", "try again", refused(503, "temporarily_unavailable", "", "")},
	} {
		w := httptest.NewRecorder()
		show(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/pay", http.NoBody), test.page)
		body := w.Body.String()
		main := body[strings.Index(body, "<main")+1:]
		if w.Code != test.page.Status || !strings.Contains(strings.ToLower(body), strings.ToLower(test.says)) {
			t.Errorf("%s: %d\n%s", test.name, w.Code, main)
		}
		if form := strings.Contains(body, `value="&lt;1&gt;"`); form != (test.page.State != "") {
			t.Errorf("%s shows its form: %v", test.name, form)
		}
		if other, twice := seen[main]; twice {
			t.Errorf("%s is shown as %s", test.name, other)
		}
		seen[main] = test.name
		if cancel := strings.Contains(body, `action="/_gatehouse/confirm/op_1"`); cancel != (test.page.State == hold.StateAsked) {
			t.Errorf("%s can be taken back: %v", test.name, cancel)
		}
		if want := test.page.State == hold.StateBusy; (w.Header().Get("Retry-After") == "90") != want {
			t.Errorf("%s: Retry-After is %q", test.name, w.Header().Get("Retry-After"))
		}
	}
}

// TestServeFile: what lies beside the files is somebody else's to answer.
func TestServeFile(t *testing.T) {
	t.Parallel()
	_, file, err := confirming.Pages()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"/_gatehouse/confirm/static/app.js": true, "/_gatehouse/confirm/op_1": false, "/_gatehouse/confirm/": false, "/static/app.js": false,
	} {
		w := httptest.NewRecorder()
		if got := file(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)); got != want || got && w.Code != http.StatusNotFound {
			t.Errorf("%s: %v, %d", path, got, w.Code)
		}
	}
}
