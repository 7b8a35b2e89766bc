// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const mark = "MARK-of-the-inside"

// TestStoreDownLeaksNothingAndLetsNobodyIn sends every request there is to servers whose store fails with a marked text: the
// mark reaches nobody, nothing is answered with success that was not stored, and what needs no store goes on.
func TestStoreDownLeaksNothingAndLetsNobodyIn(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	db, err := memstore.Open(memstore.Config{Now: clock.Now})
	must(t, err)
	faulty := storagetest.Faulty(db)
	w := newWorld(t, clock, faulty)
	b, tokens := w.tokens(t, "app")
	code := b.get(authorize("app"))
	loginPage := w.browser(t).get(authorize("app"))
	app := w.phone(t)
	app.ask("read")
	// The faults that leave something written come last: what is revoked by then stays so.
	for _, op := range []storagetest.Op{storagetest.OnUpdate, storagetest.OnCommit, storagetest.OnReply, storagetest.OnView} {
		faulty.Inject(storagetest.Fault{Op: op, Err: errors.New(mark)})
		for _, r := range append(w.everything(t, tokens, code, loginPage), app.everything()...) {
			response, err := b.client.Do(r)
			must(t, err)
			body, err := io.ReadAll(response.Body)
			must(t, err)
			var header strings.Builder
			must(t, response.Header.Write(&header))
			if strings.Contains(string(body)+header.String(), mark) {
				t.Errorf("%s %s tells what went wrong inside:\n%s%s", r.Method, r.URL.Path, header.String(), body)
			}
			written := op == storagetest.OnView // transactions that write do not fail then
			given := strings.Contains(string(body), "_token\":") || strings.Contains(string(body), "authorization_code\":") ||
				strings.Contains(header.String(), "code=")
			if !written && given {
				t.Errorf("%s %s gives out what was not stored: %d\n%s%s", r.Method, r.URL.Path, response.StatusCode, header.String(), body)
			}
		}
		if op == storagetest.OnUpdate || op == storagetest.OnCommit {
			want(t, "a known token", w.call(t, api+"/", tokens.text("access_token")).status, http.StatusOK)
		}
		faulty.Clear()
	}
}

// everything is one request to each endpoint that uses the store.
func (w *world) everything(t *testing.T, tokens answer, code, login page) []*http.Request {
	t.Helper()
	var all []*http.Request
	add := func(method, path string, pairs ...string) {
		form := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			form.Set(pairs[i], pairs[i+1])
		}
		target, body := issuer+path, io.Reader(strings.NewReader(form.Encode()))
		if method == http.MethodGet {
			target, body = target+"?"+form.Encode(), nil
		}
		r, err := http.NewRequestWithContext(t.Context(), method, target, body)
		must(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("app", secret)
		all = append(all, r)
	}
	add(http.MethodPost, "/token", "grant_type", "authorization_code", "code", code.url.Query().Get("code"), "redirect_uri", callback, "code_verifier", verifier)
	add(http.MethodPost, "/token", "grant_type", "refresh_token", "refresh_token", tokens.text("refresh_token"))
	add(http.MethodPost, "/introspect", "token", tokens.text("refresh_token"))
	add(http.MethodPost, "/revoke", "token", tokens.text("refresh_token"))
	add(http.MethodPost, "/revoke", "token", tokens.text("access_token"))
	add(http.MethodGet, "/account")
	add(http.MethodGet, "/logout")
	add(http.MethodGet, "/login", "req", login.url.Query().Get("req"))
	add(http.MethodPost, "/login", "req", login.url.Query().Get("req"), "step", "x", "username", "alice", "password", password)
	authorizeURL, err := url.Parse(authorize("app"))
	must(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, authorizeURL.String(), nil)
	must(t, err)
	userinfo, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer+"/userinfo", nil)
	must(t, err)
	userinfo.Header.Set("Authorization", "Bearer "+tokens.text("access_token"))
	return append(all, r, userinfo)
}

// TestSecondServerTakesOver ends one node in the middle of everything: what it began the other finishes.
func TestSecondServerTakesOver(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser(t)
		p := b.get(authorize("app"))
		w.nodes = w.nodes[1:]
		p = b.login(p)
		first := w.redeem(t, "app", p)
		want(t, "tokens", first.status, http.StatusOK)
		w.clock.Advance(time.Minute)
		want(t, "refresh", w.refresh(t, "app", first.text("refresh_token")).status, http.StatusOK)
	})
}
