// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// One password tried on many names escapes every counter that is kept by name. An address that was refused often is not
// listened to for a while: no login module works for it, and nothing is stored.
func TestOnePasswordOnManyNames(t *testing.T) {
	t.Parallel()
	const allowed = 3
	w := faces.New(t, faces.Options{Seed: 7, Failures: allowed})
	b := w.Browser(t)
	page := atLogin(t, b)
	at := page.At
	for i := range allowed {
		page = b.Submit(page, "username", fmt.Sprint("guess", i), "password", "Summer2026")
		wantForm(t, page, http.StatusForbidden, "could not sign you in")
	}
	tried := len(w.Users.Tries())
	page = b.Submit(page, "username", "alice", "password", faces.Password)
	wantForm(t, page, http.StatusTooManyRequests, "Try again in")
	if page.Header.Get("Retry-After") == "" || b.Cookie("session") != "" {
		t.Error("nobody is told when to come back, or somebody is signed in")
	}
	if len(w.Users.Tries()) != tried || len(w.Trail.Stored()) != allowed {
		t.Errorf("%d attempts were judged and %d stored", len(w.Users.Tries()), len(w.Trail.Stored()))
	}
	logged := w.Trail.Logged()
	if len(logged) != 1 || logged[0].Outcome != audit.Refused || logged[0].Reason != "too_many_refused" {
		t.Errorf("the log holds %v", logged)
	}
	// Opening the form is no attempt, and patience helps.
	wantForm(t, b.Get(at), http.StatusOK, "Password")
	w.Clock.Advance(time.Minute)
	b.Login(page, faces.AliceLogin).Code()
}
