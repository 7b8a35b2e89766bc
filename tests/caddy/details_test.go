// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
)

// detailed registers a payment that a phone approves, and a look at accounts that the consent page does.
var detailed = confirming + `
		realm phone {
			authenticator mobile push_pin
			max_age 5m
		}
		authorization_details payment {
			schema ` + "`" + `{
				"properties": {
					"amount": {"type": "string", "pattern": "^[0-9]{1,9}[.][0-9]{2}$"},
					"to": {"type": "string", "maxLength": 70}
				},
				"required": ["amount", "to"]
			}` + "`" + `
			message "Pay {amount} EUR to {to}"
			realm phone
			once
		}
		authorization_details look {
			schema ` + "`" + `{"properties": {"actions": {"type": "array"}}, "required": ["actions"]}` + "`" + `
			message "See your accounts: {actions}"
			narrow actions
		}
		client shop {
			redirect_uri http://127.0.0.1/callback
			grants authorization_code refresh_token
			scopes accounts:read
			authorization_details_types payment look
			access_ttl 1h
		}`

const paid = `SPARE {
	@pay path /pay*
	protect @pay {
		session on
		details payment {
			match amount {json.amount}
			match to {json.to}
		}
	}
	protect accounts:read
	reverse_proxy UPSTREAM
}`

// verified is a PKCE verifier.
var verified = strings.Repeat("verifier", 6)

// ask is where a client sends a browser to have details approved.
func (h *house) ask(client, details string) string {
	sum := sha256.Sum256([]byte(verified))
	return h.issuer + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {"http://127.0.0.1:1/callback"}, "scope": {"accounts:read"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "state": {"x"},
		"authorization_details": {details},
	}.Encode()
}

// sent returns what a browser brings back to a client.
func sent(t *testing.T, page *answer) url.Values {
	t.Helper()
	to, err := url.Parse(page.Header.Get("Location"))
	if err != nil || to.Port() != "1" {
		t.Fatalf("the browser is at %s (%d): %s", page.URL, page.Status, page.Body)
	}
	return to.Query()
}

var (
	shownNumber = regexp.MustCompile(`<p class="code number"><strong>([0-9]+)</strong>`)
	shownAgain  = regexp.MustCompile(`(?:;url=|data-self=")([^"]*)"`)
)

// approved has a phone approve what a browser waits for, and returns the code that comes of it and what the phone signs.
func (b *browser) approved(page *answer, phone *device.Device) (code string, signed device.Question) {
	b.t.Helper()
	number, again := shownNumber.FindStringSubmatch(page.Body), shownAgain.FindStringSubmatch(page.Body)
	if number == nil || again == nil {
		b.t.Fatalf("this page waits for no phone: %d %s %s", page.Status, page.URL, page.Body)
	}
	heard, err := waits(b.t.Context(), phone)
	if err != nil {
		b.t.Fatal(err)
	}
	if signed, err = phone.Fetch(b.t.Context(), heard.Operation); err != nil {
		b.t.Fatal(err)
	}
	if err := phone.Approve(b.t.Context(), signed, device.Approval{Number: number[1], Proof: device.Proof{PIN: phonePIN}}); err != nil {
		b.t.Fatal(err)
	}
	next, err := page.URL.Parse(html.UnescapeString(again[1]))
	if err != nil {
		b.t.Fatal(err)
	}
	back := b.get(next.String())
	if strings.Contains(back.Body, `value="allow"`) { // another's client: its scope is consented to
		back = b.submit(back, "decision", "allow")
	}
	return sent(b.t, back).Get("code"), signed
}

// granted is what the token endpoint answers of details.
func (h *house) granted(t *testing.T, code string) (all tokens, details string) {
	t.Helper()
	got := send(t, http.MethodPost, h.issuer+"/token", form("grant_type", "authorization_code", "client_id", "shop", "code", code,
		"redirect_uri", "http://127.0.0.1:1/callback", "code_verifier", verified))
	var told struct {
		Details json.RawMessage `json:"authorization_details"`
	}
	for _, into := range []any{&all, &told} {
		if err := json.Unmarshal([]byte(got.Body), into); err != nil || all.Access == "" {
			t.Fatalf("the token endpoint answers %d %s", got.Status, got.Body)
		}
	}
	return all, string(told.Details)
}

