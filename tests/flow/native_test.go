// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/native/client"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// phone is an app with screens of its own.
type phone struct {
	t    *testing.T
	w    *world
	held string // auth_session
}

func (w *world) phone(t *testing.T) *phone { return &phone{t: t, w: w} }

func (p *phone) send(pairs ...string) answer {
	p.t.Helper()
	a := p.w.form(p.t, authz.PathChallenge, "phone", append(pairs, "auth_session", p.held)...)
	if held := a.text("auth_session"); held != "" {
		p.held = held
	}
	return a
}

// everything is what an app can send: a request, and the right answer to the one before.
func (p *phone) everything() (all []*http.Request) {
	p.t.Helper()
	text, err := json.Marshal(map[string]map[string]string{"password": right["password"][0]})
	must(p.t, err)
	for _, form := range []url.Values{
		{"auth_session": {p.held}, "answers": {string(text)}}, // the client is known by auth_session
		{"client_id": {"phone"}, "response_type": {"code"}, "scope": {"read"}, "code_challenge": {oauth.Challenge(verifier)}, "code_challenge_method": {"S256"}},
	} {
		r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, issuer+authz.PathChallenge, strings.NewReader(form.Encode()))
		must(p.t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		all = append(all, r)
	}
	return all
}

// ask begins a request.
func (p *phone) ask(scope string, more ...string) answer {
	p.t.Helper()
	return p.send(append([]string{
		"response_type", "code", "scope", "openid " + scope, "nonce", "n", "code_challenge", oauth.Challenge(verifier), "code_challenge_method", "S256",
	}, more...)...)
}

// give answers one round of some realms.
func (p *phone) give(answers map[string]map[string]string) answer {
	p.t.Helper()
	text, err := json.Marshal(answers)
	must(p.t, err)
	return p.send("answers", string(text))
}

// challenges are what an answer asks, by realm and field.
func (p *phone) challenges(a answer) map[string][]string {
	p.t.Helper()
	asked := map[string][]string{}
	all, _ := a.body["challenges"].(map[string]any)
	for name, one := range all {
		challenge, _ := one.(map[string]any)
		if challenge["failure"] != nil {
			p.t.Errorf("%s says %v", name, challenge["failure"])
		}
		fields, _ := challenge["fields"].([]any)
		for _, field := range fields {
			f, _ := field.(map[string]any)
			text, _ := f["name"].(string)
			asked[name] = append(asked[name], text)
		}
	}
	return asked
}

// finish answers all that is asked, rightly, and returns the code and the realms that were asked.
func (p *phone) finish(a answer) (code string, asked []string) {
	p.t.Helper()
	seen := map[string]bool{}
	for range 10 {
		if a.status == http.StatusOK {
			return a.text("authorization_code"), slices.Sorted(maps.Keys(seen))
		}
		answers := map[string]map[string]string{}
		for name, fields := range p.challenges(a) {
			seen[name] = true
			for _, round := range right[name] {
				if _, fits := round[fields[len(fields)-1]]; fits {
					answers[name] = round
				}
			}
		}
		if len(answers) == 0 {
			break
		}
		a = p.give(answers)
	}
	p.t.Fatalf("there is no code: %d %v", a.status, a.body)
	return "", nil
}

// redeem exchanges a code that came without a redirect.
func (p *phone) redeem(code string) answer {
	p.t.Helper()
	a := p.w.form(p.t, "/token", "phone", "grant_type", "authorization_code", "code", code, "code_verifier", verifier)
	if a.status != http.StatusOK {
		p.t.Fatalf("no tokens: %d %v", a.status, a.body)
	}
	return a
}

