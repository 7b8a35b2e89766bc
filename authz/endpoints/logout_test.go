// SPDX-License-Identifier: Apache-2.0

package endpoints_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// visitor is a browser at the logout endpoint.
type visitor struct {
	w       *world
	cookies []*http.Cookie
}

func (v *visitor) request(t *testing.T, method string, values url.Values) *httptest.ResponseRecorder {
	t.Helper()
	r := get(t, authz.PathLogout+"?"+values.Encode())
	if method == http.MethodPost {
		r = post(t, authz.PathLogout, values)
	}
	for _, c := range v.cookies {
		r.AddCookie(c)
	}
	a := v.w.send(t, r)
	for _, c := range a.Result().Cookies() {
		if c.MaxAge >= 0 {
			v.cookies = append(v.cookies, c)
		}
	}
	return a
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// fields returns the hidden fields of a page's form.
func fields(page string) url.Values {
	values := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(page, -1) {
		values.Set(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	return values
}

// asks reports whether an answer is the page that asks.
func asks(a *httptest.ResponseRecorder) bool {
	return a.Code == 200 && fields(a.Body.String()).Get(session.FieldStep) != "" && strings.Contains(a.Body.String(), web.DecisionDeny)
}

func (w *world) live(t *testing.T, id string) bool {
	t.Helper()
	_, err := w.store.Session(t.Context(), id)
	return err == nil
}

func TestRPLogout(t *testing.T) {
	t.Parallel()
	t.Run("2 endpoint: a hint of the current session ends it without a question", func(t *testing.T) {
		t.Parallel()
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			w := newWorld(t)
			s, cookie := w.login(t, "usr_1")
			got := w.issue(t, "app", s, "openid")
			v := &visitor{w, []*http.Cookie{cookie}}
			a := v.request(t, method, url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {signedOut}, "state": {"a+b&c=d %"}})
			if a.Code != http.StatusSeeOther || a.Header().Get("Location") != signedOut+"&state=a%2Bb%26c%3Dd+%25" ||
				a.Header().Get("Cache-Control") != "no-store" || a.Header().Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%s: %d %v", method, a.Code, a.Header())
			}
			if w.live(t, s.ID) || w.active(t, "api", got.Access) || w.userinfo(t, got.Access).Code != 401 {
				t.Errorf("%s: something of the session lives", method)
			}
			if w.redeemRefresh(t, got.Refresh).Code != 400 {
				t.Errorf("%s: the refresh token lives", method)
			}
			if c := a.Result().Cookies(); len(c) != 1 || c[0].Name != cookie.Name || c[0].MaxAge >= 0 {
				t.Errorf("%s: the cookie is not taken: %v", method, c)
			}
			if w.events(t)["session.ended logout"] != 1 {
				t.Errorf("%s: %v", method, w.events(t))
			}
		}
	})
	t.Run("2 hint-validate: an expired hint is accepted", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, cookie := w.login(t, "usr_1")
		got := w.issue(t, "app", s, "openid")
		w.clock.Advance(time.Hour)
		v := &visitor{w, []*http.Cookie{cookie}}
		a := v.request(t, "GET", url.Values{"id_token_hint": {got.ID}})
		if a.Code != 200 || w.live(t, s.ID) || !strings.Contains(html.UnescapeString(a.Body.String()), signedOut) {
			t.Errorf("%d, session lives: %v: %s", a.Code, w.live(t, s.ID), a.Body)
		}
		events, err := w.trail.List(t.Context(), time.Time{}, 0)
		check(t, err)
		last := events[len(events)-1]
		if last.Name != "session.ended" || last.SessionID != s.ID || last.Subject != "usr_1" || last.ClientID != "app" ||
			last.ClientIP != "192.0.2.1" || last.RequestID != "req-1" {
			t.Errorf("%+v", last)
		}
	})
	t.Run("2 ask-user: without a hint of the current session", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, cookie := w.login(t, "usr_1")
		earlier, _ := w.login(t, "usr_1")
		stranger, _ := w.login(t, "usr_2")
		got := w.issue(t, "app", s, "openid")
		for name, values := range map[string]url.Values{
			"nothing":                    {},
			"client_id":                  {"client_id": {"app"}},
			"client_id and redirect":     {"client_id": {"app"}, "post_logout_redirect_uri": {signedOut}},
			"hint of an earlier session": {"id_token_hint": {w.issue(t, "app", earlier, "openid").ID}},
			"hint of another user":       {"id_token_hint": {w.issue(t, "app", stranger, "openid").ID}},
			"nonsense as a hint":         {"id_token_hint": {"nonsense"}},
			"access token as a hint":     {"id_token_hint": {got.Access}},
			"tampered hint":              {"id_token_hint": {got.ID[:len(got.ID)-6] + "AAAAAA"}},
			"hint of another issuer":     {"id_token_hint": {foreignHint(t, w, s)}},
			"logout_hint":                {"logout_hint": {"usr_1"}},
		} {
			for _, method := range []string{"GET", "POST"} {
				v := &visitor{w, []*http.Cookie{cookie}}
				if a := v.request(t, method, values); !asks(a) || !w.live(t, s.ID) {
					t.Errorf("%s, %s: %d %v", name, method, a.Code, a.Header())
				}
			}
		}
	})
	t.Run("2 ask-user: yes", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, cookie := w.login(t, "usr_1")
		got := w.issue(t, "app", s, "openid")
		v := &visitor{w, []*http.Cookie{cookie}}
		page := v.request(t, "GET", url.Values{"client_id": {"app"}, "post_logout_redirect_uri": {signedOut}, "state": {"xyz"}, "ui_locales": {"nl"}})
		if !strings.Contains(page.Body.String(), "The app") || !strings.Contains(page.Body.String(), "Zoë") || page.Header().Get("Content-Language") != "nl" {
			t.Errorf("the page does not say who leaves what: %s", page.Body)
		}
		if csp := page.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://app.example.com") {
			t.Errorf("the form cannot lead back: %s", csp)
		}
		form := fields(page.Body.String())
		form.Set(web.DecisionField, web.DecisionAllow)
		a := v.request(t, "POST", form)
		if a.Code != http.StatusSeeOther || a.Header().Get("Location") != signedOut+"&state=xyz" || w.live(t, s.ID) || w.active(t, "api", got.Access) {
			t.Errorf("%d %v", a.Code, a.Header())
		}
	})
	t.Run("2 ask-user: no", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, cookie := w.login(t, "usr_1")
		v := &visitor{w, []*http.Cookie{cookie}}
		form := fields(v.request(t, "GET", url.Values{"client_id": {"app"}, "post_logout_redirect_uri": {signedOut}}).Body.String())
		for _, decision := range []string{web.DecisionDeny, "", "x"} {
			form.Set(web.DecisionField, decision)
			if a := v.request(t, "POST", form); a.Code != http.StatusSeeOther || a.Header().Get("Location") != issuer+authz.PathAccount || !w.live(t, s.ID) {
				t.Errorf("%q: %d %v", decision, a.Code, a.Header())
			}
		}
	})
	t.Run("2 ask-user: a form that was not made for this session does nothing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, cookie := w.login(t, "usr_1")
		other, otherCookie := w.login(t, "usr_1")
		v := &visitor{w, []*http.Cookie{cookie}}
		form := fields(v.request(t, "GET", url.Values{}).Body.String())
		form.Set(web.DecisionField, web.DecisionAllow)
		forged := url.Values{session.FieldStep: {"x"}, web.DecisionField: {web.DecisionAllow}}
		browser := v.cookies[1]
		for name, attempt := range map[string]struct {
			cookies []*http.Cookie
			form    url.Values
		}{
			"forged token":    {[]*http.Cookie{cookie, browser}, forged},
			"another browser": {[]*http.Cookie{cookie}, form},
			"another session": {[]*http.Cookie{otherCookie, browser}, form},
		} {
			other := &visitor{w, attempt.cookies}
			if a := other.request(t, "POST", attempt.form); a.Code != http.StatusForbidden || a.Header().Get("Location") != "" {
				t.Errorf("%s: %d %v", name, a.Code, a.Header())
			}
		}
		if !w.live(t, s.ID) || !w.live(t, other.ID) {
			t.Error("a session ended")
		}
	})
	t.Run("2 client-match", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, cookie := w.login(t, "usr_1")
		got := w.issue(t, "app", s, "openid")
		v := &visitor{w, []*http.Cookie{cookie}}
		wantPage(t, v.request(t, "GET", url.Values{"id_token_hint": {got.ID}, "client_id": {"web"}}), 400)
		wantPage(t, v.request(t, "GET", url.Values{"client_id": {"nobody"}}), 400)
		if !w.live(t, s.ID) {
			t.Error("the session ended")
		}
		a := v.request(t, "GET", url.Values{"id_token_hint": {got.ID}, "client_id": {"app"}, "post_logout_redirect_uri": {signedOut}})
		if a.Code != http.StatusSeeOther || a.Header().Get("Location") != signedOut || w.live(t, s.ID) {
			t.Errorf("the hint's own client: %d %v", a.Code, a.Header())
		}
	})
	t.Run("2 ask-user: a link with the form's fields does nothing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, cookie := w.login(t, "usr_1")
		v := &visitor{w, []*http.Cookie{cookie}}
		form := fields(v.request(t, "GET", url.Values{}).Body.String())
		form.Set(web.DecisionField, web.DecisionAllow)
		if a := v.request(t, "GET", form); !asks(a) || !w.live(t, s.ID) {
			t.Errorf("%d %v", a.Code, a.Header())
		}
	})
	t.Run("3 redirect-exact", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, cookie := w.login(t, "usr_1")
		got := w.issue(t, "app", s, "openid")
		v := &visitor{w, []*http.Cookie{cookie}}
		for _, uri := range []string{
			signedOut + "/", signedOut + "&x=1", "https://app.example.com/out", "https://APP.example.com/out?from=us", "https://evil.example/",
			"//evil.example", "https://app.example.com/cb", "javascript:alert(1)",
		} {
			wantPage(t, v.request(t, "GET", url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {uri}}), 400)
		}
		// Nobody says whose it is.
		wantPage(t, v.request(t, "GET", url.Values{"post_logout_redirect_uri": {signedOut}}), 400)
		wantPage(t, v.request(t, "GET", url.Values{"id_token_hint": {"nonsense"}, "post_logout_redirect_uri": {signedOut}}), 400)
		if !w.live(t, s.ID) {
			t.Error("the session ended")
		}
	})
	t.Run("4 errors", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		r := get(t, authz.PathLogout+"?state=a&state=b")
		wantPage(t, w.send(t, r), 400)
		wantPage(t, w.send(t, httptest.NewRequestWithContext(t.Context(), "PUT", authz.PathLogout, nil)), 405)
		wantPage(t, w.send(t, httptest.NewRequestWithContext(t.Context(), "HEAD", authz.PathLogout, nil)), 405)
		r = httptest.NewRequestWithContext(t.Context(), "POST", authz.PathLogout, strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		wantPage(t, w.send(t, r), 415)
	})
}

