// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

const withConfirm = `{
	admin ADMIN
	auto_https off
	gatehouse {
		issuer ISSUER
		storage badger data
		realm password {
			authenticator form
			login_module identity_store
			max_age 8h
		}
		scope payments:write password
		default_scope payments:write
		application bank {
			android com.example.bank
			enrollment
		}
		mobile {
			type push_pin {
				method push_pin
				message en "Confirm"
			}
		}
		user alice {
			password wonderland-2026
		}
		user bob {
			password builder-of-walls-2026
		}
	}
}
ISSUER {
	authorization_server
}
WEB {
	@form {
		method POST
		path /transfers*
	}
	protect @form {
		session on
		confirm push_pin {
			message "Pay {form.amount} to {form.to}"
		}
	}
	@script path /api/transfers
	protect @script {
		session on
		confirm push_pin {
			message "Pay {json.amount} to {json.to}"
		}
	}
	@link path /statement*
	protect @link {
		session on
		confirm push_pin {
			message "Fetch {query.year}"
		}
	}
	protect {
		session on
	}
	reverse_proxy UPSTREAM
}
`

// bank is an upstream that knows nothing of us: it shows forms, and remembers what it was sent.
type bank struct {
	mu    sync.Mutex
	heard []string // method, URI and body
}

// paymentForm has fields by which a page could be led astray, and what people type.
const paymentForm = `<!doctype html><meta charset="utf-8"><title>bank</title><h1>Pay</h1>
<form method="post" action="/transfers(new)/J'%C3%BC?b=1&a=2&q=%27|{}">
<input name="amount" value="10"><input name="to" value="Jürgen &amp; Söhne &lt;b&gt;">
<input name="tag" value=""><input name="tag" value="b+c d%20"><input name="tag" value="a">
<input type="hidden" name="submit" value="1"><input type="hidden" name="action" value="//evil.example/"><input type="hidden" name="method" value="get">
<input type="hidden" name="requestSubmit" value="2"><input type="hidden" name="id" value="repeat">
<input type="hidden" name="&quot;><script>document.title='broken'</script>" value="&quot;><img src=x onerror=&quot;document.title='broken'&quot;>">
<textarea name="note">
first line
  second „line“ 💶 ~*-._!'()</textarea>
<button>Pay</button></form>
<form method="post" action="/transfers" enctype="multipart/form-data" id="parts"><input name="amount" value="1"><button>Send</button></form>
<a href="/statement?year=2026&amp;x='()">Statement</a>`

// paid is how a browser sends paymentForm, and where.
const paid = `POST /transfers(new)/J'%C3%BC?b=1&a=2&q=%27|{} amount=10&to=J%C3%BCrgen+%26+S%C3%B6hne+%3Cb%3E&tag=&tag=b%2Bc+d%2520&tag=a` +
	`&submit=1&action=%2F%2Fevil.example%2F&method=get&requestSubmit=2&id=repeat` +
	`&%22%3E%3Cscript%3Edocument.title%3D%27broken%27%3C%2Fscript%3E=%22%3E%3Cimg+src%3Dx+onerror%3D%22document.title%3D%27broken%27%22%3E` +
	`&note=first+line%0D%0A++second+%E2%80%9Eline%E2%80%9C+%F0%9F%92%B6+%7E*-._%21%27%28%29`

func (b *bank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if r.URL.Path == "/form" {
		_, _ = io.WriteString(w, paymentForm) // a browser that has gone is not told
		return
	}
	body, _ := io.ReadAll(r.Body) // half a body is another one
	said := strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + string(body))
	b.mu.Lock()
	b.heard = append(b.heard, said)
	b.mu.Unlock()
	_, _ = fmt.Fprintf(w, `<!doctype html><title>bank</title><h1>Done</h1><pre id="said">%s</pre><p id="origin">%s</p>`,
		html.EscapeString(said), html.EscapeString(r.Header.Get("Origin")))
}

// times returns how often something was sent.
func (b *bank) times(said string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.heard {
		if s == said {
			n++
		}
	}
	return n
}

// banking is a bank, with Alice's phone, and Alice in front of its form.
func banking(t *testing.T) (ctx context.Context, b *bank, web string, phone *device.Device) {
	t.Helper()
	b = new(bank)
	upstream := httptest.NewServer(b)
	t.Cleanup(upstream.Close)
	issuer, web := ofOwn(t, withConfirm, "UPSTREAM", upstream.Listener.Addr().String())
	ctx = tab(t)
	phone = ofAlice(t, ctx, issuer)
	do(t, ctx, chromedp.Navigate(web+"/form"), chromedp.WaitVisible(`textarea`))
	return ctx, b, web, phone
}

