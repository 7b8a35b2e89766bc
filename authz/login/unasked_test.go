// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// Credentials that nobody has asked for, as in a header field, are judged as soon as the page is opened. They count like answers:
// an address that was refused often is not listened to, however it presents them.
func TestCredentialsThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	const allowed = 3
	w := faces.New(t, faces.Options{Seed: 7, Failures: allowed})
	b := w.Browser(t)
	var page *faces.Page
	for range allowed {
		page = b.Authorize(faces.Params("acr_values", "header", "scope", "openid"))
		wantForm(t, page, http.StatusForbidden, "could not sign you in")
	}
	b.Header.Set("Test-Badge", faces.Bob)
	wantForm(t, b.Get(page.At), http.StatusTooManyRequests, "Try again in")
	if b.Cookie("session") != "" {
		t.Error("somebody is signed in")
	}
	want := []string{"header:refused", "header:refused", "header:refused", "header:throttled"}
	if got := w.Observed(); !slices.Equal(got, want) {
		t.Errorf("metrics are told %v, want %v", got, want)
	}
	w.Clock.Advance(time.Minute)
	b.Get(page.At).Code()
}
