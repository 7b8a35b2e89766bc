// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// focused is the name of the field that a key goes to.
const focused = `document.activeElement.name`

// TestABackEndAsksInTwoRounds: a person answers both with the keyboard alone, wrongly once, and lands where he wanted to go.
func TestABackEndAsksInTwoRounds(t *testing.T) {
	t.Parallel()
	ctx := tab(t)
	deep := shared.web + "/partner/offers?sort=date"
	do(t, ctx, chromedp.Navigate(deep), chromedp.WaitVisible(`input[name=customer]`))
	picture(t, ctx, "adapter-1")
	if got := ask(t, ctx, chromedp.Evaluate[string](focused)); got != "customer" {
		t.Errorf("keys go to %q", got)
	}
	do(t, ctx, chromedp.KeyEvent("4711"), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(`input[name=code]`))
	picture(t, ctx, "adapter-2")
	if got := text(t, ctx, "[role=status]"); got != "We sent a code to the phone that ends in 12." {
		t.Errorf("the page says %q", got)
	}
	if got := ask(t, ctx, chromedp.Evaluate[string](focused)); got != "code" {
		t.Errorf("keys go to %q", got)
	}
	do(t, ctx, chromedp.KeyEvent("111111"), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(`[role=alert]`))
	picture(t, ctx, "adapter-wrong")
	if got := text(t, ctx, "[role=alert]"); got != "That is not the code. Look again." {
		t.Errorf("the page says %q", got)
	}
	typed := ask(t, ctx, chromedp.Evaluate[string](`document.querySelector("input[name=code]").value`))
	if typed != "" {
		t.Errorf("the next round begins with %q", typed)
	}
	do(t, ctx, chromedp.Reload(), chromedp.WaitVisible(`input[name=code]`), chromedp.KeyEvent("123456"), chromedp.KeyEvent(kb.Enter),
		chromedp.WaitVisible(`//h1[contains(., "Hello, Petra Partner")]`))
	if got := location(t, ctx); got != deep {
		t.Errorf("landed on %s, want %s", got, deep)
	}
	if body := text(t, ctx, "body"); !strings.Contains(body, "partner") {
		t.Errorf("the upstream was told:\n%s", body)
	}
}
