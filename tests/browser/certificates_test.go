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
	installed "github.com/gatehouse-id/gatehouse/authz/native/client/device"
)

const withCertificates = `{
	admin ADMIN
	auto_https off
	gatehouse {
		issuer ISSUER
		storage badger data
		application bank {
			ios com.example.bank
		}
		provisioning {
			mode auto
			entity application
		}
		realm device {
			authenticator device
		}
		realm password {
			authenticator form
			login_module identity_store
		}
		user_identity password
		scope from-the-device device
		client app {
			first_party
			native
			grants authorization_code refresh_token
			scopes openid from-the-device
		}
		user alice {
			password wonderland-2026
			attribute name "Alice Liddell"
		}
		user bob {
			password builder-of-walls-2026
		}
	}
}
ISSUER {
	authorization_server
}
`

// signsIn has an app on a device sign somebody in, with the certificate that the device has or gets.
func signsIn(t *testing.T, issuer, model, name, password string, folder installed.Folder) error {
	t.Helper()
	device, err := installed.New(installed.Config{
		App: installed.App{ID: "bank", Platform: "ios", Version: "2.0"}, Storage: folder, Now: time.Now,
		Device: installed.Properties{Model: model, OS: "iPadOS", OSVersion: "26.1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	knows := client.HandlerFunc(func(context.Context, client.Challenge) (map[string]string, error) {
		return map[string]string{"username": name, "password": password}, nil
	})
	app, err := client.New(client.Config{
		Issuer: issuer, ClientID: "app", Scopes: []string{"openid", "from-the-device"},
		Handlers: map[string]client.Handler{"device": device, "password": knows}, HTTP: &http.Client{Timeout: patience}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = app.Authorize(t.Context(), client.Request{})
	return err
}

// TestCertificatesOnTheAccountPage: a person sees the apps on their devices, and nobody else's, and takes one away: from then on the app
// on that device is refused, and the other goes on. It works without script, on a narrow screen in the dark.
func TestCertificatesOnTheAccountPage(t *testing.T) {
	t.Parallel()
	issuer := ownWorld(t, withCertificates)
	tablet, lost, theirs := installed.Folder(t.TempDir()), installed.Folder(t.TempDir()), installed.Folder(t.TempDir())
	signs := func(model string, folder installed.Folder) error {
		t.Helper()
		return signsIn(t, issuer, model, "alice", "wonderland-2026", folder)
	}
	for _, err := range []error{
		signs("iPad16,1", tablet), signs("Lost iPad", lost), signsIn(t, issuer, "Bob's iPad", "bob", "builder-of-walls-2026", theirs),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := tab(t)
	dark := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}
	do(t, ctx, chromedp.Navigate(issuer+"/account"), fill("alice", "wonderland-2026"), submit(),
		chromedp.WaitVisible(`//h3[contains(., "Lost iPad")]`))
	picture(t, ctx, "certificates-account")
	if body := text(t, ctx, "main"); strings.Contains(body, "Bob's iPad") || !strings.Contains(body, "iPad16,1") || !strings.Contains(body, "Valid until") {
		t.Errorf("the page says:\n%s", body)
	}
	do(t, ctx, chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile, chromedp.EmulatePortrait),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: dark}),
		call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}),
		chromedp.Click(`//li[contains(., "Lost iPad")]//a`), chromedp.WaitVisible(`button[name=remove_certificate]`))
	picture(t, ctx, "certificates-remove")
	do(t, ctx, chromedp.Click(`button[name=remove_certificate]`), chromedp.WaitVisible(`[role=status]`))
	picture(t, ctx, "certificates-removed")
	if ask(t, ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > innerWidth`)) {
		t.Error("the page is wider than the screen")
	}
	if got := text(t, ctx, `//li[contains(., "Lost iPad")]`); !strings.Contains(got, "Removed") || strings.Contains(got, "Valid\n") {
		t.Errorf("of the device the page says %q", got)
	}
	if err := signs("Lost iPad", lost); !errors.Is(err, installed.ErrRefused) {
		t.Errorf("the app on the lost device gets %v", err)
	}
	if err := signs("iPad16,1", tablet); err != nil {
		t.Errorf("the app on the other device gets %v", err)
	}
}
