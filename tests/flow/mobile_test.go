// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	byphone "github.com/gatehouse-id/gatehouse/mobileauth/challenge"
)

var numberOnPage = regexp.MustCompile(`<p class="code number"><strong>([0-9]+)</strong>`)

// number is what a page has the person type on the phone.
func (p page) number() string {
	found := numberOnPage.FindStringSubmatch(p.body)
	if found == nil {
		return ""
	}
	return found[1]
}

// pays asks for what a phone has to approve, and ends at the page that waits.
func (b *browser) pays() page {
	b.t.Helper()
	return b.login(b.get(authorize("app", "scope", "openid pay")))
}

// anew is where a page that waits is fetched anew.
var anew = regexp.MustCompile(`(?:;url=|data-self=")([^"]*)"`)

// again fetches a page anew, as it does by itself without script.
func (b *browser) again(p page) page {
	b.t.Helper()
	link := anew.FindStringSubmatch(p.body)
	target := p.url.String()
	if link != nil {
		next, err := p.url.Parse(html.UnescapeString(link[1]))
		must(b.t, err)
		target = next.String()
	}
	return b.get(target)
}

// TestPhoneInABrowser: the page shows a number, the phone approves with it, and the tokens say what was proven by which device.
func TestPhoneInABrowser(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		phone := w.enrol(t, w.alice.ID)
		b := w.browser(t)
		waiting := b.pays()
		if waiting.status != http.StatusOK || len(waiting.number()) != 2 {
			t.Fatalf("the page that waits: %d\n%s", waiting.status, waiting.body)
		}
		if later := b.again(waiting); later.number() != waiting.number() {
			t.Fatalf("the page shows %q, and later %q", waiting.number(), later.number())
		}
		if shown := question(t, phone); shown.Title != "The app" || !strings.HasPrefix(shown.Content, "Sign in to Example") {
			t.Errorf("the phone shows %q, %q", shown.Title, shown.Content)
		}
		approves(t, phone, waiting.number())
		back := b.again(waiting)
		if back.url.Query().Get("code") == "" {
			t.Fatalf("after the approval: %s %d\n%s", back.url, back.status, back.body)
		}
		tokens := w.redeem(t, "app", back)
		claims := claimsOf(t, tokens.text("access_token"))
		if amr, _ := claims["amr"].([]any); !slices.Contains(amr, any("pin")) {
			t.Errorf("amr is %v", claims["amr"])
		}
		realms, _ := claims["realms"].(map[string]any)
		if _, proven := realms["phone"]; !proven {
			t.Errorf("the token proves %v", claims["realms"])
		}
		if all := w.asked(t, w.alice.ID); len(all) != 1 || all[0].State != "redeemed" {
			t.Errorf("the phone was asked %v", all)
		}
	}, asks(byphone.Config{Type: "push_pin"}))
}

// TestPhoneInAnApp: the app is told number, method and how often to come again, and gets its code when the phone has approved.
func TestPhoneInAnApp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		phone := w.enrol(t, w.alice.ID)
		app := w.phone(t)
		app.ask("pay")
		told := challengeOf(t, app.send("answers", `{"password":{"username":"alice","password":"`+password+`"}}`), "phone")
		data, _ := told["data"].(map[string]any)
		number, _ := data["number"].(string)
		if len(number) != 2 || data["method"] != "push_pin" || data["interval"] != "5" || data["operation"] == "" || data["stage"] != "asked" {
			t.Fatalf("the app is told %v", told)
		}
		if still := challengeOf(t, app.send(), "phone"); still["data"].(map[string]any)["operation"] != data["operation"] {
			t.Errorf("the app comes again and is told %v", still)
		}
		approves(t, phone, number)
		if end := app.send("answers", `{"phone":{}}`); end.status != http.StatusOK || end.text("authorization_code") == "" {
			t.Errorf("after the approval: %d %v", end.status, end.body)
		}
	}, asks(byphone.Config{Type: "push_pin"}))
}

// challengeOf is what an answer asks for a realm.
func challengeOf(t *testing.T, a answer, name string) map[string]any {
	t.Helper()
	all, _ := a.body["challenges"].(map[string]any)
	one, ok := all[name].(map[string]any)
	if !ok {
		t.Fatalf("no challenge for %q: %d %v", name, a.status, a.body)
	}
	return one
}
