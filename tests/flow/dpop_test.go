// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/dpop"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// holder is an app with a key of its own, whose clock may be off.
type holder struct {
	*dpop.Prover
	t   *testing.T
	w   *world
	off time.Duration
}

func (w *world) holder(t *testing.T) *holder {
	t.Helper()
	h := &holder{t: t, w: w}
	key, err := jose.GenerateKey(jose.ES256)
	must(t, err)
	h.Prover, err = dpop.NewProver(key, func() time.Time { return w.clock.Now().Add(h.off) })
	must(t, err)
	return h
}

// proof is one for a form that is posted to the issuer.
func (h *holder) proof(path, nonce string) string {
	h.t.Helper()
	raw, err := h.Prove(http.MethodPost, issuer+path, "", nonce)
	must(h.t, err)
	return raw
}

// call presents a bound token.
func (h *holder) call(target, token, nonce string) answer {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, target, nil)
	must(h.t, err)
	proof, err := h.Prove(http.MethodGet, target, token, nonce)
	must(h.t, err)
	r.Header.Set("Authorization", "DPoP "+token)
	r.Header.Set("DPoP", proof)
	return h.w.send(h.t, r)
}

// redeem exchanges a code, with a proof where there is a holder.
func (h *holder) redeem(p page) answer {
	h.t.Helper()
	pairs := []string{
		"grant_type", "authorization_code", "code", p.url.Query().Get("code"), "redirect_uri", callback, "code_verifier", verifier,
	}
	if h.Prover != nil {
		pairs = append(pairs, ":proof", h.proof("/token", ""))
	}
	return h.w.form(h.t, "/token", "public", pairs...)
}

// TestAStolenTokenIsWorthless walks the way of a token from the request to the API. Whatever is copied on it, code, access token or
// refresh token, is of no use to whoever does not hold the key, and stays good for who does.
func TestAStolenTokenIsWorthless(t *testing.T) {
	for _, begin := range []struct {
		name string
		url  func(*holder) string
	}{
		{"RFC9449/10 dpop_jkt", func(h *holder) string { return authorize("public", "dpop_jkt", h.Thumbprint()) }},
		{"RFC9449/10.1 a pushed request with dpop_jkt", func(h *holder) string { return h.push("dpop_jkt", h.Thumbprint()) }},
		{"RFC9449/10.1 a pushed request with a proof", func(h *holder) string { return h.push(":proof", h.proof("/par", "")) }},
		{"RFC9449/10.1 a pushed request with both", func(h *holder) string {
			return h.push("dpop_jkt", h.Thumbprint(), ":proof", h.proof("/par", ""))
		}},
	} {
		t.Run(begin.name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				w.clock.Advance(time.Minute) // the gates have been up for a while, and take proofs that have no nonce
				app, thief, nobody := w.holder(t), w.holder(t), &holder{t: t, w: w}
				b := w.browser(t)
				end := b.login(b.get(begin.url(app)))
				for name, other := range map[string]*holder{"another key": thief, "no key": nobody} {
					if got := other.redeem(end); got.status != 400 || got.text("error") != "invalid_grant" {
						t.Errorf("the code, with %s: %d %v", name, got.status, got.body)
					}
				}
				issued := app.redeem(end)
				if issued.status != 200 || issued.text("token_type") != "DPoP" {
					t.Fatalf("%d %v", issued.status, issued.body)
				}
				app.wantAccess(thief, issued.text("access_token"))
				for name, proof := range map[string]string{"another key": thief.proof("/token", ""), "no key": ""} {
					got := w.refresh(t, "public", issued.text("refresh_token"), ":proof", proof)
					if got.status != 400 || got.text("error") != "invalid_grant" {
						t.Errorf("the refresh token, with %s: %d %v", name, got.status, got.body)
					}
				}
				renewed := w.refresh(t, "public", issued.text("refresh_token"), ":proof", app.proof("/token", ""))
				if renewed.status != 200 {
					t.Fatalf("%d %v", renewed.status, renewed.body)
				}
				app.wantAccess(thief, renewed.text("access_token"))
			})
		})
	}
}

