// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// TestTwoWindows: a person logs in to a portal in one window, with the number that it shows, while the other window has their account
// page; then somebody else, who has the password, begins a login, and the person says on the phone that it was not they. Whoever began
// is told, and gets nowhere; the person's account page warns; and the portal goes on.
func TestTwoWindows(t *testing.T) {
	t.Parallel()
	issuer, web := stepUp(t)
	account := tab(t)
	phone := ofAlice(t, account, issuer)
	do(t, account, chromedp.Navigate(issuer+"/account"), chromedp.WaitVisible(`#sessions`))
	if warned := ask(t, account, chromedp.Evaluate[bool](disowned)); warned {
		t.Error("the account page warns of nothing")
	}

	portal := tab(t) // a browser of its own: of two windows in one, the covered one is not drawn
	do(t, portal, chromedp.Navigate(web+"/pay?to=bob"), fill("alice", "wonderland-2026"), submit(), chromedp.WaitVisible(bigNumber))
	picture(t, portal, "windows-portal")
	number := text(t, portal, bigNumber)
	asked := arrives(t, phone)
	if asked.NumberMatch != len(number) || strings.Contains(asked.Content, number) {
		t.Errorf("the page shows %q; the phone wants %d digits and shows %q", number, asked.NumberMatch, asked.Content)
	}
	if err := phone.Approve(t.Context(), asked, device.Approval{Number: number, Proof: device.Proof{PIN: phonePIN}}); err != nil {
		t.Fatal(err)
	}
	do(t, portal, chromedp.WaitVisible(`//*[contains(., "paid")]`))

	stranger := tab(t)
	do(t, stranger, chromedp.Navigate(web+"/pay?to=mallory"), fill("alice", "wonderland-2026"), submit(), chromedp.WaitVisible(bigNumber))
	if err := phone.Deny(t.Context(), arrives(t, phone), envelope.NotMe); err != nil {
		t.Fatal(err)
	}
	do(t, stranger, chromedp.WaitVisible(`//p[@role="alert"][contains(., "it was not you who began")]`))
	picture(t, stranger, "windows-stranger")
	if said := text(t, stranger, "body"); strings.Contains(said, "paid") {
		t.Errorf("the stranger is let in:\n%s", said)
	}

	do(t, account, chromedp.Reload(), chromedp.WaitVisible(`//p[@role="alert"]`))
	picture(t, account, "windows-account")
	if warned := ask(t, account, chromedp.Evaluate[bool](disowned)); !warned {
		t.Errorf("the account page says:\n%s", text(t, account, "main"))
	}
	do(t, portal, chromedp.Reload(), chromedp.WaitVisible(`//*[contains(., "paid")]`))
}

// disowned is whether the account page says that somebody began what the person did not.
const disowned = `[...document.querySelectorAll("p[role=alert]")].some(p => p.textContent.includes("it was not you"))`