// finish fills in every form, rightly, and returns where the browser comes to and the realms that were asked.
func (b *browser) finish(p page) (end page, asked []string) {
	b.t.Helper()
	seen := map[string]bool{}
	for range 10 {
		if p.url.Query().Get("code") != "" {
			return p, slices.Sorted(maps.Keys(seen))
		}
		for name, rounds := range right {
			for _, round := range rounds {
				field := slices.Sorted(maps.Keys(round))[0] // the password, and not the name
				if !strings.Contains(p.body, `name="`+field+`"`) {
					continue
				}
				seen[name] = true
				var pairs []string
				for field, value := range round {
					pairs = append(pairs, field, value)
				}
				p = b.submit(p, pairs...)
			}
		}
	}
	b.t.Fatalf("there is no code at %s:\n%s", p.url, p.body)
	return p, nil
}

// wantRealms checks what an access token says was proven: these realms, and each when the tests proved it.
func (w *world) wantRealms(t *testing.T, token string, proven map[string]time.Time) {
	t.Helper()
	p, err := w.next().server.AccessValidator().Inspect(t.Context(), token)
	must(t, err)
	got := map[string]time.Time{}
	for _, proof := range p.Realms {
		got[proof.Realm] = proof.At
	}
	truncated := maps.Clone(proven)
	for name, at := range truncated {
		truncated[name] = at.Truncate(time.Second)
	}
	for name, at := range got {
		got[name] = at.Truncate(time.Second)
	}
	if diff := cmp.Diff(truncated, got); diff != "" {
		t.Errorf("realms in the token (-want +got):\n%s", diff)
	}
	if p.Subject != w.alice.ID || p.ACR == "" || p.SessionID == "" {
		t.Errorf("the token says %+v", p)
	}
}

// asked are the realms among some that people are asked, in order.
func asked(names []string) []string {
	var all []string
	for _, name := range names {
		if right[name] != nil {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// Every combination of two realms, in an app and in a browser, on alternating nodes: each realm is asked once, and again
// when its own proof is too old, while the others are not; and what was proven in the browser the app need not prove.
func TestEveryPairOfRealms(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, scope := range slices.Sorted(maps.Keys(pairs())) {
			required := needs(scope)
			proven := map[string]time.Time{}
			renew := func(names ...string) {
				for _, name := range names {
					proven[name] = w.clock.Now()
				}
			}

			app := w.phone(t)
			code, first := app.finish(app.ask(scope))
			if diff := cmp.Diff(asked(required), first); diff != "" {
				t.Errorf("%s asks an app (-want +got):\n%s", scope, diff)
			}
			renew(required...)
			w.wantRealms(t, app.redeem(code).text("access_token"), proven)

			b := w.browser(t)
			p, second := b.finish(b.get(authorize("phone", "scope", "openid "+scope)))
			if diff := cmp.Diff(asked(required), second); diff != "" {
				t.Errorf("%s asks a browser (-want +got):\n%s", scope, diff)
			}
			shared := w.redeem(t, "phone", p)
			w.wantRealms(t, shared.text("access_token"), proven)
			both := &phone{t: t, w: w, held: shared.text("auth_session")}

			for _, one := range []*phone{app, both} {
				want(t, scope+" while all is fresh", one.ask(scope).status, http.StatusOK)
			}
			for _, wait := range []time.Duration{5*time.Minute + time.Second, 6 * time.Minute, 15 * time.Minute, 40 * time.Minute} {
				w.clock.Advance(wait)
				var stale []string
				for _, name := range required {
					if w.clock.Now().Sub(proven[name]) > ages[name] {
						stale = append(stale, name)
					}
				}
				for _, one := range []*phone{app, both} {
					_, again := one.finish(one.ask(scope))
					if diff := cmp.Diff(asked(stale), again); diff != "" {
						t.Errorf("%s asks after %s (-want +got):\n%s", scope, wait, diff)
					}
				}
				renew(stale...)
				if p, again := b.finish(b.get(authorize("phone", "scope", "openid "+scope))); len(again) != 0 {
					t.Errorf("%s: the browser is asked for %v although the app has proven it, at %s", scope, again, p.url)
				}
			}
		}
	}, ofEveryKind)
}

// An app comes to tokens without a browser and without a redirect URI, and they are as good as any.
func TestAppWithoutABrowser(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		app := w.phone(t)
		code, _ := app.finish(app.ask("read", "nonce", "n-42"))
		refused := w.form(t, "/token", "phone", "grant_type", "authorization_code", "code", code, "code_verifier", verifier, "redirect_uri", callback)
		if refused.status != http.StatusBadRequest || refused.text("error") != "invalid_grant" {
			t.Errorf("with a redirect URI the code is answered with %d %v", refused.status, refused.body)
		}
		tokens := app.redeem(code)
		if tokens.text("auth_session") != "" {
			t.Error("an app that answers challenges itself is given another auth_session")
		}
		want(t, "the API", w.call(t, api+"/", tokens.text("access_token")).status, http.StatusOK)
		claims := claimsOf(t, tokens.text("id_token"))
		if claims["nonce"] != "n-42" || claims["sub"] != w.alice.ID || claims["aud"] != "phone" {
			t.Errorf("the ID token says %v", claims)
		}
		second := w.refresh(t, "phone", tokens.text("refresh_token"))
		want(t, "refresh", second.status, http.StatusOK)
		replayed := w.form(t, "/token", "phone", "grant_type", "authorization_code", "code", code, "code_verifier", verifier)
		want(t, "the code again", replayed.status, http.StatusBadRequest)
		w.settle(t)
		want(t, "the API after that", w.call(t, api+"/", second.text("access_token")).status, http.StatusUnauthorized)
	})
}

