// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
)

// Buttons of the page that asks, and what it says.
const (
	goOn     = `button[name=decision][value=allow]`
	stop     = `button[name=decision][value=deny]`
	expired  = `//h1[contains(., "This page has expired")]`
	askedFor = `//h1[contains(., "Continue in this browser?")]`
)

// native is the operator's own app, in which alice has logged in.
func native(t *testing.T) *client.Client {
	t.Helper()
	if shared == nil {
		t.Skip("skipped: there is no Chromium on this machine")
	}
	app, err := client.New(client.Config{
		Issuer: shared.issuer, ClientID: "bank", Scopes: []string{"openid", "accounts:read"},
		HTTP: &http.Client{Timeout: patience}, Now: time.Now,
		Handlers: map[string]client.Handler{
			"password": client.HandlerFunc(func(context.Context, client.Challenge) (map[string]string, error) {
				return map[string]string{"username": "alice", "password": "wonderland-2026"}, nil
			}),
		},
	})
	if err == nil {
		_, err = app.Authorize(t.Context(), client.Request{})
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, shared.tail())
	}
	return app
}

// offer has the app offer its session to a browser.
func offer(t *testing.T, app *client.Client) *client.Handover {
	t.Helper()
	h, err := app.HandOver(t.Context(), client.Request{}, shared.app.URL+"/native")
	if err != nil {
		t.Fatalf("%v\n%s", err, shared.tail())
	}
	return h
}

// TestFromTheAppToTheBrowser: the page names the person and the app, a yes logs the browser in and goes back to the app, and the link
// is then good for nobody.
func TestFromTheAppToTheBrowser(t *testing.T) {
	t.Parallel()
	app := native(t)
	h := offer(t, app)
	ctx := tab(t)
	do(t, ctx, chromedp.Navigate(h.URL), chromedp.WaitVisible(askedFor))
	picture(t, ctx, "continue")
	body := text(t, ctx, "main")
	for _, says := range []string{"Alice Liddell", "Bank <b id=markup>of ours</b>", "If you did not just open this page"} {
		if !strings.Contains(body, says) {
			t.Errorf("the page does not say %q:\n%s", says, body)
		}
	}
	if ask(t, ctx, chromedp.Evaluate[bool](`document.getElementById("markup") !== null`)) {
		t.Error("the name of the app is markup")
	}
	if strings.Contains(body, "signed out") {
		t.Errorf("nobody is signed in here, and the page says:\n%s", body)
	}
	other := tab(t)
	do(t, other, chromedp.Navigate(h.URL), chromedp.WaitVisible(expired))
	do(t, ctx, chromedp.Click(goOn), chromedp.WaitVisible(`#code`))
	if _, err := app.Finish(t.Context(), h, location(t, ctx)); err != nil {
		t.Errorf("the app goes back to: %v", err)
	}
	do(t, ctx, chromedp.Navigate(shared.web+"/"), chromedp.WaitVisible(onSite))
	do(t, ctx, chromedp.Navigate(h.URL), chromedp.WaitVisible(expired))
}

// TestAppInSomebodyElsesBrowser: the page says who will be signed out. A no leaves him there, and a yes does not.
func TestAppInSomebodyElsesBrowser(t *testing.T) {
	t.Parallel()
	app := native(t)
	ctx := tab(t)
	const asBob = `//h1[contains(., "Hello, bob")]`
	do(t, ctx, chromedp.Navigate(shared.web+"/"), fill("bob", "builder-of-walls-2026"), submit(), chromedp.WaitVisible(asBob))
	h := offer(t, app)
	do(t, ctx, chromedp.Navigate(h.URL), chromedp.WaitVisible(stop))
	picture(t, ctx, "continue-other")
	if got := text(t, ctx, ".who"); !strings.Contains(got, "bob") || !strings.Contains(got, "signed out") {
		t.Errorf("of who is signed in the page says %q", got)
	}
	do(t, ctx, chromedp.Click(stop), chromedp.WaitVisible(`#error`))
	var refused *client.Error
	if _, err := app.Finish(t.Context(), h, location(t, ctx)); !errors.As(err, &refused) || refused.Code != "access_denied" {
		t.Errorf("after a no the app hears %v", err)
	}
	do(t, ctx, chromedp.Navigate(shared.web+"/"), chromedp.WaitVisible(asBob))
	do(t, ctx, chromedp.Navigate(offer(t, app).URL), chromedp.Click(goOn), chromedp.WaitVisible(`#code`),
		chromedp.Navigate(shared.web+"/"), chromedp.WaitVisible(onSite))
}

// TestFromTheAppOnAPhoneInTheDark: the page fits, and needs no script.
func TestFromTheAppOnAPhoneInTheDark(t *testing.T) {
	t.Parallel()
	h := offer(t, native(t))
	ctx := tab(t)
	dark := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}
	do(t, ctx, chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile, chromedp.EmulatePortrait),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: dark}),
		chromedp.Navigate(h.URL), chromedp.WaitVisible(goOn))
	picture(t, ctx, "continue-phone-dark")
	if ask(t, ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > innerWidth`)) {
		t.Error("the page is wider than the screen")
	}
	do(t, ctx, call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}),
		chromedp.Click(goOn), chromedp.WaitVisible(`#code`))
}
