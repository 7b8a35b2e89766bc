// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz/login"
	byphone "github.com/gatehouse-id/gatehouse/mobileauth/challenge"
)

// TestNewsForAPageThatWaits: the page's script is told when there is news, and nothing else; another browser, a request that is none
// and one that is over learn nothing.
func TestNewsForAPageThatWaits(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		phone := w.enrol(t, w.alice.ID)
		b := w.browser(t)
		waiting := b.pays()
		link := regexp.MustCompile(`data-watch="([^"]*)"`).FindStringSubmatch(waiting.body)
		if link == nil || !strings.HasPrefix(link[1], login.PathNews+"?") {
			t.Fatalf("the page watches nothing: %s", waiting.body)
		}
		target := issuer + html.UnescapeString(link[1])
		changed := func(b *browser, target string) (status int, news bool) {
			t.Helper()
			p := b.get(target)
			var told struct {
				Changed bool `json:"changed"`
			}
			must(t, json.Unmarshal([]byte(p.body), &told))
			return p.status, told.Changed
		}
		approves(t, phone, waiting.number())
		if status, news := changed(b, target); status != http.StatusOK || !news {
			t.Errorf("after the yes: %d %v", status, news)
		}
		for name, other := range map[string]func() (int, bool){
			"another browser": func() (int, bool) { return changed(w.browser(t), target) },
			"no request":      func() (int, bool) { return changed(b, issuer+login.PathNews) },
			"an unknown one":  func() (int, bool) { return changed(b, issuer+login.PathNews+"?"+url.Values{"req": {"req_x"}}.Encode()) },
			"twice":           func() (int, bool) { return changed(b, target+"&since=1") },
			"a since of one's own": func() (int, bool) {
				return changed(b, regexp.MustCompile(`since=[^&]*`).ReplaceAllString(target, "since=-1"))
			},
		} {
			if status, news := other(); status != http.StatusOK || !news {
				t.Errorf("%s: %d %v", name, status, news)
			}
		}
		if p := b.do(http.MethodPost, target, url.Values{}); p.status != http.StatusMethodNotAllowed {
			t.Errorf("a form is answered %d", p.status)
		}
		if end := b.again(waiting); end.url.Query().Get("code") == "" {
			t.Errorf("after all that: %s", end.url)
		}
		if _, news := changed(b, target); !news {
			t.Error("of a request that has ended there is no news")
		}
	}, asks(byphone.Config{Type: "push_pin"}))
}
