// SPDX-License-Identifier: Apache-2.0

package account_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// Whatever is sent to the account page without the form's token ends nothing, and whatever is sent with it touches nobody
// else; it is never our fault, and no redirect leaves the page.
func FuzzAccountForm(f *testing.F) {
	w := faces.New(f, faces.Options{})
	b, bob := w.Browser(f), w.Browser(f)
	b.SignIn(faces.AliceLogin)
	bob.SignIn(faces.BobLogin)
	_, form := b.Get("/account").Form()
	cookies := b.Cookies()
	for _, seed := range []string{
		"everywhere=all", "end_session=" + sessionOf(bob), "revoke_grant=portal", "revoke_grant=%00", "end_session=ses_a&everywhere=all",
		"", "step=x", "done=session", "everywhere=all&everywhere=all",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, fields string, mine bool) {
		if mine && (strings.Contains(fields, "everywhere") || strings.Contains(fields, sessionOf(b)) || strings.Contains(fields, "%")) {
			return // that may end the session all runs share
		}
		body := fields
		if mine {
			body = "step=" + form.Get("step") + "&" + fields
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/account", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for name, value := range cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		if rec.Code >= http.StatusInternalServerError {
			t.Errorf("status %d for %q", rec.Code, body)
		}
		if to := rec.Header().Get("Location"); to != "" && to != "/account" && !strings.HasPrefix(to, "/account?done=") {
			t.Errorf("sent to %q", to)
		}
		for _, user := range []string{faces.Alice, faces.Bob} {
			if sessions, err := w.Store.SessionsOf(t.Context(), user); err != nil || len(sessions) != 1 {
				t.Fatalf("%s has %d sessions left after %q (%v)", user, len(sessions), body, err)
			}
		}
	})
}