const (
	payButton    = `form:not([id]) button`
	repeatButton = `#repeat button`
	done         = `#said`

	statementLink = `a[href^="/statement"]`
)

// yes has the phone approve what it is asked, with the number of the page, and returns what it shows.
func yes(t *testing.T, ctx context.Context, phone *device.Device) string {
	t.Helper()
	number, asked := text(t, ctx, bigNumber), arrives(t, phone)
	if err := phone.Approve(t.Context(), asked, device.Approval{Number: number, Proof: device.Proof{PIN: phonePIN}}); err != nil {
		t.Fatal(err)
	}
	return asked.Content
}

// TestConfirmAForm: the page that stands in the place of the answer says what is asked, finds out by itself what became of it, and sends
// the form as it was, once; loaded again it says so.
func TestConfirmAForm(t *testing.T) {
	t.Parallel()
	ctx, b, web, phone := banking(t)
	do(t, ctx, chromedp.Click(payButton), chromedp.WaitVisible(bigNumber))
	picture(t, ctx, "confirm-asked")
	if shown := text(t, ctx, "blockquote"); shown != "Pay 10 to Jürgen & Söhne <b>" {
		t.Errorf("the page shows %q", shown)
	}
	if err := phone.Deny(t.Context(), arrives(t, phone), envelope.Denied); err != nil {
		t.Fatal(err)
	}
	do(t, ctx, chromedp.WaitVisible(`//p[@role="alert"][contains(., "You said no on your phone")]`))
	picture(t, ctx, "confirm-denied")
	do(t, ctx, chromedp.Click(repeatButton), chromedp.WaitVisible(bigNumber))
	if shown := yes(t, ctx, phone); !strings.Contains(shown, "Pay 10 to Jürgen & Söhne <b>") {
		t.Errorf("the phone shows %q", shown)
	}
	do(t, ctx, chromedp.WaitVisible(done))
	if said := text(t, ctx, done); said != paid {
		t.Errorf("the bank hears\n%s, want\n%s", said, paid)
	}
	if origin := text(t, ctx, "#origin"); origin != web {
		t.Errorf("it is told that it comes from %q", origin)
	}
	if at := location(t, ctx); at != web+"/transfers(new)/J'%C3%BC?b=1&a=2&q=%27|{}" {
		t.Errorf("the person is at %s", at)
	}
	if title := ask(t, ctx, chromedp.Title()); title != "bank" {
		t.Errorf("the title is %q", title)
	}
	do(t, ctx, chromedp.Reload(), chromedp.WaitVisible(`//p[@role="alert"][contains(., "was sent already")]`))
	picture(t, ctx, "confirm-passed")
	do(t, ctx, chromedp.Click(repeatButton), chromedp.WaitVisible(bigNumber))
	if n := b.times(paid); n != 1 {
		t.Errorf("the bank has heard it %d times", n)
	}
}

// TestConfirmInTwoTabs: the same form in two tabs, of which one is loaded again in between, is one question, and one payment.
func TestConfirmInTwoTabs(t *testing.T) {
	t.Parallel()
	ctx, b, web, phone := banking(t)
	second, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(second); err != nil { // or the tab would last as long as its first steps
		t.Fatal(err)
	}
	forward := call(page.BringToFront, cdp.Empty{}) // a tab in the background draws nothing
	do(t, ctx, chromedp.Click(payButton), chromedp.WaitVisible(bigNumber))
	one := text(t, ctx, bigNumber)
	do(t, second, forward, chromedp.Navigate(web+"/form"), chromedp.Click(payButton), chromedp.WaitVisible(bigNumber))
	if other := text(t, second, bigNumber); one != other {
		t.Errorf("two tabs ask for %s and %s", one, other)
	}
	do(t, second, chromedp.Reload(), chromedp.WaitVisible(bigNumber))
	yes(t, second, phone)
	const over = `//*[@id="said"]|//p[@role="alert"][contains(., "was sent already")]`
	do(t, second, chromedp.WaitVisible(over))
	do(t, ctx, forward, chromedp.WaitVisible(over))
	if n := b.times(paid); n != 1 {
		t.Errorf("the bank has heard it %d times", n)
	}
	if open, err := phone.Pending(t.Context(), 0); err != nil || len(open) != 0 {
		t.Errorf("the phone is asked again: %v, %v", open, err)
	}
}

