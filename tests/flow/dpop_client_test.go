// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/native/client"
)

// keyed is an app whose tokens are bound to a key by the client package.
type keyed struct {
	*client.Client
	t     *testing.T
	api   *http.Client
	asked int // how often a person was
}

// keyed returns one whose clock is off.
func (w *world) keyed(t *testing.T, off time.Duration) *keyed {
	t.Helper()
	a := &keyed{t: t}
	says := func(realm string) client.Handler {
		return client.HandlerFunc(func(context.Context, client.Challenge) (map[string]string, error) {
			a.asked++
			return right[realm][0], nil
		})
	}
	var err error
	a.Client, err = client.New(client.Config{
		Issuer: issuer, ClientID: "phone", Scopes: []string{"openid", "read"}, HTTP: &http.Client{Transport: w},
		Now:      func() time.Time { return w.clock.Now().Add(off) },
		Handlers: map[string]client.Handler{"password": says("password"), "word": says("word")}, DPoP: &client.DPoP{},
	})
	must(t, err)
	a.api = &http.Client{Transport: a.Transport(w)}
	return a
}

// wantCall has the app call something that is protected, and wants it to pass after so many questions to a person.
func (a *keyed) wantCall(target string, asked int) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, target, strings.NewReader("x"))
	must(a.t, err)
	response, err := a.api.Do(r)
	must(a.t, err)
	must(a.t, response.Body.Close())
	if response.StatusCode != http.StatusOK || a.asked != asked {
		a.t.Errorf("%s answers %d %v after %d questions", target, response.StatusCode, response.Header, a.asked)
	}
}

// TestTokensOfTheClientCannotBeCopied: what an app that is written in Go holds, also what it came to by a browser, is worth nothing to another client, and stays good for the app, which is asked nothing for it.
func TestTokensOfTheClientCannotBeCopied(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.clock.Advance(time.Minute) // the gates have been up for a while, and take proofs that have no nonce
		app, thief := w.keyed(t, 0), w.holder(t)
		app.wantCall(api+"/?x=1", 1)
		app.wantCall(api+"/pay", 2)
		copied := func() {
			t.Helper()
			tokens := app.Tokens()
			for name, got := range map[string]answer{"the key of another": thief.call(api, tokens.Access, ""), "bearer": w.call(t, api, tokens.Access)} {
				if got.status != 401 || !strings.Contains(strings.Join(got.header.Values("WWW-Authenticate"), "\n"), `error="invalid_token"`) {
					t.Errorf("a copy of the access token with %s: %d %v", name, got.status, got.header)
				}
			}
			for name, proof := range map[string]string{"the key of another": thief.proof("/token", ""), "no key": ""} {
				if got := w.refresh(t, "phone", tokens.Refresh, ":proof", proof); got.status != 400 || got.text("error") != "invalid_grant" {
					t.Errorf("a copy of the refresh token with %s: %d %v", name, got.status, got.body)
				}
			}
			seen := w.form(t, authz.PathIntrospect, "machine", "token", tokens.Access)
			if tokens.Type != "DPoP" || seen.text("token_type") != "DPoP" {
				t.Errorf("introspection says %v", seen.body)
			}
		}
		copied()
		before := app.Tokens()
		w.clock.Advance(4*time.Minute + 55*time.Second) // the word is fresh, the token is not
		app.wantCall(api+"/pay", 2)
		if now := app.Tokens(); now.Access == before.Access || now.Refresh == before.Refresh {
			t.Errorf("nothing was refreshed: %+v", now)
		}
		copied()

		b := w.browser(t)
		h, err := app.HandOver(t.Context(), client.Request{}, callback)
		must(t, err)
		back := b.submit(b.get(h.URL), "decision", "allow")
		_, err = app.Finish(t.Context(), h, back.url.String())
		must(t, err)
		app.wantCall(api+"/", 2)
		copied()
		must(t, app.Logout(t.Context()))
	})
}

// TestTheClientIsToldANonce: an app whose clock is off by a day, at an issuer and at gates that have just begun, is let in unasked.
func TestTheClientIsToldANonce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for i, off := range []time.Duration{0, -24 * time.Hour, 24 * time.Hour} {
			app := w.keyed(t, off)
			_, err := app.Authorize(t.Context(), client.Request{}) // at any node: they have their nonces in common
			must(t, err)
			if i == 0 {
				w.nodes = w.nodes[:1] // each gate has its own
			}
			for range 3 {
				app.wantCall(api+"/", 1)
				w.clock.Advance(45 * time.Second) // a nonce of a gate lasts a minute
			}
		}
	})
}
