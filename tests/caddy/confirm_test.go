// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
)

// transfers is a site where each payment is confirmed.
const transfers = `SPARE {
	@transfer {
		method POST
		path /transfers
	}
	protect @transfer {
		scope payments:write
		confirm push_pin {
			message "Pay {json.amount} {json.currency} to {json.creditor}"
			bind body
			bind header X-Reference
		}
		assertion urn:upstream
	}
	@held path /held*
	protect @held {
		scope payments:write
		confirm push_pin {
			message "Do {path}?"
			wait 30s
			number_match 6
		}
	}
	protect accounts:read
	reverse_proxy UPSTREAM
}`

var confirming = strings.Replace(enrolling, "gatehouse:operations", "gatehouse:operations gatehouse:operations:all", 1) + `
		mobile {
			type push_pin {
				method push_pin
				message en "Confirm"
			}
		}`

// told is what a caller is told whose request has to be confirmed.
type told struct {
	Code      string    `json:"code"`
	Operation string    `json:"operation"`
	State     string    `json:"state"`
	Status    string    `json:"status_url"`
	Number    string    `json:"number"`
	Expires   time.Time `json:"expires"`
}

func (a *answer) told(t *testing.T) (d told) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.Body), &d); err != nil {
		t.Fatalf("%d %s: %v", a.Status, a.Body, err)
	}
	return d
}

// confirmed is what an upstream is told of an approval.
type confirmed struct{ Operation, Device, Method, URI, Digest string }