// TestConfirmWithoutScript: on the narrow screen of a phone, in the dark and without script, a button does what the script does.
func TestConfirmWithoutScript(t *testing.T) {
	t.Parallel()
	ctx, b, web, phone := banking(t)
	dark := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}
	do(t, ctx, chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile, chromedp.EmulatePortrait),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: dark}),
		call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}),
		chromedp.Click(payButton), chromedp.WaitVisible(bigNumber))
	picture(t, ctx, "confirm-dark")
	if ask(t, ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > innerWidth`)) {
		t.Error("the page is wider than the screen")
	}
	number := text(t, ctx, bigNumber)
	do(t, ctx, chromedp.Click(repeatButton), chromedp.WaitVisible(bigNumber)) // too early
	if again := text(t, ctx, bigNumber); again != number {
		t.Errorf("it asks for %s, and then for %s", number, again)
	}
	yes(t, ctx, phone)
	do(t, ctx, chromedp.Click(repeatButton), chromedp.WaitVisible(done))
	if said := text(t, ctx, done); said != paid || b.times(paid) != 1 {
		t.Errorf("the bank hears %s", said)
	}
	// A link is fetched anew by itself.
	do(t, ctx, chromedp.Navigate(web+"/statement?year=2026"), chromedp.WaitVisible(`a#repeat`))
	picture(t, ctx, "confirm-first")
	do(t, ctx, chromedp.Click(`a#repeat`), chromedp.WaitVisible(bigNumber))
	yes(t, ctx, phone)
	do(t, ctx, chromedp.WaitVisible(done))
	if said := text(t, ctx, done); said != "GET /statement?year=2026" {
		t.Errorf("the bank hears %s", said)
	}
}

// TestConfirmALink: whoever follows a link of the site is asked; one that is typed, or stands elsewhere, asks nobody by itself. A question
// can be taken back.
func TestConfirmALink(t *testing.T) {
	t.Parallel()
	ctx, b, web, phone := banking(t)
	do(t, ctx, chromedp.Navigate(web+"/statement?year=2026"), chromedp.WaitVisible(`a#repeat`))
	if open, err := phone.Pending(t.Context(), 0); err != nil || len(open) != 0 {
		t.Errorf("the phone is asked %v, %v", open, err)
	}
	do(t, ctx, chromedp.Navigate(web+"/form"), chromedp.Click(statementLink), chromedp.WaitVisible(bigNumber))
	do(t, ctx, chromedp.Click(`form[action^="/_gatehouse/"] button`), chromedp.WaitVisible(`//p[@role="alert"][contains(., "You took the question back")]`))
	picture(t, ctx, "confirm-cancelled")
	do(t, ctx, chromedp.Navigate(web+"/form"), chromedp.Click(statementLink), chromedp.WaitVisible(`//p[@role="alert"][contains(., "You took the question back")]`),
		chromedp.Click(`a#repeat`), chromedp.WaitVisible(bigNumber))
	yes(t, ctx, phone)
	do(t, ctx, chromedp.WaitVisible(done))
	if said := text(t, ctx, done); said != "GET /statement?year=2026&x=%27()" || b.times(said) != 1 {
		t.Errorf("the bank hears %s", said)
	}
	do(t, ctx, chromedp.Navigate(web+"/form"), chromedp.Click(`#parts button`), chromedp.WaitVisible(`//*[contains(., "cannot be confirmed on a phone")]`))
	picture(t, ctx, "confirm-unfit")
}

// TestConfirmByScript: the script of docs/confirm.md has a request of a page confirmed.
func TestConfirmByScript(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/confirm.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, _ := strings.Cut(string(docs), "```js\n")
	script, _, ok := strings.Cut(script, "```")
	if !ok {
		t.Fatal("there is no script in docs/confirm.md")
	}
	ctx, b, _, phone := banking(t)
	const asks = `;document.body.innerHTML = '<p class="code number"><strong></strong></p>';
		confirmed("/api/transfers", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({amount: 5, to: "Ann"})},
			function (number) { document.querySelector("strong").textContent = number; }).
			then(async function (response) { document.body.innerHTML = await response.text(); }); true`
	ask(t, ctx, chromedp.Evaluate[bool](script+asks))
	do(t, ctx, chromedp.WaitVisible(`//strong[string-length(.) = 2]`))
	yes(t, ctx, phone)
	do(t, ctx, chromedp.WaitVisible(done))
	if said := text(t, ctx, done); said != `POST /api/transfers {"amount":5,"to":"Ann"}` || b.times(said) != 1 {
		t.Errorf("the bank hears %s", said)
	}
}