// claimsOf reads a token without verifying it.
func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	must(t, err)
	var claims map[string]any
	must(t, json.Unmarshal(raw, &claims))
	return claims
}

// A resource server says what is missing (RFC 9470), the app asks for just that, and comes back with it.
func TestAppStepsUpForAResource(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		app := w.phone(t)
		code, _ := app.finish(app.ask("read"))
		token := app.redeem(code).text("access_token")
		refused := w.call(t, api+"/gold", token)
		want(t, "too weak a token", refused.status, http.StatusUnauthorized)
		if c := refused.header.Get("WWW-Authenticate"); !strings.Contains(c, `acr_values="gold"`) {
			t.Fatalf("the challenge is %s", c)
		}
		code, more := app.finish(app.ask("read", "acr_values", "gold"))
		if diff := cmp.Diff([]string{"word"}, more); diff != "" {
			t.Errorf("the app is asked (-want +got):\n%s", diff)
		}
		strong := app.redeem(code).text("access_token")
		want(t, "the stronger token", w.call(t, api+"/gold", strong).status, http.StatusOK)
		want(t, "the weaker one still", w.call(t, api+"/gold", token).status, http.StatusUnauthorized)
	})
}

// The browser and the app that it logged in have one security context: what one proves the other has, and it ends for both.
func TestOneContextForBrowserAndApp(t *testing.T) {
	for _, end := range []struct {
		name string
		do   func(t *testing.T, w *world, b *browser)
	}{
		{"logout", func(t *testing.T, _ *world, b *browser) {
			b.get(web1 + "/")
			b.do(http.MethodPost, web1+"/_gatehouse/logout", map[string][]string{})
		}},
		{"lock", func(t *testing.T, w *world, _ *browser) {
			_, err := w.users.Lock(t.Context(), w.alice.ID, "a test")
			must(t, err)
		}},
		{"revocation", func(t *testing.T, w *world, _ *browser) {
			_, err := w.store.Revoke(t.Context(), authz.KindSubject, w.alice.ID)
			must(t, err)
		}},
	} {
		t.Run(end.name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				b, tokens := w.tokens(t, "phone")
				app := &phone{t: t, w: w, held: tokens.text("auth_session")}
				code, more := app.finish(app.ask("pay"))
				if diff := cmp.Diff([]string{"word"}, more); diff != "" {
					t.Errorf("the app is asked (-want +got):\n%s", diff)
				}
				native := app.redeem(code)
				if p := b.get(authorize("app", "scope", "pay", "prompt", "none")); p.url.Query().Get("code") == "" {
					t.Errorf("the browser has to prove what the app has: %s", p.url)
				}
				w.clock.Advance(time.Second)
				end.do(t, w, b)
				w.settle(t)
				w.clock.Advance(time.Second)
				for name, a := range map[string]answer{"browser's": tokens, "app's": native} {
					want(t, "the "+name+" token", w.call(t, api+"/", a.text("access_token")).status, http.StatusUnauthorized)
					want(t, "the "+name+" refresh", w.refresh(t, "phone", a.text("refresh_token")).status, http.StatusBadRequest)
				}
				again := app.ask("pay")
				if diff := cmp.Diff([]string{"password"}, slices.Sorted(maps.Keys(app.challenges(again)))); diff != "" {
					t.Errorf("afterwards the app is asked (-want +got):\n%s", diff)
				}
				locked := app.give(map[string]map[string]string{"password": right["password"][0]})
				if end.name == "lock" {
					challenge, _ := locked.body["challenges"].(map[string]any)["password"].(map[string]any)
					if challenge["failure"] == nil || len(locked.text("authorization_code")) > 0 {
						t.Errorf("somebody who is locked is told %v", locked.body)
					}
					return
				}
				if _, more := app.finish(locked); !slices.Equal(more, []string{"word"}) {
					t.Errorf("and then for %v", more)
				}
			})
		})
	}
}

