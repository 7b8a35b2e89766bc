// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

func slogDiscard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// serve returns where a handler redirects a request to.
func serve(t *testing.T, h http.Handler, address string) string {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, address, nil))
	return rec.Header().Get("Location")
}

// Whatever is sent to the authorization endpoint, by GET or POST, signed in or not: it never is our fault; nobody is sent to
// an address that is not registered for the client that was named; and every answer carries iss, and the state when there
// was a good one.
func FuzzAuthorize(f *testing.F) {
	for _, params := range []map[string]string{
		faces.Params(), third("prompt", "none"), faces.Params("response_mode", "form_post"), faces.Params("max_age", "0", "state", ""),
		faces.Params("redirect_uri", "https://evil.example/"), faces.Params("client_id", "native", "redirect_uri", "http://127.0.0.1:1/cb"),
		faces.Params("acr_values", "gold platinum", "id_token_hint", "token-of-bob"), faces.Params("request", "x", "scope", "a  b"),
		faces.Params("redirect_uri", "https://portal.example.com/callback\\@evil.example"), {"req": "req_a", "step": "x"},
	} {
		f.Add(faces.Encode(params), false, false)
		f.Add(faces.Encode(params), true, true)
	}
	f.Add("client_id=portal&client_id=third&redirect_uri=//evil.example", false, true)
	f.Add("%zz&;=\x00", false, false)
	w := newWorld(f)
	known := w.Browser(f)
	known.SignIn(faces.AliceLogin)
	cookies := known.Cookies()

	f.Fuzz(func(t *testing.T, raw string, post, signedIn bool) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/authorize", nil)
		r.URL.RawQuery = raw
		if post {
			r = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/authorize", strings.NewReader(raw))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if signedIn {
			for name, value := range cookies {
				r.AddCookie(&http.Cookie{Name: name, Value: value})
			}
		}
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		if rec.Code >= http.StatusInternalServerError {
			t.Fatalf("status %d for %q", rec.Code, raw)
		}
		to := rec.Header().Get("Location")
		if to == "" {
			return
		}
		if rec.Code != http.StatusSeeOther {
			t.Errorf("a redirect with status %d", rec.Code)
		}
		for _, own := range []string{"/login?req=req_", "/consent?req=req_", "/authorize?req=req_"} {
			if strings.HasPrefix(to, own) {
				return
			}
		}
		checkAnswer(t, w, raw, to)
	})
}

// checkAnswer checks a redirect that leaves the issuer.
func checkAnswer(t *testing.T, w *faces.World, raw, to string) {
	t.Helper()
	params, err := oauth.ParseParams(raw)
	if err != nil {
		t.Fatalf("an answer to parameters that cannot be read: %s", to)
	}
	client, ok := w.Clients.Find(params.Get("client_id"))
	if !ok || !client.MatchRedirectURI(params.Get("redirect_uri")) {
		t.Fatalf("sent to %q, which client %q did not register", to, params.Get("client_id"))
	}
	if !strings.HasPrefix(to, params.Get("redirect_uri")) {
		t.Fatalf("sent to %q instead of %q", to, params.Get("redirect_uri"))
	}
	at, err := url.Parse(to)
	if err != nil || at.Fragment != "" {
		t.Fatalf("the answer's address is %q (%v)", to, err)
	}
	answer := at.Query()
	if answer.Get("iss") != w.Issuer {
		t.Errorf("no iss in %q", to)
	}
	if state, err := params.Visible("state"); err == nil && answer.Get("state") != state {
		t.Errorf("state %q came back as %q", state, answer.Get("state"))
	}
	if answer.Has("error") == answer.Has("code") {
		t.Errorf("the answer is neither a code nor an error: %q", to)
	}
	for _, c := range []byte(to) {
		if c <= 0x20 || c > 0x7e {
			t.Fatalf("the header holds %q", c)
		}
	}
}