func jsonBody(body string) func(*http.Request) {
	return func(r *http.Request) { setBody(r, "application/json", body) }
}

// TestDetails: what a phone has approved passes once, however often and at whatever moment it is sent, and nothing else does.
func TestDetails(t *testing.T) {
	t.Parallel()
	h := start(t, detailed, paid)
	phone := h.register(t, subject(t, h.user(t, "alice", "openid").Access))
	const payAnn, wrote, body = `[{"type":"payment","amount":"12.50","to":"Ann"}]`, `[{"amount":"12.50","to":"Ann","type":"payment"}]`, `{"amount":"12.50","to":"Ann"}`
	b := newBrowser(t)
	code, signed := b.approved(b.login(b.get(h.ask("shop", payAnn)), "alice"), phone)
	if signed.Content != "Pay 12.50 EUR to Ann" || signed.Data != wrote {
		t.Errorf("the phone shows %q and signs %s", signed.Content, signed.Data)
	}
	all, details := h.granted(t, code)
	if details != wrote {
		t.Errorf("what was granted is %s", details)
	}
	if receipt, _ := h.asPortal(t, "GET", "operations/"+signed.Operation, "", http.StatusOK)["receipt"].(string); strings.Count(receipt, ".") != 2 {
		t.Errorf("the receipt is %q", receipt)
	}
	pay := func(change ...func(*http.Request)) *answer {
		t.Helper()
		return send(t, http.MethodPost, h.url(siteSpare)+"/pay", append([]func(*http.Request){bearer(all.Access), jsonBody(body)}, change...)...)
	}
	for name, test := range map[string]struct {
		change func(*http.Request)
		status int
		says   string
	}{
		"another amount":          {jsonBody(`{"amount":"99.00","to":"Ann"}`), http.StatusForbidden, "not what was approved: amount"},
		"both":                    {jsonBody(`{"amount":"99.00","to":"Ann","Amount":"12.50"}`), http.StatusForbidden, "no plain value for amount"},
		"twice":                   {jsonBody(`{"amount":"12.50","amount":"99.00","to":"Ann"}`), http.StatusForbidden, "no plain value for amount"},
		"a form":                  {form("amount", "12.50", "to", "Ann"), http.StatusForbidden, "no plain value for amount"},
		"no body":                 {func(r *http.Request) { r.Body, r.ContentLength = nil, 0 }, http.StatusForbidden, "no plain value for amount"},
		"a large body":            {jsonBody(`{"amount":"12.50","to":"Ann","x":"` + strings.Repeat("x", 64<<10) + `"}`), http.StatusRequestEntityTooLarge, "too large"},
		"another method":          {header("X-HTTP-Method-Override", "DELETE"), http.StatusBadRequest, ""},
		"no token":                {func(r *http.Request) { r.Header.Del("Authorization") }, http.StatusUnauthorized, ""},
		"a token without details": {bearer(h.machine(t, "accounts:read")), http.StatusForbidden, "nothing of this type was approved"},
	} {
		got := pay(test.change)
		if challenge := got.Header.Get("WWW-Authenticate"); got.Status != test.status || got.reached() || !strings.Contains(challenge, test.says) ||
			strings.Contains(challenge, "99.00") {
			t.Errorf("%s: %d, %s (passed on: %v)", name, got.Status, challenge, got.reached())
		}
	}
	var passed atomic.Int32
	var senders sync.WaitGroup
	for range 16 {
		senders.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url(siteSpare)+"/pay", io.MultiReader(strings.NewReader(body)))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Authorization", "Bearer "+all.Access)
			r.Header.Set("Content-Type", "application/json")
			response, err := http.DefaultClient.Do(r) // of no announced length
			if err != nil {
				t.Error(err)
				return
			}
			got := read(t, response)
			sum := sha256.Sum256([]byte(body))
			switch {
			case got.Status == http.StatusOK && got.heard(t).Sum == hex.EncodeToString(sum[:]):
				passed.Add(1)
			case got.Status != http.StatusForbidden || !strings.Contains(got.Header.Get("WWW-Authenticate"), "has been used"):
				t.Errorf("one of many gets %d %s", got.Status, got.Header.Get("WWW-Authenticate"))
			}
		})
	}
	senders.Wait()
	if n := passed.Load(); n != 1 {
		t.Errorf("%d requests have passed by one approval", n)
	}
	refreshed := h.token(t, form("grant_type", "refresh_token", "client_id", "shop", "refresh_token", all.Refresh))
	h.reload(t, strings.Replace(h.current(), "max_age 5m", "max_age 4m", 1))
	for name, token := range map[string]string{"the token": all.Access, "a refreshed token": refreshed.Access} {
		if got := pay(bearer(token)); got.Status != http.StatusForbidden || got.reached() {
			t.Errorf("after a reload %s gets %d", name, got.Status)
		}
	}
	// A browser that is logged in at the site has approved nothing there.
	site := newBrowser(t)
	site.login(site.get(h.url(siteSpare)+"/pay"), "alice")
	if got := site.get(h.url(siteSpare) + "/pay"); got.Status != http.StatusForbidden || got.reached() {
		t.Errorf("a browser's session gets %d", got.Status)
	}
}