func foreignHint(t *testing.T, w *world, s authz.Session) string {
	t.Helper()
	other, err := tokens.New(tokens.Config{Issuer: "https://other.example.com", Keys: w.ring, Now: w.clock.Now})
	check(t, err)
	grant := authz.Grant{ID: "gra", Subject: s.Subject, SessionID: s.ID}
	raw, err := other.ID(tokens.ID{Client: clients()[0], Grant: &grant})
	check(t, err)
	return raw
}

// wantPage checks that an error is told on a page and leads nowhere.
func wantPage(t *testing.T, a *httptest.ResponseRecorder, status int) {
	t.Helper()
	if a.Code != status || a.Header().Get("Location") != "" || !strings.HasPrefix(a.Header().Get("Content-Type"), "text/html") {
		t.Errorf("want a page with %d: %d %v", status, a.Code, a.Header())
	}
	if !strings.Contains(a.Header().Get("Cache-Control"), "no-store") {
		t.Errorf("the page may be kept: %v", a.Header())
	}
}

func (w *world) redeemRefresh(t *testing.T, token string) *httptest.ResponseRecorder {
	t.Helper()
	recorder := httptest.NewRecorder()
	w.grants.ServeHTTP(recorder, post(t, authz.PathToken, url.Values{
		"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {token},
	}))
	return recorder
}

