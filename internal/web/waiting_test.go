// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/web"
)

func waitPage(change ...func(*web.WaitPage)) web.WaitPage {
	p := web.WaitPage{
		State: web.WaitAsked, Number: "42", Action: "/login", SelfURL: "/login?req=1", WatchURL: "/login/news?req=1", Refresh: 5 * time.Second,
	}
	for _, fn := range change {
		fn(&p)
	}
	return p
}

// TestWaitPageLooksForNews: a page that waits may ask this origin, by its own script, or is fetched anew; one that has come to an end does
// neither, and one on which somebody types is not taken away from under their fingers.
func TestWaitPageLooksForNews(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	for _, tt := range []struct {
		name             string
		page             web.WaitPage
		watches, refetch bool
	}{
		{"waits", waitPage(), true, true},
		{"has nothing to watch", waitPage(func(p *web.WaitPage) { p.WatchURL = "" }), false, true},
		{"somebody types", waitPage(func(p *web.WaitPage) {
			p.State, p.Fields = web.WaitCode, []web.Field{{Name: "code", Label: web.LabelWaitCode}}
		}), true, false},
		{"is over", waitPage(func(p *web.WaitPage) { p.State = web.WaitDenied }), false, false},
	} {
		rec := render(t, r, http.StatusOK, tt.page)
		body, csp := rec.Body.String(), rec.Header().Get("Content-Security-Policy")
		if rec.Code != http.StatusOK || strings.Contains(csp, "connect-src 'self'") != tt.watches || strings.Contains(body, "wait.") != tt.watches ||
			strings.Contains(body, `content="5;url=/login?req=1"`) != tt.refetch {
			t.Errorf("a page that %s: %d %s\n%s", tt.name, rec.Code, csp, body)
		}
		if strings.Contains(body, ">42<") != tt.page.State.Open() {
			t.Errorf("a page that %s shows the wrong number:\n%s", tt.name, body)
		}
	}
}

func TestWaitPageRefuses(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	for name, page := range map[string]web.WaitPage{
		"a state that is none":       waitPage(func(p *web.WaitPage) { p.State = "somewhere" }),
		"a place to watch elsewhere": waitPage(func(p *web.WaitPage) { p.WatchURL = "//evil.example/" }),
		"a place of its own":         waitPage(func(p *web.WaitPage) { p.SelfURL = "https://evil.example/" }),
		"a button without a label":   waitPage(func(p *web.WaitPage) { p.Choices = []web.Choice{{Value: "x"}} }),
		"a field that cancels":       waitPage(func(p *web.WaitPage) { p.Fields = []web.Field{{Name: web.CancelField, Label: "x"}} }),
	} {
		if rec := render(t, r, http.StatusOK, page); rec.Code != http.StatusInternalServerError {
			t.Errorf("%s: %d", name, rec.Code)
		}
	}
}
