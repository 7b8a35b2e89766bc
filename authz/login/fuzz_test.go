// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// Whatever form is sent to the login page: nobody is signed in without the form's own token and the right answers, it is
// never our fault, and a redirect leads to the dispatcher or the page itself.
func FuzzLoginForm(f *testing.F) {
	w := faces.New(f, faces.Options{})
	b := w.Browser(f)
	_, form := b.Authorize(faces.Params()).Form()
	cookies := b.Cookies()
	req, step := form.Get("req"), form.Get("step")
	for _, seed := range []string{
		"username=alice&password=wrong", "username=alice", "", "cancel=cancel", "username=&password=&x=y", "%zz", "username=a&username=b",
		"req=req_a&username=alice&password=correct+horse", "step=x&username=alice&password=correct+horse", "password=%00", "cancel=",
		"username=alice&password=throttled", "username=alice&password=busy",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, fields string, mine bool) {
		body := fields
		if mine {
			body = "req=" + req + "&step=" + step + "&" + fields
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for name, value := range cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)

		params, err := oauth.ParseParams(body)
		sent := err == nil && params.Get("req") == req && params.Get("step") == step
		right := sent && (params.Get("username") == "alice" || params.Get("username") == "bob") && params.Get("password") == faces.Password
		for _, c := range rec.Result().Cookies() {
			if strings.Contains(c.Name, "session") && !right {
				t.Errorf("somebody is signed in by %q", body)
			}
		}
		password := params.Get("password")
		ours := sent && (password == faces.PasswordBroken || password == faces.PasswordPanic || password == faces.PasswordBusy)
		if rec.Code >= http.StatusInternalServerError && !ours {
			t.Errorf("status %d for %q", rec.Code, body)
		}
		if to := rec.Header().Get("Location"); to != "" && !strings.HasPrefix(to, "/authorize?") && !strings.HasPrefix(to, "/login?") {
			t.Errorf("the form leads to %q", to)
		}
	})
}
