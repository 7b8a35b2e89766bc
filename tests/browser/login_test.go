// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

const onSite = `//h1[contains(., "Hello, Alice Liddell")]`

func TestPersonLandsOnThePageThatWasAskedForAndLogsOutEverywhere(t *testing.T) {
	t.Parallel()
	ctx := tab(t)
	deep := shared.web + "/reports/2026?sort=date&q=a%20b"
	do(t, ctx, chromedp.Navigate(deep), chromedp.WaitVisible(`input[name=password]`))
	picture(t, ctx, "login")
	if got := location(t, ctx); !strings.HasPrefix(got, shared.issuer+"/login") {
		t.Errorf("sent to %s", got)
	}
	do(t, ctx, fill("alice", "wrong"), submit(), chromedp.WaitVisible(`[role=alert]`))
	picture(t, ctx, "login-refused")
	do(t, ctx, fill("ALICE", "wonderland-2026"), submit(), chromedp.WaitVisible(onSite))
	picture(t, ctx, "site")
	if got := location(t, ctx); got != deep {
		t.Errorf("landed on %s, want %s", got, deep)
	}
	if body := text(t, ctx, "body"); !strings.Contains(body, "Gatehouse-Subject") || !strings.Contains(body, "usr_") {
		t.Errorf("the upstream was told:\n%s", body)
	}
	do(t, ctx, chromedp.Click(`form button`), chromedp.WaitVisible(`main`))
	picture(t, ctx, "signed-out")
	if got := location(t, ctx); !strings.HasPrefix(got, shared.issuer+"/logout") {
		t.Errorf("sent to %s", got)
	}
	do(t, ctx, chromedp.Navigate(deep), chromedp.WaitVisible(`input[name=password]`))
}

func TestKeyboardAlone(t *testing.T) {
	t.Parallel()
	ctx := tab(t)
	do(t, ctx, chromedp.Navigate(shared.web+"/"), chromedp.WaitVisible(`input[name=password]`),
		chromedp.KeyEvent("alice"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("wonderland-2026"), chromedp.KeyEvent(kb.Enter),
		chromedp.WaitVisible(onSite))
}

func TestWithoutScript(t *testing.T) {
	t.Parallel()
	ctx := tab(t)
	do(t, ctx, call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Navigate(shared.web+"/"))
	do(t, ctx, chromedp.WaitVisible(`input[name=username]`), chromedp.SendKeys(`input[name=username]`, "alice"),
		chromedp.SendKeys(`input[name=password]`, "wonderland-2026"+kb.Enter), chromedp.WaitVisible(onSite))
}

func TestPhoneInTheDark(t *testing.T) {
	t.Parallel()
	ctx := tab(t)
	dark := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}
	do(t, ctx, chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile, chromedp.EmulatePortrait),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: dark}),
		chromedp.Navigate(shared.web+"/"), chromedp.WaitVisible(`input[name=password]`))
	picture(t, ctx, "login-phone-dark")
	if ask(t, ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > innerWidth`)) {
		t.Error("the page is wider than the screen")
	}
}

// authorize is the address at which somebody else's application begins.
func authorize(more url.Values) string {
	query := url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {shared.app.URL + "/callback"},
		"scope": {"openid profile accounts:read"}, "state": {"a state"}, "nonce": {"n"},
		"code_challenge":        {oauth.Challenge("verifier-verifier-verifier-verifier-verifier")},
		"code_challenge_method": {"S256"},
	}
	for name, values := range more {
		query[name] = values
	}
	return shared.issuer + "/authorize?" + query.Encode()
}

func TestConsentIsAskedOnceAndCanBeRefused(t *testing.T) {
	t.Parallel()
	ctx := tab(t)
	do(t, ctx, chromedp.Navigate(authorize(nil)), fill("alice", "wonderland-2026"), submit(),
		chromedp.WaitVisible(`button[name=decision][value=deny]`))
	picture(t, ctx, "consent")
	if body := text(t, ctx, "main"); !strings.Contains(body, "Other People's App") || !strings.Contains(body, "accounts:read") {
		t.Errorf("the consent page says:\n%s", body)
	}
	do(t, ctx, chromedp.Click(`button[name=decision][value=deny]`), chromedp.WaitVisible(`#error`))
	if got := text(t, ctx, "#error"); got != "access_denied" {
		t.Errorf("the application was told %q", got)
	}
	do(t, ctx, chromedp.Navigate(authorize(nil)), chromedp.Click(`button[name=decision][value=allow]`), chromedp.WaitVisible(`#code`))
	if got := text(t, ctx, "#iss"); got != shared.issuer {
		t.Errorf("iss is %q", got)
	}
	if got := text(t, ctx, "#state"); got != "a state" {
		t.Errorf("state is %q", got)
	}
	// The second time nobody is asked, and with form_post the answer comes in a body.
	do(t, ctx, chromedp.Navigate(authorize(url.Values{"response_mode": {"form_post"}})), chromedp.WaitVisible(`#code`))
	if got := text(t, ctx, "#method"); got != "POST" {
		t.Errorf("the answer came by %s", got)
	}
}

func TestErrorIsAPageAndNeverARedirectToAStranger(t *testing.T) {
	t.Parallel()
	ctx := tab(t)
	do(t, ctx, chromedp.Navigate(authorize(url.Values{"redirect_uri": {shared.app.URL + "/callback/../evil"}})), chromedp.WaitVisible(`main`))
	picture(t, ctx, "error")
	if got := location(t, ctx); !strings.HasPrefix(got, shared.issuer) {
		t.Errorf("sent to %s", got)
	}
}

func TestAccountPageEndsSessions(t *testing.T) {
	t.Parallel()
	ctx := tab(t)
	do(t, ctx, chromedp.Navigate(shared.issuer+"/account"), fill("bob", "builder-of-walls-2026"), submit(),
		chromedp.WaitVisible(`button[name=everywhere]`))
	picture(t, ctx, "account")
	do(t, ctx, chromedp.Navigate(shared.web+"/"), chromedp.WaitVisible(`//h1[contains(., "Hello")]`))
	other := tab(t)
	do(t, other, chromedp.Navigate(shared.web+"/"), fill("bob", "builder-of-walls-2026"), submit(), chromedp.WaitVisible(`//h1[contains(., "Hello")]`))
	do(t, ctx, chromedp.Navigate(shared.issuer+"/account"), chromedp.Click(`button[name=everywhere]`), chromedp.WaitVisible(`main`))
	do(t, other, chromedp.Navigate(shared.web+"/"), chromedp.WaitVisible(`input[name=password]`))
}
