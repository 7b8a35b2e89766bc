// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// One form is sent many times at once, as by an impatient finger: every answer leads on, and the user ends up with a cookie
// that works.
func TestOneFormSentManyTimes(t *testing.T) {
	t.Parallel()
	for _, factor := range []string{"first", "second"} {
		t.Run(factor+" factor", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.Browser(t)
			page := atLogin(t, b, "scope", "payments:write")
			if factor == "second" {
				page = b.Login(page, faces.AliceLogin)
			}
			action, form := page.Form()
			form.Set("username", faces.AliceLogin)
			form.Set("password", faces.Password)
			form.Set("pin", faces.PIN)
			cookies := b.Cookies()

			var group sync.WaitGroup
			var mu sync.Mutex
			var tabs []*faces.Browser
			for range 8 {
				group.Go(func() {
					tab := w.Browser(t)
					tab.Plant(cookies)
					sent := tab.Send(http.MethodPost, action, form)
					mu.Lock()
					defer mu.Unlock()
					if sent.Status != http.StatusSeeOther && sent.Status != http.StatusBadRequest {
						t.Errorf("status %d:\n%s", sent.Status, sent.Body)
					}
					if sent.Status == http.StatusSeeOther {
						tabs = append(tabs, tab)
					}
				})
			}
			group.Wait()
			good := 0
			for _, tab := range tabs {
				if s := tab.Get("/account"); strings.Contains(s.Body, "This device") {
					good++
				}
			}
			if good == 0 {
				t.Errorf("of %d browsers that were let on none has a cookie that works", len(tabs))
			}
			if factor == "second" && good != 1 {
				t.Errorf("%d different secrets open one session", good)
			}
		})
	}
}

// Two users in one browser, from two forms that were both open: the later one has the browser.
func TestTwoUsersInOneBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	one, two := atLogin(t, b), atLogin(t, b)
	b.Login(one, faces.AliceLogin).Code()
	// Bob's form is from before Alice's login: it is not taken, and Alice's session answers.
	b.Login(two, faces.BobLogin).Code()
	if page := b.Get("/account"); !strings.Contains(page.Body, "Alice") {
		t.Errorf("the browser is not Alice's:\n%s", page.Body)
	}
	if sessions, err := w.Store.SessionsOf(t.Context(), faces.Bob); err != nil || len(sessions) != 0 {
		t.Errorf("Bob has sessions: %v (%v)", sessions, err)
	}
}