// push pushes a request and returns where a browser opens it.
func (h *holder) push(pairs ...string) string {
	h.t.Helper()
	pushed := h.w.form(h.t, authz.PathPushed, "public", append([]string{
		"response_type", "code", "redirect_uri", callback, "scope", "openid read", "state", "s", "nonce", "n",
		"code_challenge", oauth.Challenge(verifier), "code_challenge_method", "S256",
	}, pairs...)...)
	if pushed.status != http.StatusCreated {
		h.t.Fatalf("%d %v", pushed.status, pushed.body)
	}
	return issuer + "/authorize?client_id=public&request_uri=" + pushed.text("request_uri")
}

// wantAccess uses a token at the API and at userinfo, as its holder and as a thief.
func (h *holder) wantAccess(thief *holder, token string) {
	h.t.Helper()
	for _, target := range []string{api, issuer + authz.PathUserinfo} {
		if got := h.call(target, token, ""); got.status != 200 {
			h.t.Errorf("%s: %d %v", target, got.status, got.header)
		}
		for name, got := range map[string]answer{"the key of another": thief.call(target, token, ""), "bearer": h.w.call(h.t, target, token)} {
			challenges := strings.Join(got.header.Values("WWW-Authenticate"), "\n")
			if got.status != 401 || !strings.Contains(challenges, `error="invalid_token"`) || !strings.Contains(challenges, `DPoP `) {
				h.t.Errorf("%s with %s: %d %s", target, name, got.status, challenges)
			}
		}
	}
	told := h.call(issuer+authz.PathUserinfo, token, "")
	if cnf, _ := told.body["cnf"].(map[string]any); cnf["jkt"] != h.Thumbprint() {
		h.t.Errorf("userinfo says %v", told.body)
	}
	seen := h.w.form(h.t, authz.PathIntrospect, "machine", "token", token)
	cnf, _ := seen.body["cnf"].(map[string]any)
	if seen.body["active"] != true || cnf["jkt"] != h.Thumbprint() || seen.text("token_type") != "DPoP" { // RFC 9449 6.2
		h.t.Errorf("introspection says %v", seen.body)
	}
	if found := h.w.next().server.Inspect(h.t.Context(), token); !found.Active {
		h.t.Errorf("the operator is told %+v", found)
	}
}

// TestPushedProofsThatAreRefused: a request that is bound to two keys, or to none that is one, is refused where it is made.
func TestAProofIsGoodOnceAmongAllNodes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.clock.Advance(time.Minute)
		app, b := w.holder(t), w.browser(t)
		issued := app.redeem(b.login(b.get(authorize("public", "dpop_jkt", app.Thumbprint()))))
		if issued.status != 200 {
			t.Fatalf("%d %v", issued.status, issued.body)
		}
		token := issued.text("access_token")
		proof, err := app.Prove(http.MethodGet, api, token, "")
		must(t, err)
		var passed, replayed int
		for range 2 * len(w.nodes) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api, nil)
			must(t, err)
			r.Header.Set("Authorization", "DPoP "+token)
			r.Header.Set("DPoP", proof)
			switch got := w.send(t, r); {
			case got.status == 200:
				passed++
			case strings.Contains(got.header.Get("WWW-Authenticate"), "invalid_dpop_proof"):
				replayed++
			}
		}
		if passed != 1 || replayed != 2*len(w.nodes)-1 {
			t.Errorf("a proof that was sent to each node twice passed %d times and was refused as used %d times", passed, replayed)
		}
	})
}

func TestPushedProofsThatAreRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		app, other := w.holder(t), w.holder(t)
		for _, c := range []struct{ name, code, key, proof string }{
			{"RFC9449/10.1 two keys", "invalid_dpop_proof", other.Thumbprint(), app.proof("/par", "")},
			{"RFC9449/10.1 the proof of another endpoint", "invalid_dpop_proof", "", app.proof("/token", "")},
			{"no thumbprint", "invalid_request", "abc", ""},
			{"a thumbprint with a character too many", "invalid_request", app.Thumbprint() + "A", ""},
		} {
			got := w.form(t, authz.PathPushed, "public", "response_type", "code", "redirect_uri", callback, "scope", "openid read", "dpop_jkt", c.key,
				"code_challenge", oauth.Challenge(verifier), "code_challenge_method", "S256", ":proof", c.proof)
			if got.status != 400 || got.text("error") != c.code {
				t.Errorf("%s: %d %v", c.name, got.status, got.body)
			}
		}
	})
}