func (h *heard) confirmed(t *testing.T) confirmed {
	t.Helper()
	var claims struct {
		Confirmation confirmed `json:"confirmation"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(h.Header.Get("Gatehouse-Assertion")+"..", ".")[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims.Confirmation
}

// subject returns whom a token is for.
func subject(t *testing.T, token string) string {
	t.Helper()
	var claims struct {
		Sub string `json:"sub"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims.Sub
}

// approve has a phone approve what it is asked, and returns what it shows.
func approve(t *testing.T, phone *device.Device, number string) string {
	t.Helper()
	heard, err := waits(t.Context(), phone)
	if err != nil {
		t.Fatal(err)
	}
	question, err := phone.Fetch(t.Context(), heard.Operation)
	if err != nil {
		t.Fatal(err)
	}
	if err := phone.Approve(t.Context(), question, device.Approval{Number: number, Proof: device.Proof{PIN: phonePIN}}); err != nil {
		t.Fatal(err)
	}
	return question.Display.Content
}

// TestConfirm: the phone shows what is asked for, the very same request passes once, and nothing else does.
func TestConfirm(t *testing.T) {
	t.Parallel()
	h := start(t, confirming, transfers)
	token := h.user(t, "alice", "openid payments:write accounts:read").Access
	phone := h.register(t, subject(t, token))
	const body = `{"amount":500.00,"currency":"EUR","creditor":"X"}`
	address := h.url(siteSpare) + "/transfers?b=1&a=2"
	pay := func(change ...func(*http.Request)) *answer {
		t.Helper()
		return send(t, http.MethodPost, address, append([]func(*http.Request){
			bearer(token), func(r *http.Request) { setBody(r, "application/json", body) }, header("X-Reference", "7"),
		}, change...)...)
	}
	first := pay()
	told := first.told(t)
	challenge := first.Header.Get("WWW-Authenticate")
	if first.Status != http.StatusUnauthorized || told.Code != "confirmation_required" || len(told.Number) != 2 || !told.Expires.After(time.Now()) ||
		!strings.HasPrefix(challenge, `Bearer error="confirmation_required"`) || !strings.Contains(challenge, told.Operation) {
		t.Fatalf("the first answer is %d %s (%s)", first.Status, first.Body, challenge)
	}
	if again := pay().told(t); again.Operation != told.Operation {
		t.Errorf("the same request is asked about again: %+v", again)
	}
	if got := send(t, http.MethodGet, told.Status, bearer(token)).told(t); got.State != "pending" || got.Number != told.Number {
		t.Errorf("it stands as %+v", got)
	}
	if got := send(t, http.MethodGet, told.Status, bearer(h.user(t, "bob", "payments:write").Access)); got.Status != http.StatusNotFound {
		t.Errorf("somebody else is told %d %s", got.Status, got.Body)
	}
	if got := send(t, http.MethodGet, told.Status); got.Status != http.StatusUnauthorized {
		t.Errorf("a stranger is told %d %s", got.Status, got.Body)
	}
	if shown := approve(t, phone, told.Number); shown != "Pay 500.00 EUR to X" {
		t.Errorf("the phone shows %q", shown)
	}
	named := header("Gatehouse-Operation", told.Operation)
	for name, change := range map[string]func(*http.Request){
		"another body":      func(r *http.Request) { setBody(r, "application/json", strings.Replace(body, "500", "501", 1)) },
		"the query in turn": func(r *http.Request) { r.URL.RawQuery = "a=2&b=1" },
		"another reference": func(r *http.Request) { r.Header.Set("X-Reference", "8") },
		"another type":      func(r *http.Request) { r.Header.Set("Content-Type", "application/x+json") },
		"another user":      bearer(h.user(t, "bob", "payments:write").Access),
		"another login":     bearer(h.user(t, "alice", "payments:write").Access),
	} {
		if got := pay(named, change); got.Status != http.StatusForbidden || got.told(t).Code != "confirmation_refused" || got.reached() {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	chunked := func(r *http.Request) { r.ContentLength = -1 }
	passed := pay(named, chunked)
	sum := sha256.Sum256([]byte(body))
	if got := passed.heard(t); !passed.reached() || got.Sum != hex.EncodeToString(sum[:]) || got.URI != "/transfers?b=1&a=2" {
		t.Errorf("the upstream hears %+v", got)
	} else if claims := got.confirmed(t); claims.Operation != told.Operation || claims.Device != phone.State().Device || claims.Method != http.MethodPost ||
		claims.URI != got.URI || claims.Digest != "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":" {
		t.Errorf("the assertion says %+v", claims)
	}
	if got := pay(named); got.Status != http.StatusForbidden || got.told(t).Code != "confirmation_redeemed" || got.reached() {
		t.Errorf("once more: %d %s", got.Status, got.Body)
	}
	receipt, _ := h.asPortal(t, "GET", "operations/"+told.Operation, "", http.StatusOK)["receipt"].(string)
	if strings.Count(receipt, ".") != 2 {
		t.Errorf("the receipt is %q", receipt)
	}
	h.refusals(t, pay)
}

// refusals are requests that cannot be confirmed.
func (h *house) refusals(t *testing.T, pay func(...func(*http.Request)) *answer) {
	t.Helper()
	json := func(body string) func(*http.Request) {
		return func(r *http.Request) { setBody(r, "application/json", body) }
	}
	for name, test := range map[string]struct {
		change func(*http.Request)
		status int
		code   string
	}{
		"a missing field":   {json(`{"amount":1,"currency":"EUR"}`), http.StatusUnprocessableEntity, "field_not_showable"},
		"a field twice":     {json(`{"amount":1,"amount":2,"currency":"EUR","creditor":"X"}`), http.StatusUnprocessableEntity, "field_not_showable"},
		"a large body":      {json(`{"amount":1,"x":"` + strings.Repeat("x", 64<<10) + `"}`), http.StatusRequestEntityTooLarge, "body_too_large"},
		"an event stream":   {header("Accept", "text/event-stream"), http.StatusBadRequest, "not_confirmable"},
		"a machine":         {bearer(h.machine(t, "payments:write")), http.StatusForbidden, "user_required"},
		"nobody's phone":    {bearer(h.user(t, "bob", "payments:write").Access), http.StatusForbidden, "user_not_reachable"},
		"an unknown one":    {header("Gatehouse-Operation", "op_x"), http.StatusForbidden, "confirmation_refused"},
		"a WebSocket":       {func(r *http.Request) { r.Header.Set("Connection", "Upgrade"); r.Header.Set("Upgrade", "websocket") }, http.StatusBadRequest, "not_confirmable"},
		"two operations":    {func(r *http.Request) { r.Header["Gatehouse-Operation"] = []string{"op_x", "op_y"} }, http.StatusBadRequest, "not_confirmable"},
		"announced trailer": {func(r *http.Request) { r.ContentLength = -1; r.Trailer = http.Header{"X-Later": {"1"}} }, http.StatusBadRequest, "not_confirmable"},
	} {
		if got := pay(test.change); got.Status != test.status || got.told(t).Code != test.code || got.reached() {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	// What could be taken for another request is refused before any rule is asked.
	for name, change := range map[string]func(*http.Request){
		"an override":            header("X-HTTP-Method-Override", "DELETE"),
		"a method in lower case": func(r *http.Request) { r.Method = "post" },
	} {
		if got := pay(change); got.Status != http.StatusBadRequest || got.reached() {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
}

// TestConfirmHeld: a plain request takes as long as the person does, over a reload, and is answered by the upstream. What is to be
// typed comes before the answer.
func TestConfirmHeld(t *testing.T) {
	t.Parallel()
	h := start(t, confirming, transfers)
	token := h.user(t, "alice", "openid payments:write accounts:read").Access
	phone := h.register(t, subject(t, token))
	hints := make(chan http.Header, 1)
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, header textproto.MIMEHeader) error {
			hints <- http.Header(header)
			return nil
		},
	})
	done := make(chan *answer, 1)
	go func() {
		done <- send(t, http.MethodPut, h.url(siteSpare)+"/held/this", bearer(token), func(r *http.Request) { *r = *r.WithContext(ctx) })
	}()
	hint := <-hints
	h.reload(t, strings.Replace(h.current(), "max_age 8h", "max_age 7h", 1))
	if len(hint.Get("Gatehouse-Number")) != 6 || hint.Get("Gatehouse-Operation") == "" {
		t.Errorf("ahead of the answer comes %v", hint)
	}
	if shown := approve(t, phone, hint.Get("Gatehouse-Number")); shown != "Do /held/this?" {
		t.Errorf("the phone shows %q", shown)
	}
	if got := <-done; !got.reached() || got.Header.Get("Gatehouse-Number") != "" || got.heard(t).Header.Get("Gatehouse-Operation") != hint.Get("Gatehouse-Operation") {
		t.Errorf("the answer is %d %s", got.Status, got.Body)
	}
}
