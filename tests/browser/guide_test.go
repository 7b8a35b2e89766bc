// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// example starts Caddyfile.example in a folder of its own, where ./gatehouse is the program, and returns the folder and the web site.
func example(t *testing.T) (dir, web string) {
	t.Helper()
	if shared == nil {
		t.Skip("skipped: there is no Chromium on this machine")
	}
	content, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.Symlink(shared.Path, filepath.Join(dir, "gatehouse")); err != nil {
		t.Fatal(err)
	}
	p, err := program.Start(t.Context(), program.Config{
		Path: shared.Path, Dir: dir, Ports: 6, Host: "localhost", Ready: "/jwks",
		Caddyfile: func(a []string) string {
			web = "http://" + a[1]
			_, spare, _ := strings.Cut(a[5], ":")
			return strings.NewReplacer("localhost:8080", a[0], "localhost:8081", a[1], "localhost:8082", a[2], "localhost:8083", a[3],
				"localhost:8084", a[4], "http_port 8089", "http_port "+spare+"\n\tadmin "+program.SocketIn(dir)).Replace(string(content))
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
	return dir, web
}

// types runs a command that the page shows, as it is, and types what it asks for.
func types(t *testing.T, dir, command string, said ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(strings.Join(said, "\n")+"\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v: %s", command, err, out)
	}
	return string(out)
}

// guide is the guided page in a browser.
type guide struct {
	t   *testing.T
	ctx context.Context
	dir string
}

// press presses a button of a step, and waits for what the page says about it.
func (g guide) press(what, news string) {
	g.t.Helper()
	do(g.t, g.ctx, chromedp.Click(`[data-do="`+what+`"]`), chromedp.WaitVisible(`//p[@id="news"][contains(., "`+news+`")]`))
}

// command returns one that stands beside a step, when it is there.
func (g guide) command(step string, n string) string {
	g.t.Helper()
	selector := `#` + step + ` .command:nth-child(` + n + `) code`
	do(g.t, g.ctx, chromedp.WaitVisible(selector))
	return text(g.t, g.ctx, selector)
}

// said returns what a step shows of its last exchange.
func (g guide) said(step string) string {
	g.t.Helper()
	return text(g.t, g.ctx, `#`+step+` .exchange:last-child`)
}

func (g guide) shows(step string, want ...string) {
	g.t.Helper()
	said := g.said(step)
	for _, w := range want {
		if !strings.Contains(said, w) {
			g.t.Errorf("step %s does not show %q:\n%s", step, w, said)
		}
	}
}

const alicesPIN = "258046"

// TestGuide clicks through the guided page of the example, and types the commands that stand on it: each step shows what was said.
func TestGuide(t *testing.T) {
	t.Parallel()
	dir, web := example(t)
	g := guide{t, tab(t), dir}
	do(t, g.ctx, chromedp.EmulateViewport(1200, 900), chromedp.Navigate(web+"/tour"), chromedp.WaitVisible(`[data-do=ask]`))
	g.press("ask", "401")
	g.shows("login", "GET /accounts", "401 Unauthorized", "WWW-Authenticate: Bearer")
	do(t, g.ctx, chromedp.Click(`#login a`), fill("alice", "wonderland-2026"), submit(), chromedp.WaitVisible(`[data-do=call]`))
	g.shows("login", "401 Unauthorized") // what was said is still there
	g.press("call", "200")
	g.shows("call", "200 OK", `"Gatehouse-Name": "Alice Liddell"`)

	g.press("vault", "a password alone does not open it")
	g.shows("vault", "403 Forbidden", "insufficient_scope", `scope="vault:open"`)
	g.register()
	g.stepUp()
	g.pay()
	g.prove()
	picture(t, g.ctx, "guide")
	dark := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}
	do(t, g.ctx, chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile, chromedp.EmulatePortrait),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: dark}))
	picture(t, g.ctx, "guide-dark")
	if ask(t, g.ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > innerWidth`)) {
		t.Error("the page is wider than the screen of a phone")
	}
	if broken := ask(t, g.ctx, chromedp.Evaluate[string](unnamed)); broken != "" {
		t.Errorf("without a name that can be read out: %s", broken)
	}
}

// unnamed are controls that a screen reader could not name, and regions whose label is not there.
const unnamed = `[...document.querySelectorAll("button, a, input, aside, li[aria-labelledby]")].filter(e =>
	!(e.textContent.trim() || e.getAttribute("aria-label") || (e.labels && e.labels.length)) ||
	(e.hasAttribute("aria-labelledby") && !document.getElementById(e.getAttribute("aria-labelledby")))).map(e => e.outerHTML.slice(0, 80)).join("\n")`

func (g guide) register() {
	g.press("invite", "The invitation is ready")
	g.shows("phone", "back end", "/api/v1/operations/registration", "201 Created", "Authorization: Basic ‹")
	if said := g.said("phone"); strings.Contains(said, "gatehouse://") {
		g.t.Errorf("the invitation stands among what was said:\n%s", said)
	}
	shown := types(g.t, g.dir, g.command("phone", "1"), alicesPIN, alicesPIN)
	digits := regexp.MustCompile(`[0-9]{6}`).FindString(shown)
	do(g.t, g.ctx, chromedp.SendKeys(`#digits`, digits), chromedp.Click(`#phone form button`),
		chromedp.WaitVisible(`//p[@id="news"][contains(., "Your phone is registered")]`))
	g.shows("phone", "200 OK", `"confirmed": true`)
}