// TestLogoutWithoutOurCookie is an application that posts from its own site: the browser keeps our cookie back, and the hint
// alone says which session to end.
func TestLogoutWithoutOurCookie(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, _ := w.login(t, "usr_1")
	got := w.issue(t, "app", s, "openid")
	v := &visitor{w: w}
	a := v.request(t, "POST", url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {signedOut}})
	if a.Code != http.StatusSeeOther || a.Header().Get("Location") != signedOut || w.live(t, s.ID) || w.active(t, "api", got.Access) {
		t.Errorf("%d %v", a.Code, a.Header())
	}
	a = v.request(t, "POST", url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {signedOut}}) // again: it is over
	if a.Code != http.StatusSeeOther || w.events(t)["session.ended logout"] != 1 {
		t.Errorf("%d %v", a.Code, w.events(t))
	}
}

func TestNobodyIsSignedIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := &visitor{w: w}
	for name, test := range map[string]struct {
		values url.Values
		link   string
	}{
		"nothing":                {url.Values{}, ""},
		"client_id":              {url.Values{"client_id": {"app"}}, signedOut},
		"client without a page":  {url.Values{"client_id": {"nowhere"}}, ""},
		"client_id and redirect": {url.Values{"client_id": {"app"}, "post_logout_redirect_uri": {signedOut}, "state": {"x"}}, signedOut + "&state=x"},
		"a protected site":       {url.Values{"client_id": {authz.SiteClientID("https://site.example.com")}}, "https://site.example.com/"},
	} {
		a := v.request(t, "GET", test.values)
		if a.Code != 200 || a.Header().Get("Location") != "" || asks(a) {
			t.Errorf("%s: %d %v", name, a.Code, a.Header())
		}
		if body := html.UnescapeString(a.Body.String()); test.link != "" && !strings.Contains(body, test.link) {
			t.Errorf("%s: no way back to %s: %s", name, test.link, body)
		}
	}
	if len(w.events(t)) != 0 {
		t.Errorf("%v", w.events(t))
	}
}

