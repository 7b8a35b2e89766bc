// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// tokens walks a person and an application to tokens.
func (w *world) tokens(t *testing.T, client string, more ...string) (*browser, answer) {
	t.Helper()
	b := w.browser(t)
	p := b.login(b.get(authorize(client, more...)))
	if strings.Contains(p.body, `name="decision"`) {
		p = b.submit(p, "decision", "allow")
	}
	if p.url.Query().Get("code") == "" {
		t.Fatalf("no code at %s:\n%s", p.url, p.body)
	}
	a := w.redeem(t, client, p)
	if a.status != http.StatusOK {
		t.Fatalf("no tokens: %d %v", a.status, a.body)
	}
	return b, a
}

func want(t *testing.T, what string, got, status int) {
	t.Helper()
	if got != status {
		t.Errorf("%s: status %d, want %d", what, got, status)
	}
}

func TestPersonLandsOnThePageThatWasAskedFor(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser(t)
		p := b.login(b.get(web1 + "/deep?link=1"))
		if p.url.String() != web1+"/deep?link=1" || p.body != "hello "+w.alice.ID+" password" {
			t.Fatalf("landed on %s: %s", p.url, p.body)
		}
		// An application in the same browser asks nobody anything.
		if p := b.get(authorize("app", "prompt", "none")); p.url.Query().Get("code") == "" {
			t.Errorf("single sign-on came to %s", p.url)
		}
		p = b.do(http.MethodPost, web1+"/_gatehouse/logout", map[string][]string{})
		want(t, "signed out", p.status, http.StatusOK)
		w.settle(t)
		if p := b.get(web1 + "/deep"); !strings.HasPrefix(p.url.String(), issuer+"/login") {
			t.Errorf("after logging out the browser is at %s: %s", p.url, p.body)
		}
		if p := b.get(authorize("app", "prompt", "none")); p.url.Query().Get("error") != "login_required" {
			t.Errorf("after logging out an application is told %s", p.url)
		}
	})
}

func TestAppRefreshesAndIsRevoked(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, first := w.tokens(t, "app")
		want(t, "the API", w.call(t, api+"/", first.text("access_token")).status, http.StatusOK)
		too := w.call(t, api+"/pay", first.text("access_token"))
		want(t, "too little scope", too.status, http.StatusForbidden)
		if c := too.header.Get("WWW-Authenticate"); !strings.Contains(c, `error="insufficient_scope"`) || !strings.Contains(c, `scope="pay"`) {
			t.Errorf("the challenge is %s", c)
		}
		second := w.refresh(t, "app", first.text("refresh_token"))
		want(t, "refresh", second.status, http.StatusOK)
		if second.text("refresh_token") == first.text("refresh_token") {
			t.Error("the refresh token was not rotated")
		}
		want(t, "revoke", w.form(t, "/revoke", "app", "token", second.text("refresh_token")).status, http.StatusOK)
		w.settle(t)
		for name, token := range map[string]string{"first": first.text("access_token"), "second": second.text("access_token")} {
			want(t, name+" token", w.call(t, api+"/", token).status, http.StatusUnauthorized)
		}
		want(t, "refresh", w.refresh(t, "app", second.text("refresh_token")).status, http.StatusBadRequest)
	})
}

func TestStolenRefreshTokenEndsTheFamily(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, first := w.tokens(t, "public")
		stolen := first.text("refresh_token")
		second := w.refresh(t, "public", stolen)
		again := w.refresh(t, "public", stolen)
		if again.status != http.StatusOK || again.text("refresh_token") != second.text("refresh_token") {
			t.Errorf("within the grace window: %d %v", again.status, again.body)
		}
		w.clock.Advance(11 * time.Second)
		reused := w.refresh(t, "public", stolen)
		if reused.status != http.StatusBadRequest || reused.text("error") != "invalid_grant" {
			t.Errorf("reuse: %d %v", reused.status, reused.body)
		}
		w.settle(t)
		want(t, "the owner's refresh", w.refresh(t, "public", second.text("refresh_token")).status, http.StatusBadRequest)
		want(t, "the owner's token", w.call(t, api+"/", second.text("access_token")).status, http.StatusUnauthorized)
	})
}

func TestReplayedCodeRevokesWhatItIssued(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser(t)
		p := b.login(b.get(authorize("app")))
		first := w.redeem(t, "app", p)
		want(t, "first", first.status, http.StatusOK)
		want(t, "second", w.redeem(t, "app", p).status, http.StatusBadRequest)
		w.settle(t)
		want(t, "the token of the first", w.call(t, api+"/", first.text("access_token")).status, http.StatusUnauthorized)
	})
}