func (g guide) stepUp() {
	do(g.t, g.ctx, chromedp.Click(`#vault a`), chromedp.WaitVisible(bigNumber))
	number := text(g.t, g.ctx, bigNumber)
	types(g.t, g.dir, "./gatehouse device approve --file alice.json", number, alicesPIN)
	do(g.t, g.ctx, chromedp.WaitVisible(`[data-do=vault]`))
	if command := g.command("vault", "1"); command != "./gatehouse device approve --file alice.json" {
		g.t.Errorf("the page says %q", command)
	}
	g.press("vault", "200")
	g.shows("vault", "200 OK", `"Gatehouse-Amr"`)
}

func (g guide) pay() {
	g.press("pay", "The number is")
	g.shows("pay", "/_gatehouse/confirm/") // where the page waits
	out := types(g.t, g.dir, g.command("pay", "1"), alicesPIN)
	if !strings.Contains(out, "Pay 500 EUR to Bob") {
		g.t.Errorf("the phone shows\n%s", out)
	}
	do(g.t, g.ctx, chromedp.WaitVisible(`//p[@id="news"][contains(., "You approved")]`))
	g.shows("pay", `"state": "approved"`)
	picture(g.t, g.ctx, "guide-approved")
	g.press("change", "403: this payment is not what you approved")
	g.shows("change", `"amount": 5000`, "403 Forbidden", "confirmation_refused")
	g.press("repeat", "200: this payment passed")
	g.shows("repeat", `"amount": 500,`, "200 OK", "Gatehouse-Operation")
	g.press("repeat", "403")
	g.shows("repeat", "confirmation_redeemed")
}

// prove verifies the receipt with the command of the page, and the server's root keys.
func (g guide) prove() {
	g.press("receipt", "The receipt is here")
	g.shows("receipt", "What is signed in it", "Pay 500 EUR to Bob")
	types(g.t, g.dir, g.command("receipt", "1"))
	types(g.t, g.dir, strings.Replace(g.command("receipt", "2"), "roots", "roots --address "+program.SocketIn(g.dir), 1))
	if out := types(g.t, g.dir, g.command("receipt", "3")); !strings.Contains(out, "Pay 500 EUR to Bob") || !strings.Contains(out, "verified") {
		g.t.Errorf("the receipt says\n%s", out)
	}
}

// TestGuideSaysNo: a denial on the phone is told on the page, nothing passes, and without a login nothing is done for anybody.
func TestGuideSaysNo(t *testing.T) {
	t.Parallel()
	dir, web := example(t)
	g := guide{t, tab(t), dir}
	do(t, g.ctx, chromedp.Navigate(web+"/tour"), chromedp.WaitVisible(`[data-do=invite]`))
	g.press("invite", "Log in first")
	g.press("pay", "401")
	g.press("repeat", "Confirm a payment first")
	do(t, g.ctx, chromedp.Click(`#login a`), fill("alice", "wonderland-2026"), submit(), chromedp.WaitVisible(`[data-do=call]`))
	g.press("pay", "403")
	g.shows("pay", "user_not_reachable") // there is no phone yet
	g.register()
	g.press("pay", "The number is")
	types(t, dir, g.command("pay", "2"))
	do(t, g.ctx, chromedp.WaitVisible(`//p[@id="news"][contains(., "You said no")]`))
	g.press("repeat", "403")
	g.shows("repeat", "confirmation_denied")
	g.press("receipt", "There is no receipt")
}
