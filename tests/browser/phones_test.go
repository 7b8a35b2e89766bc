// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/tests/program"
)

const withPhones = `{
	admin ADMIN
	auto_https off
	gatehouse {
		issuer ISSUER
		storage badger data
		application bank {
			android com.example.bank
			enrollment
		}
		user alice {
			password wonderland-2026
			attribute name "Alice Liddell"
		}
	}
}
ISSUER {
	authorization_server
}
`

// phoneWorld starts a program of its own, where phones are registered.
func phoneWorld(t *testing.T) (issuer string) {
	t.Helper()
	return ownWorld(t, withPhones)
}

// ownWorld starts a program of its own.
func ownWorld(t *testing.T, caddyfile string) (issuer string) {
	t.Helper()
	if shared == nil {
		t.Skip("skipped: there is no Chromium on this machine")
	}
	dir := t.TempDir()
	p, err := program.Start(t.Context(), program.Config{
		Path: shared.Path, Dir: dir, Ports: 1, Host: "localhost", Ready: "/jwks",
		Caddyfile: func(a []string) string {
			issuer = "http://" + a[0]
			return strings.NewReplacer("ADMIN", program.SocketIn(dir), "ISSUER", issuer).Replace(caddyfile)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Stop() // the test is over
		if t.Failed() {
			t.Logf("it said:\n%s", p.Log())
		}
	})
	return issuer
}

const phonePIN = "730518"

// enrol is a phone that somebody types the activation code into.
func enrol(t *testing.T, issuer, code, name string) *device.Device {
	t.Helper()
	secret, err := envelope.ParseActivationCode(code)
	if err != nil {
		t.Fatal(err)
	}
	store := &device.SoftStore{}
	phone, err := device.Enrol(t.Context(), device.Config{
		Client: &http.Client{Timeout: patience}, Keystore: store, Vault: store, Now: time.Now,
		Save: func(context.Context, device.State) error { return nil }, KDF: device.KDF{Time: 1, Memory: 64, Threads: 1},
	}, device.Enrolment{
		Invitation:  envelope.Invitation{Issuer: issuer, Code: secret},
		Application: "bank", Version: "1.0", Platform: "android", Model: "Pixel 9", Name: name, PIN: phonePIN,
	})
	if err != nil {
		t.Fatal(err)
	}
	return phone
}

// wrongDigits are others than these.
func wrongDigits(right string) string {
	if right == "000000" {
		return "000001"
	}
	return "000000"
}

const (
	addButton  = `button[name=add_phone]`
	codeOnPage = `.code code`
	digitField = `input[name=digits]`
	mainButton = `main form:not(.aside) button[type=submit]`
)

// begins signs in, begins to add a phone and returns the activation code.
func begins(t *testing.T, ctx context.Context, issuer string, login bool) string {
	t.Helper()
	do(t, ctx, chromedp.Navigate(issuer+"/account"))
	if login {
		do(t, ctx, fill("alice", "wonderland-2026"), submit())
	}
	do(t, ctx, chromedp.WaitVisible(addButton), chromedp.Click(addButton), chromedp.WaitVisible(codeOnPage))
	return text(t, ctx, codeOnPage)
}

// TestPhonesOnTheAccountPage: a person adds a phone by a code and digits, and a second one, which the first has to approve;
// names one and removes it. The page that waits finds out by itself that a phone has come.
func TestPhonesOnTheAccountPage(t *testing.T) {
	t.Parallel()
	issuer := phoneWorld(t)
	ctx := tab(t)
	code := begins(t, ctx, issuer, true)
	picture(t, ctx, "phones-add")
	first := enrol(t, issuer, code, "My Pixel")
	right := first.State().Digits
	do(t, ctx, chromedp.WaitVisible(digitField), chromedp.SendKeys(digitField, wrongDigits(right)), chromedp.Click(mainButton),
		chromedp.WaitVisible(`[role=alert]`))
	picture(t, ctx, "phones-wrong")
	if got := text(t, ctx, "[role=alert]"); !strings.Contains(got, "2 tries left") {
		t.Errorf("the page says %q", got)
	}
	do(t, ctx, chromedp.SendKeys(digitField, right[:3]+" "+right[3:]), chromedp.Click(mainButton),
		chromedp.WaitVisible(`//h1[contains(., "Your phone is ready")]`))
	picture(t, ctx, "phones-done")
	if got, err := first.Refresh(t.Context()); err != nil || got.Status != "active" {
		t.Errorf("the phone is %q: %v", got.Status, err)
	}

	second := enrol(t, issuer, begins(t, ctx, issuer, false), "Other")
	do(t, ctx, chromedp.WaitVisible(digitField), chromedp.SendKeys(digitField, second.State().Digits), chromedp.Click(mainButton),
		chromedp.WaitVisible(`//h1[contains(., "One more step")]`))
	picture(t, ctx, "phones-held")
	waiting, err := first.Refresh(t.Context())
	if err != nil || len(waiting.Waiting) != 1 {
		t.Fatalf("the first phone hears of %d others: %v", len(waiting.Waiting), err)
	}
	if err := first.Release(t.Context(), device.Proof{PIN: phonePIN}, waiting.Waiting[0].Device, envelope.Approve); err != nil {
		t.Fatal(err)
	}
	do(t, ctx, chromedp.Reload(), chromedp.WaitVisible(`//h1[contains(., "Your phone is ready")]`))

	do(t, ctx, chromedp.Navigate(issuer+"/account"), chromedp.WaitVisible(`//h3[contains(., "My Pixel")]`))
	picture(t, ctx, "phones-account")
	do(t, ctx, chromedp.Click(`//li[contains(., "My Pixel")]//a`), chromedp.WaitVisible(`input[name=name]`),
		chromedp.SetValue(`input[name=name]`, "Old one"))
	picture(t, ctx, "phones-rename")
	do(t, ctx, chromedp.Click(mainButton), chromedp.WaitVisible(`//h3[contains(., "Old one")]`),
		chromedp.Click(`//li[contains(., "Old one")]//a`), chromedp.Click(`.fine a`), chromedp.WaitVisible(`button[name=remove_phone]`))
	picture(t, ctx, "phones-remove")
	do(t, ctx, chromedp.Click(`button[name=remove_phone]`), chromedp.WaitVisible(`[role=status]`))
	if body := text(t, ctx, "main"); strings.Contains(body, "Old one") || !strings.Contains(body, "Other") {
		t.Errorf("the page says:\n%s", body)
	}
	if got, err := first.Refresh(t.Context()); err == nil {
		t.Errorf("the phone that was removed is %q", got.Status)
	}
}

// TestPhonesInTheDarkWithoutScript: a phone is added on the narrow screen of another, in the dark and without script, where the
// page that waits is fetched anew all the same; then it is stopped.
func TestPhonesInTheDarkWithoutScript(t *testing.T) {
	t.Parallel()
	issuer := phoneWorld(t)
	ctx := tab(t)
	dark := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}
	do(t, ctx, chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile, chromedp.EmulatePortrait),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: dark}),
		call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}),
		chromedp.Navigate(issuer+"/account"), chromedp.WaitVisible(`input[name=username]`),
		chromedp.SendKeys(`input[name=username]`, "alice"), chromedp.SendKeys(`input[name=password]`, "wonderland-2026"), submit(),
		chromedp.WaitVisible(addButton))
	picture(t, ctx, "phones-dark-account")
	do(t, ctx, chromedp.Click(addButton), chromedp.WaitVisible(codeOnPage))
	picture(t, ctx, "phones-dark-add")
	narrow := func() {
		t.Helper()
		if ask(t, ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > innerWidth`)) {
			t.Errorf("the page is wider than the screen at %s", location(t, ctx))
		}
	}
	narrow()
	enrol(t, issuer, text(t, ctx, codeOnPage), "Pixel")
	do(t, ctx, chromedp.WaitVisible(digitField))
	picture(t, ctx, "phones-dark-confirm")
	narrow()
	do(t, ctx, chromedp.Click(`button[name=stop]`), chromedp.WaitVisible(`//h1[contains(., "The phone was not added")]`))
	picture(t, ctx, "phones-dark-refused")
	narrow()
}