func TestOneCodeManyRedeemers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser(t)
		p := b.login(b.get(authorize("app")))
		var mu sync.Mutex
		var group sync.WaitGroup
		won := 0
		for range 16 {
			group.Go(func() {
				if w.redeem(t, "app", p).status == http.StatusOK {
					mu.Lock()
					defer mu.Unlock()
					won++
				}
			})
		}
		group.Wait()
		if won != 1 {
			t.Errorf("%d redemptions succeeded", won)
		}
	})
}

func TestStepUpAddsTheSecondFactorAndComesBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser(t)
		b.login(b.get(web1 + "/"))
		p := b.get(web1 + "/pay")
		if !strings.Contains(p.body, `name="word"`) {
			t.Fatalf("the second factor is not asked for at %s:\n%s", p.url, p.body)
		}
		p = b.submit(p, "word", "wrong")
		if !strings.Contains(p.body, `name="word"`) {
			t.Fatalf("a wrong word leads to %s", p.url)
		}
		p = b.submit(p, "word", "please")
		if p.url.String() != web1+"/pay" || p.body != "hello "+w.alice.ID+" gold" {
			t.Fatalf("landed on %s: %s", p.url, p.body)
		}
		w.clock.Advance(6 * time.Minute)
		if p := b.get(web1 + "/"); p.status != http.StatusOK || !strings.HasPrefix(p.body, "hello") {
			t.Errorf("what needs the password alone leads to %s", p.url)
		}
		if p := b.get(web1 + "/pay"); !strings.Contains(p.body, `name="word"`) {
			t.Errorf("a stale second factor leads to %s: %s", p.url, p.body)
		}
	})
}

func TestRFC9470StepUpOfAnApp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b, first := w.tokens(t, "app")
		refused := w.call(t, api+"/gold", first.text("access_token"))
		want(t, "too weak", refused.status, http.StatusUnauthorized)
		if c := refused.header.Get("WWW-Authenticate"); !strings.Contains(c, `error="insufficient_user_authentication"`) || !strings.Contains(c, `acr_values="gold"`) {
			t.Errorf("the challenge is %s", c)
		}
		p := b.submit(b.get(authorize("app", "acr_values", "gold")), "word", "please")
		second := w.redeem(t, "app", p)
		want(t, "strong enough", w.call(t, api+"/gold", second.text("access_token")).status, http.StatusOK)
		w.clock.Advance(4 * time.Minute)
		third := w.refresh(t, "app", second.text("refresh_token"))
		want(t, "refreshed", w.call(t, api+"/gold", third.text("access_token")).status, http.StatusOK)
		w.clock.Advance(2 * time.Minute)
		fourth := w.refresh(t, "app", third.text("refresh_token"))
		want(t, "refreshing proves nothing anew", w.call(t, api+"/gold", fourth.text("access_token")).status, http.StatusUnauthorized)
	})
}

func TestLockedUserIsOutEverywhereAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b, tokens := w.tokens(t, "app", "scope", "openid read offline_access")
		b.get(web1 + "/")
		_, err := w.users.Lock(t.Context(), w.alice.ID, "lost phone")
		must(t, err)
		w.settle(t)
		want(t, "gate", w.call(t, api+"/", tokens.text("access_token")).status, http.StatusUnauthorized)
		want(t, "userinfo", w.call(t, issuer+"/userinfo", tokens.text("access_token")).status, http.StatusUnauthorized)
		want(t, "refresh", w.refresh(t, "app", tokens.text("refresh_token")).status, http.StatusBadRequest)
		if a := w.form(t, "/introspect", "machine", "token", tokens.text("access_token")); a.body["active"] != false {
			t.Errorf("introspection says %v", a.body)
		}
		if p := b.get(web1 + "/"); !strings.HasPrefix(p.url.String(), issuer+"/login") {
			t.Errorf("the browser is at %s", p.url)
		}
		p := b.login(b.get(web1 + "/"))
		if strings.HasPrefix(p.url.String(), web1) {
			t.Error("a locked user logged in")
		}
	})
}