// handOver pushes a request with the app's session, and returns where a browser opens it.
func (p *phone) handOver(scope string) string {
	p.t.Helper()
	a := p.w.form(p.t, authz.PathPushed, "phone", "auth_session", p.held, "response_type", "code", "scope", "openid "+scope,
		"redirect_uri", callback, "state", "s", "code_challenge", oauth.Challenge(verifier), "code_challenge_method", "S256")
	want(p.t, "the pushed request", a.status, http.StatusCreated)
	return issuer + authz.PathAuthorize + "?" + url.Values{"client_id": {"phone"}, "request_uri": {a.text("request_uri")}}.Encode()
}

// From the app to the browser and back: each asks for what neither has proven while it is fresh, on any node, and for nothing else.
// What ends it ends it for both.
func TestFromTheAppToTheBrowserAndBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		app := w.phone(t)
		code, _ := app.finish(app.ask("read"))
		tokens := app.redeem(code)
		b := w.browser(t)
		address := app.handOver("read")
		p := b.get(address)
		if p.url.Path != authz.PathContinue || !strings.Contains(p.body, "Continue as") {
			t.Fatalf("the browser is at %s:\n%s", p.url, p.body)
		}
		if p := b.get(authorize("app", "prompt", "none")); p.url.Query().Get("error") != "login_required" {
			t.Errorf("the browser is signed in before the answer: %s", p.url)
		}
		if p = b.submit(p, "decision", "allow"); p.url.Query().Get("code") == "" {
			t.Fatalf("the browser is at %s:\n%s", p.url, p.body)
		}
		if again := w.browser(t).get(address); again.status != http.StatusBadRequest {
			t.Errorf("another browser opens it as well: %d at %s", again.status, again.url)
		}
		if p := b.get(authorize("app", "prompt", "none")); p.url.Query().Get("code") == "" {
			t.Errorf("the browser has to prove what the app has: %s", p.url)
		}
		if _, more := b.finish(b.get(authorize("app", "scope", "pay"))); !slices.Equal(more, []string{"word"}) {
			t.Errorf("the browser is asked %v, want the word", more)
		}
		code, more := app.finish(app.ask("pay"))
		if len(more) > 0 {
			t.Errorf("the app has to prove what the browser has: %v", more)
		}
		strong := app.redeem(code)
		if a, b := claimsOf(t, strong.text("access_token"))["sid"], claimsOf(t, tokens.text("access_token"))["sid"]; a != b || a == nil {
			t.Errorf("the session is %v and was %v", a, b)
		}
		dead := app.handOver("read")

		w.clock.Advance(time.Second)
		b.get(web1 + "/")
		b.do(http.MethodPost, web1+"/_gatehouse/logout", map[string][]string{})
		w.settle(t)
		w.clock.Advance(time.Second)
		for name, a := range map[string]answer{"first": tokens, "second": strong} {
			want(t, "the "+name+" token", w.call(t, api+"/", a.text("access_token")).status, http.StatusUnauthorized)
		}
		if p := w.browser(t).get(dead); p.status != http.StatusBadRequest {
			t.Errorf("a session that has ended is handed over: %d at %s", p.status, p.url)
		}
	})
}