// TestAClockThatIsOff: an app whose clock is a day off is let in with the nonce that it gets, at the issuer, whichever node answers, and
// at the API, each with a nonce of its own (RFC 9449 8 and 9).
func TestAClockThatIsOff(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		app := w.holder(t)
		app.off = -24 * time.Hour
		b := w.browser(t)
		end := b.login(b.get(authorize("public")))
		refused := app.redeem(end)
		nonce := refused.header.Get("DPoP-Nonce")
		if refused.status != 400 || refused.text("error") != "use_dpop_nonce" || nonce == "" {
			t.Fatalf("%d %v", refused.status, refused.body)
		}
		issued := w.form(t, "/token", "public", "grant_type", "authorization_code", "code", end.url.Query().Get("code"),
			"redirect_uri", callback, "code_verifier", verifier, ":proof", app.proof("/token", nonce))
		if issued.status != 200 {
			t.Fatalf("%d %v", issued.status, issued.body)
		}
		token := issued.text("access_token")
		for range len(w.nodes) + 1 { // the nonce of the issuer is none at the API, nor is that of another node
			got := app.call(api, token, nonce)
			if got.status != 401 || got.header.Get("DPoP-Nonce") == "" {
				t.Fatalf("%d %v", got.status, got.header)
			}
			nonce = got.header.Get("DPoP-Nonce")
		}
		w.next() // back to the node that gave the last one
		if got := app.call(api, token, nonce); got.status != 200 {
			t.Errorf("%d %v", got.status, got.header)
		}
	})
}

// TestAnAppWithoutABrowserHoldsItsKey (draft-ietf-oauth-first-party-apps-04, 9.5.1 and 9.6.1): what an app has begun with a key, nobody
// else goes on with.
func TestAnAppWithoutABrowserHoldsItsKey(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		app, thief := w.holder(t), w.holder(t)
		p := w.phone(t)
		asked := p.ask("read", ":proof", app.proof(authz.PathChallenge, ""))
		if asked.text("error") != "insufficient_authorization" {
			t.Fatalf("%d %v", asked.status, asked.body)
		}
		answers := `{"password":{"username":"alice","password":"` + password + `"}}`
		for name, proof := range map[string]string{"another key": thief.proof(authz.PathChallenge, ""), "no key": ""} {
			if got := p.send("answers", answers, ":proof", proof); got.text("error") != "invalid_dpop_proof" {
				t.Errorf("an answer with %s: %d %v", name, got.status, got.body)
			}
		}
		granted := p.send("answers", answers, ":proof", app.proof(authz.PathChallenge, ""))
		code := granted.text("authorization_code")
		redeem := []string{"grant_type", "authorization_code", "code", code, "code_verifier", verifier}
		for name, proof := range map[string]string{"another key": thief.proof("/token", ""), "no key": ""} {
			if got := w.form(t, "/token", "phone", append(redeem, ":proof", proof)...); got.text("error") != "invalid_grant" {
				t.Errorf("the code with %s: %d %v", name, got.status, got.body)
			}
		}
		if got := w.form(t, "/token", "phone", append(redeem, ":proof", app.proof("/token", ""))...); got.text("token_type") != "DPoP" {
			t.Errorf("the code: %d %v", got.status, got.body)
		}
		push := []string{
			"auth_session", p.held, "response_type", "code", "scope", "openid read", "redirect_uri", callback, "state", "s",
			"code_challenge", oauth.Challenge(verifier), "code_challenge_method", "S256",
		}
		for name, proof := range map[string]string{"another key": thief.proof(authz.PathPushed, ""), "no key": ""} {
			if got := w.form(t, authz.PathPushed, "phone", append(push, ":proof", proof)...); got.text("error") != "invalid_dpop_proof" {
				t.Errorf("the session handed to a browser with %s: %d %v", name, got.status, got.body)
			}
		}
		if got := w.form(t, authz.PathPushed, "phone", append(push, ":proof", app.proof(authz.PathPushed, ""))...); got.status != http.StatusCreated {
			t.Errorf("the session handed to a browser: %d %v", got.status, got.body)
		}
		if got := p.ask("read"); got.text("error") != "invalid_dpop_proof" {
			t.Errorf("another request of the auth session: %d %v", got.status, got.body)
		}
	})
}
