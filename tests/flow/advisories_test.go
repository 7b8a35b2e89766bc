// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
)

// surfaces says of a token pair where it still works: gate, userinfo, introspection, refresh. Refreshing comes last, since it
// uses the token up.
func (w *world) surfaces(t *testing.T, a answer) map[string]bool {
	t.Helper()
	access := a.text("access_token")
	return map[string]bool{
		"gate":             w.call(t, api+"/", access).status == http.StatusOK,
		"userinfo":         w.call(t, issuer+"/userinfo", access).status == http.StatusOK,
		"introspection":    w.form(t, "/introspect", "machine", "token", access).body["active"] == true,
		"refresh token":    w.form(t, "/introspect", "app", "token", a.text("refresh_token")).body["active"] == true,
		"refresh endpoint": w.refresh(t, "app", a.text("refresh_token")).status == http.StatusOK,
	}
}

// Whatever ends a grant, every place that is asked about its tokens says so: none has a judgement of its own.
func TestEndedGrantsAreDeadOnEverySurface(t *testing.T) { // CVE-2026-8922
	endings := map[string]func(t *testing.T, w *world, b *browser, a answer){
		"the user is locked": func(t *testing.T, w *world, _ *browser, _ answer) {
			_, err := w.users.Lock(t.Context(), w.alice.ID, "lost phone")
			must(t, err)
		},
		"the user is deactivated": func(t *testing.T, w *world, _ *browser, _ answer) {
			_, err := w.users.Deactivate(t.Context(), w.alice.ID, "left")
			must(t, err)
		},
		"the password is changed": func(t *testing.T, w *world, _ *browser, _ answer) {
			_, err := w.users.SetPassword(t.Context(), w.alice.ID, "another wonderland")
			must(t, err)
		},
		"the client is revoked": func(t *testing.T, w *world, _ *browser, _ answer) {
			_, err := w.store.Revoke(t.Context(), authz.KindClient, "app")
			must(t, err)
		},
		"the session ends": func(t *testing.T, w *world, b *browser, _ answer) {
			b.get(web1 + "/")
			b.do(http.MethodPost, web1+"/_gatehouse/logout", url.Values{})
		},
		"the refresh token is revoked": func(t *testing.T, w *world, _ *browser, a answer) {
			want(t, "revoke", w.form(t, "/revoke", "app", "token", a.text("refresh_token")).status, http.StatusOK)
		},
		"the refresh token is stolen": func(t *testing.T, w *world, _ *browser, a answer) {
			next := w.refresh(t, "app", a.text("refresh_token"))
			w.clock.Advance(time.Minute)
			w.refresh(t, "app", next.text("refresh_token"))
			w.refresh(t, "app", a.text("refresh_token"))
		},
	}
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				b, a := w.tokens(t, "app")
				w.clock.Advance(time.Second)
				end(t, w, b, a)
				w.settle(t)
				dead := map[string]bool{"gate": false, "userinfo": false, "introspection": false, "refresh token": false, "refresh endpoint": false}
				if diff := cmp.Diff(dead, w.surfaces(t, a)); diff != "" {
					t.Errorf("it still works (-want +got):\n%s", diff)
				}
			})
		})
	}
	t.Run("nothing ended", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			_, a := w.tokens(t, "app")
			for where, works := range w.surfaces(t, a) {
				if !works {
					t.Errorf("%s refuses a good token", where)
				}
			}
		})
	})
}

// Every kind of token is tried wherever some kind is taken.
func TestEachTokenOpensOneKindOfDoor(t *testing.T) { // CVE-2024-47616
	each(t, func(t *testing.T, w *world) {
		b, a := w.tokens(t, "app")
		b.get(web1 + "/")
		site, err := url.Parse(web1)
		must(t, err)
		cookie := b.client.Jar.Cookies(site)
		if len(cookie) != 1 {
			t.Fatalf("the site has %d cookies", len(cookie))
		}
		s := w.nodes[0].server
		who, err := s.AccessValidator().Inspect(t.Context(), a.text("access_token"))
		must(t, err)
		assertion, err := s.Assertion(who, api)
		must(t, err)
		for kind, raw := range map[string]string{
			"ID token": a.text("id_token"), "refresh token": a.text("refresh_token"), "session of a site": cookie[0].Value,
			"assertion": assertion, "session of the issuer": "ses_x.y",
		} {
			want(t, kind+" at the gate", w.call(t, api+"/", raw).status, http.StatusUnauthorized)
			want(t, kind+" at userinfo", w.call(t, issuer+"/userinfo", raw).status, http.StatusUnauthorized)
			if got := w.form(t, "/introspect", "machine", "token", raw); got.body["active"] != false {
				t.Errorf("a resource server is told of the %s: %v", kind, got.body)
			}
			if kind != "refresh token" {
				want(t, kind+" to refresh", w.refresh(t, "app", raw).status, http.StatusBadRequest)
			}
			if kind == "session of a site" {
				continue
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web1+"/", nil)
			must(t, err)
			r.AddCookie(&http.Cookie{Name: cookie[0].Name, Value: raw})
			want(t, kind+" as a cookie", w.send(t, r).status, http.StatusUnauthorized)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web1+"/", nil)
		must(t, err)
		r.AddCookie(&http.Cookie{Name: cookie[0].Name, Value: a.text("access_token")})
		want(t, "access token as a cookie", w.send(t, r).status, http.StatusUnauthorized)
		want(t, "access token to refresh", w.refresh(t, "app", a.text("access_token")).status, http.StatusBadRequest)
	})
}