// The same with the client package, as an app would: what the browser comes back with are tokens of the same session.
func TestHandoverWithTheClient(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		app, err := client.New(client.Config{
			Issuer: issuer, ClientID: "phone", Scopes: []string{"openid", "read"}, HTTP: &http.Client{Transport: w}, Now: w.clock.Now,
			Handlers: map[string]client.Handler{
				"password": client.HandlerFunc(func(context.Context, client.Challenge) (map[string]string, error) { return right["password"][0], nil }),
			},
		})
		must(t, err)
		tokens, err := app.Authorize(t.Context(), client.Request{})
		must(t, err)
		b := w.browser(t)
		for _, decision := range []string{"deny", "allow"} {
			h, err := app.HandOver(t.Context(), client.Request{}, callback)
			must(t, err)
			back := b.submit(b.get(h.URL), "decision", decision)
			more, err := app.Finish(t.Context(), h, back.url.String())
			if decision == "deny" {
				if e := (*client.Error)(nil); !errors.As(err, &e) || e.Code != "access_denied" {
					t.Errorf("after a no: %v", err)
				}
				continue
			}
			must(t, err)
			if a, b := claimsOf(t, more.Access)["sid"], claimsOf(t, tokens.Access)["sid"]; a != b || a == nil {
				t.Errorf("the session is %v and was %v", a, b)
			}
		}
		_, err = app.Authorize(t.Context(), client.Request{}) // it goes on with what it holds
		must(t, err)
	})
}

// People see the app's session among their others, and end it there.
func TestAppOnTheAccountPage(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		app := w.phone(t)
		code, _ := app.finish(app.ask("read"))
		tokens := app.redeem(code)
		p, err := w.next().server.AccessValidator().Inspect(t.Context(), tokens.text("access_token"))
		must(t, err)
		b, _ := w.tokens(t, "app")
		page := b.get(issuer + "/account")
		if !strings.Contains(page.body, `name="end_session" value="`+p.SessionID+`"`) {
			t.Fatalf("the app's session is not on the page:\n%s", page.body)
		}
		b.submit(page, "end_session", p.SessionID)
		w.settle(t)
		want(t, "the app's token", w.call(t, api+"/", tokens.text("access_token")).status, http.StatusUnauthorized)
		again := app.ask("read")
		if names := slices.Collect(maps.Keys(app.challenges(again))); !slices.Equal(names, []string{"password"}) {
			t.Errorf("afterwards the app is asked for %v", names)
		}
		if page := b.get(issuer + "/account"); page.status != http.StatusOK {
			t.Errorf("the browser's own session is %d", page.status)
		}
	})
}

// An auth_session is for the client it was given to, and a client that is not native is given none.
func TestAuthSessionsOfOtherClients(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, tokens := w.tokens(t, "app")
		if tokens.text("auth_session") != "" {
			t.Error("an app that is not native is given an auth_session")
		}
		app := w.phone(t)
		app.ask("read")
		for _, client := range []string{"app", "public", "machine"} {
			a := w.form(t, authz.PathChallenge, client, "auth_session", app.held, "answers", "{}")
			if a.status != http.StatusBadRequest || a.text("error") != "unauthorized_client" {
				t.Errorf("%s is told %d %v", client, a.status, a.body)
			}
		}
	})
}

// The metadata names the endpoint where apps find it (draft-ietf-oauth-first-party-apps-04, 8).
func TestChallengeEndpointIsAdvertised(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer+"/.well-known/oauth-authorization-server", nil)
		must(t, err)
		if got := w.send(t, r).text("authorization_challenge_endpoint"); got != issuer+authz.PathChallenge {
			t.Errorf("the endpoint is %q", got)
		}
	})
}
