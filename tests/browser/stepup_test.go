// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/tests/program"
)

const withStepUp = `{
	admin ADMIN
	auto_https off
	gatehouse {
		issuer ISSUER
		storage badger data
		development on
		realm password {
			authenticator form
			login_module identity_store
			max_age 8h
		}
		realm phone {
			authenticator mobile push_pin {
				also scan sms_code
			}
			max_age 5m
		}
		scope accounts:read password
		scope payments:write password phone
		default_scope accounts:read
		application bank {
			android com.example.bank
			enrollment
		}
		mobile {
			type push_pin {
				method push_pin
				message en "Sign in to Example"
			}
			type scan {
				method otp
				message en "Sign in to Example"
			}
			type sms_code {
				method sms
				message en "Your code: {code}"
			}
			sms log
			sms_limits {
				countries NL
			}
		}
		user alice {
			password wonderland-2026
			attribute name "Alice Liddell"
			attribute phone_number +31612345678
		}
	}
}
ISSUER {
	authorization_server
}
WEB {
	protect payments:write {
		session on
	}
	respond "paid"
}
`

// stepUp starts a program of its own, where a site asks for a phone.
func stepUp(t *testing.T) (issuer, web string) {
	t.Helper()
	return ofOwn(t, withStepUp)
}

// ofOwn starts a program of its own, of a configuration in which more is replaced.
func ofOwn(t *testing.T, caddyfile string, more ...string) (issuer, web string) {
	t.Helper()
	if shared == nil {
		t.Skip("skipped: there is no Chromium on this machine")
	}
	dir := t.TempDir()
	p, err := program.Start(t.Context(), program.Config{
		Path: shared.Path, Dir: dir, Ports: 2, Host: "localhost", Ready: "/jwks",
		Caddyfile: func(a []string) string {
			issuer, web = "http://"+a[0], "http://"+a[1]
			return strings.NewReplacer(append(more, "ADMIN", program.SocketIn(dir), "ISSUER", issuer, "WEB", web)...).Replace(caddyfile)
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
	return issuer, web
}

// ofAlice is a phone that she has added on her account page, in a tab of its own.
func ofAlice(t *testing.T, ctx context.Context, issuer string) *device.Device {
	t.Helper()
	phone := enrol(t, issuer, begins(t, ctx, issuer, true), "My Pixel")
	do(t, ctx, chromedp.WaitVisible(digitField), chromedp.SendKeys(digitField, phone.State().Digits), chromedp.Click(mainButton),
		chromedp.WaitVisible(`//h1[contains(., "Your phone is ready")]`))
	return phone
}

// arrives waits for a question on the phone.
func arrives(t *testing.T, phone *device.Device) device.Question {
	t.Helper()
	for t.Context().Err() == nil {
		open, err := phone.Pending(t.Context(), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if len(open) > 0 {
			asked, err := phone.Fetch(t.Context(), open[0].Operation)
			if err != nil {
				t.Fatal(err)
			}
			return asked
		}
	}
	t.Fatal("no question came")
	return device.Question{}
}

const (
	bigNumber   = `.code.number strong`
	againButton = `button[value=again]`
)

// TestStepUpInABrowser: a site asks for the phone; the page shows a number and finds out by itself that the phone said no, that it was
// not the person, and yes, after which the person is where they wanted to go. Nothing is blocked by the page's own policy.
func TestStepUpInABrowser(t *testing.T) {
	t.Parallel()
	issuer, web := stepUp(t)
	ctx := tab(t)
	phone := ofAlice(t, ctx, issuer)
	do(t, ctx, chromedp.Navigate(web+"/pay?to=bob"), chromedp.WaitVisible(bigNumber))
	picture(t, ctx, "stepup-asked")
	asked := arrives(t, phone)
	if !strings.Contains(asked.Content, "Sign in to Example") {
		t.Errorf("the phone shows %q", asked.Content)
	}
	if err := phone.Deny(t.Context(), asked, envelope.Denied); err != nil {
		t.Fatal(err)
	}
	do(t, ctx, chromedp.WaitVisible(`//p[@role="alert"][contains(., "You said no on your phone")]`))
	picture(t, ctx, "stepup-denied")
	do(t, ctx, chromedp.Click(againButton), chromedp.WaitVisible(bigNumber))
	do(t, ctx, chromedp.Click(`button[value="use:sms_code"]`), chromedp.WaitVisible(`input[autocomplete="one-time-code"]`))
	picture(t, ctx, "stepup-code")
	do(t, ctx, chromedp.SendKeys(`input[name=code]`, "12"), chromedp.Click(mainButton), chromedp.WaitVisible(`#message`))
	picture(t, ctx, "stepup-code-wrong")
	do(t, ctx, chromedp.Click(`button[value="use:scan"]`), chromedp.WaitVisible(`svg.qr`))
	picture(t, ctx, "stepup-scan")
	do(t, ctx, chromedp.Click(`button[value="use:push_pin"]`), chromedp.WaitVisible(bigNumber))
	number := text(t, ctx, bigNumber)
	if err := phone.Approve(t.Context(), arrives(t, phone), device.Approval{Number: number, Proof: device.Proof{PIN: phonePIN}}); err != nil {
		t.Fatal(err)
	}
	do(t, ctx, chromedp.WaitVisible(`//*[contains(., "paid")]`))
	if at := location(t, ctx); at != web+"/pay?to=bob" {
		t.Errorf("the person is at %s", at)
	}
}

// TestNotMeInABrowser: whoever began what the person did not is told, and is not let ask again at once.
func TestNotMeInABrowser(t *testing.T) {
	t.Parallel()
	issuer, web := stepUp(t)
	ctx := tab(t)
	phone := ofAlice(t, ctx, issuer)
	do(t, ctx, chromedp.Navigate(web+"/pay"), chromedp.WaitVisible(bigNumber))
	if err := phone.Deny(t.Context(), arrives(t, phone), envelope.NotMe); err != nil {
		t.Fatal(err)
	}
	do(t, ctx, chromedp.WaitVisible(`//p[@role="alert"][contains(., "it was not you who began")]`))
	picture(t, ctx, "stepup-not-me")
	do(t, ctx, chromedp.Click(againButton), chromedp.WaitVisible(`//p[@role="alert"][contains(., "cannot ask you in this way right now")]`))
}

// TestStepUpInTheDarkWithoutScript: on the narrow screen of a phone, in the dark and without script, the page is fetched anew by itself.
func TestStepUpInTheDarkWithoutScript(t *testing.T) {
	t.Parallel()
	issuer, web := stepUp(t)
	ctx := tab(t)
	phone := ofAlice(t, ctx, issuer)
	dark := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}
	do(t, ctx, chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile, chromedp.EmulatePortrait),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: dark}),
		call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}),
		chromedp.Navigate(web+"/pay"), chromedp.WaitVisible(bigNumber))
	picture(t, ctx, "stepup-dark")
	if ask(t, ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > innerWidth`)) {
		t.Error("the page is wider than the screen")
	}
	number := text(t, ctx, bigNumber)
	if err := phone.Approve(t.Context(), arrives(t, phone), device.Approval{Number: number, Proof: device.Proof{PIN: phonePIN}}); err != nil {
		t.Fatal(err)
	}
	do(t, ctx, chromedp.WaitVisible(`//*[contains(., "paid")]`))
}