func TestOfflineAccessOutlivesTheLogout(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b, online := w.tokens(t, "app")
		offline := w.redeem(t, "app", b.get(authorize("app", "scope", "openid read offline_access")))
		b.get(web1 + "/")
		b.do(http.MethodPost, web1+"/_gatehouse/logout", map[string][]string{})
		w.settle(t)
		want(t, "online token", w.call(t, api+"/", online.text("access_token")).status, http.StatusUnauthorized)
		want(t, "online refresh", w.refresh(t, "app", online.text("refresh_token")).status, http.StatusBadRequest)
		want(t, "offline token", w.call(t, api+"/", offline.text("access_token")).status, http.StatusOK)
		want(t, "offline refresh", w.refresh(t, "app", offline.text("refresh_token")).status, http.StatusOK)
	})
}

func TestConsentIsRememberedAndWithdrawn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b, tokens := w.tokens(t, "other")
		if p := b.get(authorize("other")); p.url.Query().Get("code") == "" {
			t.Errorf("asked again at %s", p.url)
		}
		p := b.get(issuer + "/account")
		if !strings.Contains(p.body, "Somebody else&#39;s app") {
			t.Fatalf("the account page says:\n%s", p.body)
		}
		at := strings.Index(p.body, `name="revoke_grant" value="`)
		id, _, _ := strings.Cut(p.body[at+len(`name="revoke_grant" value="`):], `"`)
		b.submit(p, "revoke_grant", id)
		w.settle(t)
		want(t, "withdrawn token", w.call(t, api+"/", tokens.text("access_token")).status, http.StatusUnauthorized)
		if p := b.get(authorize("other")); !strings.Contains(p.body, `name="decision"`) {
			t.Errorf("not asked again: %s", p.url)
		}
	})
}

func TestUserinfoAndIDToken(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, tokens := w.tokens(t, "app", "scope", "openid profile email")
		info := w.call(t, issuer+"/userinfo", tokens.text("access_token"))
		if info.body["sub"] != w.alice.ID || info.body["name"] != "Alice" || info.body["email"] != "alice@example.com" {
			t.Errorf("userinfo says %v", info.body)
		}
		if tokens.text("id_token") == "" {
			t.Error("there is no ID token")
		}
		narrow := w.refresh(t, "app", tokens.text("refresh_token"), "scope", "openid")
		if info := w.call(t, issuer+"/userinfo", narrow.text("access_token")); info.body["email"] != nil || info.body["sub"] != w.alice.ID {
			t.Errorf("a narrower token says %v", info.body)
		}
		machine := w.form(t, "/token", "machine", "grant_type", "client_credentials", "scope", "read")
		want(t, "userinfo of a machine", w.call(t, issuer+"/userinfo", machine.text("access_token")).status, http.StatusForbidden)
	})
}

func TestTokensDieWithTime(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b, tokens := w.tokens(t, "app")
		w.clock.Advance(5*time.Minute + time.Second)
		want(t, "expired", w.call(t, api+"/", tokens.text("access_token")).status, http.StatusUnauthorized)
		w.clock.Advance(15 * 24 * time.Hour)
		want(t, "idle", w.refresh(t, "app", tokens.text("refresh_token")).status, http.StatusBadRequest)
		if p := b.get(authorize("app", "prompt", "none")); p.url.Query().Get("error") != "login_required" {
			t.Errorf("an old session answers %s", p.url)
		}
	})
}

func TestOtherBrowserCannotFinishALogin(t *testing.T) { // CVE-2022-39222
	each(t, func(t *testing.T, w *world) {
		victim, thief := w.browser(t), w.browser(t)
		begun := thief.get(authorize("app"))
		p := victim.login(begun)
		if p.url.Query().Get("code") != "" {
			t.Errorf("another browser got a code at %s", p.url)
		}
		if p := thief.get(authorize("app", "prompt", "none")); p.url.Query().Get("error") != "login_required" {
			t.Errorf("the first browser is at %s", p.url)
		}
	})
}

func TestSessionChangesItsCookieAtLoginAndStepUp(t *testing.T) { // GHSA-f24x-5g9q-753f
	each(t, func(t *testing.T, w *world) {
		b := w.browser(t)
		seen := map[string]bool{}
		look := func() {
			t.Helper()
			u, err := http.NewRequest(http.MethodGet, issuer, nil)
			must(t, err)
			for _, c := range b.client.Jar.Cookies(u.URL) {
				if strings.Contains(c.Value, "ses_") {
					if seen[c.Value] {
						t.Error("the cookie is the same as before")
					}
					seen[c.Value] = true
				}
			}
		}
		b.login(b.get(authorize("app")))
		look()
		b.submit(b.get(authorize("app", "acr_values", "gold")), "word", "please")
		look()
		b.login(b.get(authorize("app", "prompt", "login")))
		look()
		if len(seen) != 3 {
			t.Errorf("%d cookies were seen", len(seen))
		}
	})
}