func TestLogoutWithABrokenStore(t *testing.T) {
	t.Parallel()
	for _, op := range []storagetest.Op{storagetest.OnView, storagetest.OnUpdate, storagetest.OnCommit, storagetest.OnReply} {
		w := newWorld(t)
		s, cookie := w.login(t, "usr_1")
		got := w.issue(t, "app", s, "openid")
		w.db.Inject(storagetest.Fault{Op: op, Err: storage.ErrClosed})
		v := &visitor{w, []*http.Cookie{cookie}}
		a := v.request(t, "GET", url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {signedOut}})
		wantPage(t, a, 503)
		w.db.Clear()
		if op != storagetest.OnReply && !w.live(t, s.ID) {
			t.Errorf("%v: the session ended", op)
		}
		if len(a.Result().Cookies()) != 0 {
			t.Errorf("%v: the cookie was taken though the session may live", op)
		}
	}
}

func TestLogoutThatFailsOnceIsNotClaimed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, cookie := w.login(t, "usr_1")
	got := w.issue(t, "app", s, "openid")
	w.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Nth: 1, Err: storage.ErrConflict})
	v := &visitor{w, []*http.Cookie{cookie}}
	a := v.request(t, "GET", url.Values{"id_token_hint": {got.ID}})
	wantPage(t, a, 503)
	if !w.live(t, s.ID) || len(a.Result().Cookies()) != 0 || w.events(t)["session.ended logout"] != 0 {
		t.Error("what did not happen is told as done")
	}
}

func TestLogoutThatIsNotOnTheTrail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, cookie := w.login(t, "usr_1")
	got := w.issue(t, "app", s, "openid")
	w.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Nth: 2, Err: storage.ErrClosed})
	v := &visitor{w, []*http.Cookie{cookie}}
	wantPage(t, v.request(t, "GET", url.Values{"id_token_hint": {got.ID}}), 503)
	if w.active(t, "api", got.Access) {
		t.Error("the session ended in the store and goes on at the gates")
	}
}

func TestHintedSessionOutOfReach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, _ := w.login(t, "usr_1")
	got := w.issue(t, "app", s, "openid")
	w.db.Inject(storagetest.Fault{Op: storagetest.OnView, Err: storage.ErrClosed})
	wantPage(t, (&visitor{w: w}).request(t, "POST", url.Values{"id_token_hint": {got.ID}}), 503)
	w.db.Clear()
	if !w.live(t, s.ID) {
		t.Error("the session ended")
	}
}

func TestHintOfNoSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, cookie := w.login(t, "usr_1")
	grant := authz.Grant{ID: "gra", Subject: "usr_1"}
	raw, err := w.tokens.ID(tokens.ID{Client: clients()[0], Grant: &grant})
	check(t, err)
	other := grant
	other.Subject, other.SessionID = "usr_2", s.ID
	mixed, err := w.tokens.ID(tokens.ID{Client: clients()[0], Grant: &other})
	check(t, err)
	for _, hint := range []string{raw, mixed} {
		a := (&visitor{w: w}).request(t, "POST", url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {signedOut}})
		if a.Code != http.StatusSeeOther || !w.live(t, s.ID) {
			t.Errorf("without a cookie: %d, session lives: %v", a.Code, w.live(t, s.ID))
		}
		if a := (&visitor{w, []*http.Cookie{cookie}}).request(t, "GET", url.Values{"id_token_hint": {hint}}); !asks(a) {
			t.Errorf("with the cookie: %d", a.Code)
		}
	}
}

func TestTheSessionEndsWhileThePersonIsAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, cookie := w.login(t, "usr_1")
	v := &visitor{w, []*http.Cookie{cookie}}
	form := fields(v.request(t, "GET", url.Values{"client_id": {"app"}}).Body.String())
	form.Set(web.DecisionField, web.DecisionAllow)
	_, err := w.store.EndSession(t.Context(), s.ID)
	check(t, err)
	if a := v.request(t, "POST", form); a.Code != 200 || asks(a) || !strings.Contains(a.Body.String(), "The app") {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if len(w.events(t)) != 0 {
		t.Errorf("%v", w.events(t))
	}
}

func TestPagesOfLogoutAreGuarded(t *testing.T) { // RFC 9700 4.16
	t.Parallel()
	w := newWorld(t)
	_, cookie := w.login(t, "usr_1")
	v := &visitor{w, []*http.Cookie{cookie}}
	for _, a := range []*httptest.ResponseRecorder{v.request(t, "GET", url.Values{}), w.send(t, get(t, authz.PathLogout))} {
		h := a.Header()
		if !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("X-Frame-Options") == "" ||
			h.Get("Access-Control-Allow-Origin") != "" || h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%v", h)
		}
	}
}