// A code is worth nothing without its verifier, and no request without a challenge gets one.
func TestPKCEIsNotOptional(t *testing.T) { // CVE-2023-48228
	each(t, func(t *testing.T, w *world) {
		b := w.browser(t)
		code := b.login(b.get(authorize("app"))).url.Query().Get("code")
		redeem := func(pairs ...string) int {
			return w.form(t, "/token", "app", append([]string{
				"grant_type", "authorization_code", "code", code, "redirect_uri", callback,
			}, pairs...)...).status
		}
		want(t, "no verifier", redeem(), http.StatusBadRequest)
		want(t, "an empty verifier", redeem("code_verifier", ""), http.StatusBadRequest)
		want(t, "the challenge as verifier", redeem("code_verifier", oauth.Challenge(verifier)), http.StatusBadRequest)
		want(t, "the verifier", redeem("code_verifier", verifier), http.StatusOK)
		for name, pairs := range map[string][]string{
			"no challenge": {"code_challenge", "", "code_challenge_method", ""}, "no method": {"code_challenge_method", ""},
			"plain": {"code_challenge", verifier, "code_challenge_method", "plain"}, "lower case": {"code_challenge_method", "s256"},
		} {
			if p := b.get(authorize("app", pairs...)); p.url.Query().Get("error") != "invalid_request" || p.url.Query().Get("code") != "" {
				t.Errorf("%s: the browser is at %s", name, p.url)
			}
		}
	})
}

// What an application asks stays in the store: addresses and cookies on the way carry names of records, and the answer goes to
// the application alone.
func TestFrontChannelCarriesNoRequest(t *testing.T) { // CVE-2024-4540
	each(t, func(t *testing.T, w *world) {
		asked := map[string]string{"state": "state-4711", "nonce": "nonce-4711", "login_hint": "hint-4711", "scope": "openid read profile"}
		var pairs []string
		for name, value := range asked {
			pairs = append(pairs, name, value)
		}
		b := w.browser(t)
		p := b.get(authorize("other", pairs...))
		at := []string{p.url.String()}
		p = b.login(p)
		at = append(at, p.url.String())
		address, err := url.Parse(issuer)
		must(t, err)
		for _, c := range b.client.Jar.Cookies(address) {
			at = append(at, c.Name+"="+c.Value)
		}
		for _, text := range at {
			if strings.Contains(text, "4711") || strings.Contains(text, "profile") || strings.Contains(text, "app.example.com") {
				t.Errorf("%s tells what was asked", text)
			}
		}
		if p = b.submit(p, "decision", "allow"); p.url.Query().Get("state") != "state-4711" {
			t.Errorf("the answer is %s", p.url)
		}
	})
}

// No page, whoever looks at it, shows what could be used: tokens, codes, cookies.
func TestPagesShowNoToken(t *testing.T) { // CVE-2024-39315
	each(t, func(t *testing.T, w *world) {
		b, a := w.tokens(t, "other")
		b.get(web1 + "/")
		secrets := []string{a.text("access_token"), a.text("refresh_token"), a.text("id_token"), "eyJ"}
		for _, origin := range []string{issuer, web1} {
			u, err := url.Parse(origin)
			must(t, err)
			for _, c := range b.client.Jar.Cookies(u) {
				if _, secret, ok := strings.Cut(c.Value, "."); ok {
					secrets = append(secrets, secret)
				}
				secrets = append(secrets, c.Value)
			}
		}
		for _, path := range []string{"/account", "/logout", "/login?req=x", "/authorize?client_id=x", "/consent?req=x"} {
			p := b.get(issuer + path)
			for _, secret := range secrets {
				if strings.Contains(p.body, secret) {
					t.Errorf("the page at %s shows a secret", p.url)
				}
			}
		}
	})
}

func TestRuleAsksWhatEachOfSeveralScopesMeans(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.nodes[0].server
		rule, err := s.Rule(validation.Policy{AnyScope: validation.Scopes{"pay"}})
		must(t, err)
		_, a := w.tokens(t, "app", "scope", "openid read")
		who, err := s.AccessValidator().Inspect(t.Context(), a.text("access_token"))
		must(t, err)
		paying := *who
		paying.Scopes = validation.Scopes{"pay"} // as of a grant whose second factor is long ago
		refusal := rule.Policy.Check(&paying, w.clock.Now())
		if refusal == nil || oauth.AsError(refusal).Code != oauth.InsufficientUserAuth {
			t.Errorf("a stale token is judged %v", refusal)
		}
		if err := rule.Bare.Check(&paying, w.clock.Now()); err != nil {
			t.Errorf("a client acting for itself is refused: %v", err)
		}
	})
}