// TestDetailsAreJudgedWhereTheyAreAskedFor: by the configuration of the client and of the type; and the metadata name the types.
func TestDetailsAreJudgedWhereTheyAreAskedFor(t *testing.T) {
	t.Parallel()
	h := start(t, detailed, paid)
	for name, test := range map[string]struct{ client, details string }{
		"another client's type": {"app", `[{"type":"look","actions":["list"]}]`},
		"an unknown type":       {"shop", `[{"type":"other"}]`},
		"no JSON":               {"shop", `[`},
		"what the schema lacks": {"shop", `[{"type":"look","actions":["list"],"x":1}]`},
		"a bad amount":          {"shop", `[{"type":"payment","amount":"1e9","to":"Ann"}]`},
		"too much":              {"shop", `[{"type":"look","actions":["` + strings.Repeat("x", 4<<10) + `"]}]`},
		"what hides":            {"shop", "[{\"type\":\"payment\",\"amount\":\"1.00\",\"to\":\"A\u202enn\"}]"},
	} {
		if got := sent(t, newBrowser(t).get(h.ask(test.client, test.details))); got.Get("error") != "invalid_authorization_details" {
			t.Errorf("%s: %v", name, got)
		}
	}
	var metadata struct {
		Types []string `json:"authorization_details_types_supported"`
	}
	if err := json.Unmarshal([]byte(send(t, http.MethodGet, h.issuer+"/.well-known/oauth-authorization-server").Body), &metadata); err != nil ||
		strings.Join(metadata.Types, " ") != "look payment" {
		t.Errorf("the metadata have %v (%v)", metadata.Types, err)
	}
	b := newBrowser(t)
	page := b.login(b.get(h.ask("shop", `[{"type":"look","actions":["list","<i>{type}</i>"]}]`)), "alice")
	if !strings.Contains(page.Body, "See your accounts: list, &lt;i&gt;{type}&lt;/i&gt;") {
		t.Fatalf("the consent page is %d %s", page.Status, page.Body)
	}
	all, details := h.granted(t, sent(t, b.submit(page, "decision", "allow")).Get("code"))
	if details != `[{"actions":["list","<i>{type}</i>"],"type":"look"}]` && details != `[{"actions":["list","\u003ci\u003e{type}\u003c/i\u003e"],"type":"look"}]` {
		t.Errorf("what was granted is %s", details)
	}
	seen := send(t, http.MethodPost, h.issuer+"/introspect", basic("machine", machineSecret), form("token", all.Access))
	if !strings.Contains(seen.Body, `"type":"look"`) {
		t.Errorf("introspection says %s", seen.Body)
	}
}
