// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
)

// ask begins a request of the app in a browser.
func (w *world) ask(browser string) authz.Request {
	w.Helper()
	r := authz.NewRequest(w.store.Now())
	r.Browser, r.ClientID, r.RedirectURI, r.ResponseMode = browser, app, redirect, "query"
	r.Scopes, r.State, r.Nonce, r.Challenge = scopes, "s", "n", oauth.Challenge(verifier)
	r.Requirements = []realm.Requirement{{Realm: "password", MaxAge: time.Hour}}
	w.ok(w.store.InsertRequest(w.Context(), r))
	return r
}

func TestRequestComesBackAsItWasAccepted(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		r := authz.NewRequest(w.store.Now())
		r.Browser, r.ClientID, r.RedirectURI, r.ResponseMode = "b", app, redirect, "form_post"
		r.Scopes, r.State, r.Nonce, r.Challenge, r.ACRValues = scopes, "ä\x00", "n", "c", []string{"gold"}
		prompt, err := oauth.ParsePrompt("login consent")
		w.ok(err)
		r.Prompt = prompt
		r.LoginHint, r.UILocales, r.Subject = "alice", "nl", alice
		r.Requirements = []realm.Requirement{{Realm: "password", MaxAge: time.Hour, NotBefore: w.store.Now()}}
		w.ok(w.store.InsertRequest(w.Context(), r))
		got, err := w.store.Request(w.Context(), r.ID)
		w.ok(err)
		if diff := cmp.Diff(r, got, cmpopts.EquateEmpty()); diff != "" {
			w.Errorf("request changed in the store (-put +got):\n%s", diff)
		}
		w.wantError("inserting it again", w.store.InsertRequest(w.Context(), r), storage.ErrExists)
	})
}

func TestRequestEnds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(w *world, r authz.Request) (id string)
	}{
		{"never was", func(*world, authz.Request) string { return "req_unknown" }},
		{"no id", func(*world, authz.Request) string { return "" }},
		{"an absurd id", func(*world, authz.Request) string { return strings.Repeat("x/\x00", 4000) }},
		{"closed", func(w *world, r authz.Request) string {
			w.ok(w.store.CloseRequest(w.Context(), r.ID))
			return r.ID
		}},
		{"expired", func(w *world, r authz.Request) string {
			w.after(authz.RequestTTL)
			return r.ID
		}},
		{"completed", func(w *world, r authz.Request) string {
			session, _ := w.sign(alice)
			w.authorize(session, func(c *authz.Completion) { c.RequestID = r.ID })
			return r.ID
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				id := tt.end(w, w.ask("browser"))
				_, err := w.store.Request(w.Context(), id)
				w.wantError("reading", err, authz.ErrRequestEnded)
				w.wantError("reading", err, storage.ErrNotFound)
				_, err = w.store.BindRequest(w.Context(), id, "browser")
				w.wantError("binding", err, authz.ErrRequestEnded)
				w.wantError("closing", w.store.CloseRequest(w.Context(), id), authz.ErrRequestEnded)
				w.wantError("keeping state", w.store.KeepRealmState(w.Context(), id, "password", nil), authz.ErrRequestEnded)
				session, _ := w.sign(alice)
				code, c := w.completion(session, func(c *authz.Completion) { c.RequestID = id })
				if id != "" { // a completion without a request is one that was answered at once
					w.wantError("completing", w.store.Complete(w.Context(), c), authz.ErrRequestEnded)
					w.redeem(w.redemption(code), authz.RedeemUnknown)
				}
			})
		})
	}
}
