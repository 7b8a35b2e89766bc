// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// The story: log in, and the client gets a code that stands for exactly what was asked and proven.
func TestRFC6749_4_1_CodeFlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	params := faces.Params()
	page := b.Authorize(params)
	wantLogin(t, page)
	page = b.Login(page, faces.AliceLogin)
	result := redeem(t, w, params, page.Code())

	if !strings.HasPrefix(page.Left.String(), params["redirect_uri"]+"?") {
		t.Errorf("the answer went to %v", page.Left)
	}
	answer := page.Answer()
	answer.Del("code")
	if diff := cmp.Diff(url.Values{"iss": {w.Issuer}, "state": {params["state"]}}, answer); diff != "" {
		t.Errorf("unexpected parameters (-want +got):\n%s", diff)
	}
	grant, sid := result.Grant, b.Cookie("session")
	want := authz.Grant{
		ID: grant.ID, ClientID: "portal", Subject: faces.Alice, SessionID: strings.Split(sid, ".")[0],
		Scopes: oauth.Scopes{"openid", "accounts:read"},
		Authn: realm.Authentication{
			Subject: faces.Alice, Name: "Alice", ACR: "silver", AMR: []string{"pwd"}, AuthTime: w.Clock.Now(),
			Realms: grant.Authn.Realms,
		},
		CreatedAt: grant.CreatedAt, ExpiresAt: grant.ExpiresAt,
	}
	if diff := cmp.Diff(want, grant); diff != "" {
		t.Errorf("unexpected grant (-want +got):\n%s", diff)
	}
	if result.Code.Nonce != "n-1" || result.Code.Challenge != params["code_challenge"] {
		t.Errorf("the code carries nonce %q and challenge %q", result.Code.Nonce, result.Code.Challenge)
	}
	if got := grant.ExpiresAt.Sub(grant.CreatedAt); got < result.Code.ExpiresAt.Sub(grant.CreatedAt) {
		t.Errorf("the grant lives %v, less than its code", got)
	}
}

// RFC 6749 3.1.2.4, 4.1.2.1: until client and redirect URI are known to be good, nobody is sent anywhere.
// Somebody who is signed in asks for code after code: each is good, the grants of a client stay bounded, and the gates and
// the log are told which gave way.
func TestGrantsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin) // which is the first grant of the portal
	for range authz.MaxGrants - 1 {
		b.Authorize(faces.Params()).Code()
	}
	if made := w.Applied(); len(made) != 0 {
		t.Fatalf("the gates were told %v", made)
	}
	redeem(t, w, faces.Params(), b.Authorize(faces.Params()).Code())
	made := w.Applied()
	if len(made) != 1 || made[0].Kind != authz.KindGrant || !strings.Contains(w.Log.String(), "ended_grant_id="+made[0].Target) {
		t.Errorf("the gates were told %v", made)
	}
	if grants, err := w.Store.GrantsOf(t.Context(), faces.Alice); err != nil || len(grants) != authz.MaxGrants {
		t.Errorf("there are %d grants (%v)", len(grants), err)
	}
}

func TestRFC6749_3_1_2_4_NoRedirect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		name   string
		params map[string]string
		says   string
	}{
		{"unknown client", faces.Params("client_id", "nobody"), "Unknown app"},
		{"no client", faces.Params("client_id", ""), "Unknown app"},
		{"client id in another case", faces.Params("client_id", "Portal"), "Unknown app"},
		{"client id of a site that is not ours", faces.Params("client_id", "site:https://evil.example"), "Unknown app"},
		{"no redirect URI", faces.Params("redirect_uri", ""), "Unknown destination"},
		{"another client's redirect URI", faces.Params("redirect_uri", "https://third.example.org/cb"), "Unknown destination"},
		{"another path", faces.Params("redirect_uri", "https://portal.example.com/callback/x"), "Unknown destination"},
		{"a slash more", faces.Params("redirect_uri", "https://portal.example.com/callback/"), "Unknown destination"},
		{"path in another case", faces.Params("redirect_uri", "https://portal.example.com/Callback"), "Unknown destination"},
		{"host in another case", faces.Params("redirect_uri", "https://Portal.example.com/callback"), "Unknown destination"},
		{"the default port", faces.Params("redirect_uri", "https://portal.example.com:443/callback"), "Unknown destination"},
		{"an encoded slash", faces.Params("redirect_uri", "https://portal.example.com%2Fcallback"), "Unknown destination"},
		{"a query more", faces.Params("redirect_uri", "https://portal.example.com/callback?a=b"), "Unknown destination"},
		{"a query less", faces.Params("redirect_uri", "https://portal.example.com/other"), "Unknown destination"},
		{"a fragment", faces.Params("redirect_uri", "https://portal.example.com/callback#x"), "Unknown destination"},
		{"user information", faces.Params("redirect_uri", "https://portal.example.com@evil.example/callback"), "Unknown destination"},
		{"a backslash", faces.Params("redirect_uri", `https://evil.example\@portal.example.com/callback`), "Unknown destination"},
		{"plain http", faces.Params("redirect_uri", "http://portal.example.com/callback"), "Unknown destination"},
		{"no scheme", faces.Params("redirect_uri", "//portal.example.com/callback"), "Unknown destination"},
		{"a script", faces.Params("redirect_uri", "javascript:alert(1)//portal.example.com/callback"), "Unknown destination"},
		{"unsupported response mode", faces.Params("response_mode", "fragment"), "response mode"},
		{"unknown response mode", faces.Params("response_mode", "foo"), "response mode"},
		{"form_post to a private-use scheme", faces.Params("client_id", "own-app", "redirect_uri", "com.example.own:/cb",
			"response_mode", "form_post"), "response mode"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			page := w.Browser(t).Authorize(tt.params)
			wantPage(t, page, http.StatusBadRequest, tt.says)
			// OpenID Connect Core 3.1.2.6: no OAuth error parameters, and nothing that came in is shown.
			if strings.Contains(page.Body, "evil") || strings.Contains(page.Body, "alert(1)") {
				t.Errorf("the page repeats what came in:\n%s", page.Body)
			}
		})
	}
}

// The errors of RFC 6749 4.1.2.1 and OpenID Connect Core 3.1.2.6 that need no user.
func TestRFC6749_4_1_2_1_Errors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		name   string
		params map[string]string
		want   oauth.Code
	}{
		{"RFC6749/3.1.1 no response type", faces.Params("response_type", ""), oauth.InvalidRequest},
		{"RFC6749/3.1.1 unknown response type", faces.Params("response_type", "foo"), oauth.UnsupportedResponseType},
		{"RFC9700/2.1.2 implicit", faces.Params("response_type", "token"), oauth.UnsupportedResponseType},
		{"MRT/5 hybrid", faces.Params("response_type", "code id_token"), oauth.UnsupportedResponseType},
		{"MRT/5 hybrid in another order", faces.Params("response_type", "id_token code"), oauth.UnsupportedResponseType},
		{"MRT/4 none", faces.Params("response_type", "none"), oauth.UnsupportedResponseType},
		{"RFC6749/4.1.2.1 client without the grant", faces.Params("client_id", "machine", "redirect_uri",
			"https://machine.example.org/cb"), oauth.UnauthorizedClient},
		{"RFC7636/4.4.1 no challenge", faces.Params("code_challenge", ""), oauth.InvalidRequest},
		{"RFC7636/4.3 no method", faces.Params("code_challenge_method", ""), oauth.InvalidRequest},
		{"RFC7636/7.2 plain", faces.Params("code_challenge_method", "plain"), oauth.InvalidRequest},
		{"RFC7636/4.4.1 unknown method", faces.Params("code_challenge_method", "S512"), oauth.InvalidRequest},
		{"RFC7636/4.2 padded challenge", faces.Params("code_challenge", oauth.Challenge(faces.Verifier)+"="), oauth.InvalidRequest},
		{"RFC7636/4.2 short challenge", faces.Params("code_challenge", "abc"), oauth.InvalidRequest},
		{"RFC6749/3.3 unknown scope", faces.Params("scope", "openid admin"), oauth.InvalidScope},
		{"RFC6749/3.3 another client's scope", faces.Params("client_id", "narrow", "redirect_uri", "https://narrow.example.org/cb"),
			oauth.InvalidScope},
		{"RFC6749/3.3 scope in another case", faces.Params("scope", "OpenID"), oauth.InvalidScope},
		{"RFC6749/3.3 forbidden character", faces.Params("scope", `openid "x"`), oauth.InvalidScope},
		{"RFC6749/3.3 two spaces", faces.Params("scope", "openid  accounts:read"), oauth.InvalidScope},
		{"RFC6749/3.3 no default", faces.Params("client_id", "narrow", "redirect_uri", "https://narrow.example.org/cb", "scope", ""),
			oauth.InvalidScope},
		{"OIDC-Core/11 nothing but offline_access", faces.Params("client_id", "plain", "redirect_uri", "https://plain.example.org/cb",
			"scope", "offline_access"), oauth.InvalidScope},
		{"OIDC-Core/6 request", faces.Params("request", "eyJ"), oauth.RequestNotSupported},
		{"OIDC-Core/6 request_uri", faces.Params("request_uri", "https://evil.example/x"), oauth.RequestURINotSupported},
		{"OIDC-Core/3.1.2.1 prompt none with another", faces.Params("prompt", "none login"), oauth.InvalidRequest},
		{"OIDC-Core/3.1.2.1 prompt none and none", faces.Params("prompt", "none none"), oauth.InvalidRequest},
		{"OIDC-Core/3.1.2.1 negative max_age", faces.Params("max_age", "-1"), oauth.InvalidRequest},
		{"OIDC-Core/3.1.2.1 max_age is no number", faces.Params("max_age", "1h"), oauth.InvalidRequest},
		{"OIDC-Core/3.1.2.1 max_age is fractional", faces.Params("max_age", "1.5"), oauth.InvalidRequest},
		{"OIDC-Core/3.1.2.1 id_token_hint of another issuer", faces.Params("id_token_hint", "foreign"), oauth.InvalidRequest},
		{"OIDC-Core/3.1.2.1 prompt none without a session", faces.Params("prompt", "none"), oauth.LoginRequired},
		{"nonce that could not be stored", faces.Params("nonce", strings.Repeat("n", 1025)), oauth.InvalidRequest},
		{"RFC9470/5 unknown acr for an API", faces.Params("acr_values", "platinum"), oauth.UnmetAuthentication},
		{"RFC9470/5 unknown acr for an API with prompt none", faces.Params("acr_values", "platinum", "prompt", "none"),
			oauth.UnmetAuthentication},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := w.Browser(t)
			page := b.Authorize(tt.params)
			wantError(t, page, tt.want, faces.Params()["state"])
			if !strings.HasPrefix(page.Left.String(), tt.params["redirect_uri"]) {
				t.Errorf("the error went to %v", page.Left)
			}
			if len(b.Cookies()) != 0 {
				t.Error("an error gave the browser a cookie")
			}
			// The same by form_post (OAuth 2.0 Form Post Response Mode 2).
			tt.params["response_mode"] = "form_post"
			_, form := b.Authorize(tt.params).Form()
			if form.Get("error") != string(tt.want) || form.Get("iss") != w.Issuer || form.Get("state") != faces.Params()["state"] {
				t.Errorf("form_post carries %v", form)
			}
		})
	}
}

// RFC 6749 3.1: what is not understood is ignored, and a parameter without a value was not sent.
func TestRFC6749_3_1_Parameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		name  string
		query string
	}{
		{"unknown parameter", "&foo=bar&req=x"},
		{"OIDC-Core/3.1.2.1 unknown display", "&display=hologram"},
		{"OIDC-Core/3.1.2.1 unknown prompt", "&prompt=create"},
		{"OIDC-Core/3.1.2.1 locale nobody has", "&ui_locales=tlh&claims_locales=tlh"},
		{"a locale list that is too long", "&ui_locales=" + strings.Repeat("en+", 500)},
		{"a hint that is too long", "&login_hint=" + strings.Repeat("a", 4000)},
		{"empty parameters", "&max_age=&prompt=&acr_values=&id_token_hint=&request=&request_uri=&response_mode=&login_hint="},
		{"OIDC-Core/5.5 claims", "&claims=%7B%7D"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantLogin(t, w.Browser(t).Get("/authorize?"+faces.Encode(faces.Params())+tt.query))
		})
	}
}

// Whatever is accepted can be stored: a client cannot cause a fault of ours by asking for much.
func TestEverythingAtItsLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	much := func(n int) string { return strings.Repeat("<", n) } // six bytes each in JSON
	b := w.Browser(t)
	page := b.Authorize(faces.Params("scope", "openid", "state", much(4096), "nonce", much(1024), "login_hint", much(256),
		"ui_locales", much(256), "acr_values", "silver "+much(8000)))
	wantLogin(t, page)
	if got := b.Login(page, faces.AliceLogin).Answer().Get("state"); got != much(4096) {
		t.Errorf("the state came back with %d bytes", len(got))
	}
}

// CVE-2026-9689: of two values, one component could read the first and another the last.
func TestCVE_2026_9689_RepeatedParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	params := faces.Params("login_hint", "alice", "prompt", "login", "max_age", "10", "acr_values", "gold", "response_mode", "query",
		"ui_locales", "en", "id_token_hint", "token-of-alice", "display", "page")
	for name, value := range params {
		query := faces.Encode(params)
		again := url.Values{name: {value}}.Encode()
		for _, tt := range []struct{ name, query, body string }{
			{"twice in the query", query + "&" + again, ""},
			{"once with another value", query + "&" + url.Values{name: {"x"}}.Encode(), ""},
			{"once without a value", query + "&" + name + "=", ""},
			{"twice in the body", "", query + "&" + again},
			{"in query and body", again, query},
		} {
			t.Run(name+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				b := w.Browser(t)
				var r *http.Request
				if tt.body == "" {
					r = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/authorize?"+tt.query, nil)
				} else {
					r = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/authorize?"+tt.query, strings.NewReader(tt.body))
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				}
				wantPage(t, b.Do(r), http.StatusBadRequest, "repeated")
			})
		}
	}
}

// Bad input gets a page, never a fault.
func TestBadRequestsGetAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	form := "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		name, method, path, contentType, body string
		status                                int
	}{
		{"HEAD", http.MethodHead, "/authorize?" + faces.Encode(faces.Params()), "", "", http.StatusMethodNotAllowed},
		{"PUT", http.MethodPut, "/authorize", form, "", http.StatusMethodNotAllowed},
		{"OPTIONS", http.MethodOptions, "/authorize", "", "", http.StatusMethodNotAllowed},
		{"DELETE of the consent page", http.MethodDelete, "/consent?req=req_a", "", "", http.StatusMethodNotAllowed},
		{"JSON", http.MethodPost, "/authorize", "application/json", "{}", http.StatusUnsupportedMediaType},
		{"no content type", http.MethodPost, "/authorize", "", "client_id=portal", http.StatusUnsupportedMediaType},
		{"multipart", http.MethodPost, "/consent", "multipart/form-data; boundary=x", "--x--", http.StatusUnsupportedMediaType},
		{"a body that is too large", http.MethodPost, "/authorize", form, "state=" + strings.Repeat("a", 65<<10), http.StatusRequestEntityTooLarge},
		{"a query that is too long", http.MethodGet, "/authorize?state=" + strings.Repeat("a", 65<<10), "", "", http.StatusRequestURITooLong},
		{"a parameter that is too long", http.MethodGet, "/authorize?state=" + strings.Repeat("a", 9<<10), "", "", http.StatusBadRequest},
		{"bad encoding", http.MethodGet, "/authorize?client_id=%zz", "", "", http.StatusBadRequest},
		{"not UTF-8", http.MethodGet, "/authorize?client_id=%ff", "", "", http.StatusBadRequest},
		{"a control character", http.MethodGet, "/authorize?client_id=a%00b", "", "", http.StatusBadRequest},
		{"a semicolon", http.MethodGet, "/authorize?client_id=portal;x=y", "", "", http.StatusBadRequest},
		{"too many parameters", http.MethodGet, "/authorize?" + manyParams(), "", "", http.StatusBadRequest},
		{"nothing", http.MethodGet, "/authorize", "", "", http.StatusBadRequest},
		{"consent to nothing", http.MethodGet, "/consent", "", "", http.StatusBadRequest},
		{"parameters in the address of a post", http.MethodPost, "/consent?req=req_a", form, "step=x", http.StatusBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, strings.NewReader(tt.body))
			if tt.contentType != "" {
				r.Header.Set("Content-Type", tt.contentType)
			}
			page := w.Browser(t).Do(r)
			if tt.method == http.MethodHead {
				page.Body = "<title>" // a HEAD has no body to look at
			}
			wantPage(t, page, tt.status, "<title>")
			if allow := page.Header.Get("Allow"); (allow == "GET, POST") != (tt.status == http.StatusMethodNotAllowed) {
				t.Errorf("Allow is %q", allow)
			}
		})
	}
}

func manyParams() string {
	values := url.Values{}
	for i := range 200 {
		values.Set("p"+strings.Repeat("x", i), "1")
	}
	return values.Encode()
}

// RFC 6749 4.1.2: the state comes back as it was sent, and only when it was.
func TestRFC6749_4_1_2_State(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		name, state string
		code        oauth.Code
		echoed      bool
	}{
		{"absent", "", oauth.LoginRequired, true},
		{"every printable character", printable(), oauth.LoginRequired, true},
		{"as long as it may be", strings.Repeat("s", 4096), oauth.LoginRequired, true},
		{"longer", strings.Repeat("s", 4097), oauth.InvalidRequest, true},
		{"RFC6749/App.A beyond ASCII", "zustand-ä", oauth.InvalidRequest, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			page := w.Browser(t).Authorize(faces.Params("state", tt.state, "prompt", "none"))
			want := tt.state
			if !tt.echoed {
				want = ""
			}
			wantError(t, page, tt.code, want)
			if page.Answer().Has("state") != (want != "") {
				t.Errorf("state is there: %v", page.Answer().Has("state"))
			}
		})
	}
}

func printable() string {
	var b strings.Builder
	for c := byte(0x20); c <= 0x7e; c++ {
		b.WriteByte(c)
	}
	return b.String()
}

// OpenID Connect Core 3.1.2.1: GET and POST. A form from another site comes without cookies (SameSite=Lax), so the browser is
// sent to fetch the request by itself, and is then the browser that began it.
func TestOIDCCore_3_1_2_1_Post(t *testing.T) {
	t.Parallel()
	values := url.Values{}
	for name, value := range faces.Params() {
		values.Set(name, value)
	}
	t.Run("from another site, nobody signed in", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		b := w.Browser(t)
		page := b.Post("/authorize", values)
		wantLogin(t, page)
		redeem(t, w, faces.Params(), b.Login(page, faces.AliceLogin).Code())
	})
	t.Run("from another site, signed in", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		b := w.Browser(t)
		b.SignIn(faces.AliceLogin)
		before := b.Cookies()
		crossSite := w.Browser(t) // what a cross-site form looks like to us
		sent := crossSite.Send(http.MethodPost, "/authorize", values)
		if len(crossSite.Cookies()) != 0 {
			t.Error("the answer to a form from another site overwrote the browser's cookies")
		}
		redeem(t, w, faces.Params(), b.Get(sent.Header.Get("Location")).Code())
		if diff := cmp.Diff(before, b.Cookies()); diff != "" {
			t.Errorf("the cookies changed (-before +after):\n%s", diff)
		}
	})
	t.Run("from this site, signed in", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		b := w.Browser(t)
		b.SignIn(faces.AliceLogin)
		page := b.Post("/authorize", values)
		if len(page.Path) != 0 {
			t.Errorf("the browser was sent around by %v", page.Path)
		}
		redeem(t, w, faces.Params(), page.Code())
	})
	t.Run("prompt none from another site", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		none := url.Values{"prompt": {"none"}}
		for name := range values {
			none.Set(name, values.Get(name))
		}
		page := w.Browser(t).Post("/authorize", none)
		wantError(t, page, oauth.LoginRequired, faces.Params()["state"])
	})
	t.Run("nobody else can take a request over", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		parked := w.Browser(t).Send(http.MethodPost, "/authorize", values).Header.Get("Location")
		wantLogin(t, w.Browser(t).Get(parked))
		wantPage(t, w.Browser(t).Get(parked), http.StatusForbidden, "cookie")
	})
	t.Run("nothing sensitive is in the address", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		values := url.Values{"id_token_hint": {"token-of-alice"}, "login_hint": {"alice"}}
		for name, value := range faces.Params() {
			values.Set(name, value)
		}
		location := w.Browser(t).Send(http.MethodPost, "/authorize", values).Header.Get("Location")
		if strings.Contains(location, "alice") || strings.Contains(location, "callback") {
			t.Errorf("the browser was sent to %s", location)
		}
	})
}

// OAuth 2.0 Form Post Response Mode 2.
func TestFormPost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	params := faces.Params("response_mode", "form_post", "state", `"><script>alert(1)</script>`)
	page := b.Login(b.Authorize(params), faces.AliceLogin)
	if page.Status != http.StatusOK {
		t.Fatalf("status %d", page.Status)
	}
	action, form := page.Form()
	if action != params["redirect_uri"] || form.Get("state") != params["state"] || form.Get("iss") != w.Issuer {
		t.Errorf("the form posts %v to %s", form, action)
	}
	redeem(t, w, params, form.Get("code"))
	if strings.Contains(page.Body, "<script>alert") {
		t.Error("the state was not escaped")
	}
	if cache := page.Header.Get("Cache-Control"); !strings.Contains(cache, "no-store") {
		t.Errorf("Cache-Control is %q", cache)
	}
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://portal.example.com") {
		t.Errorf("the policy would block the form: %s", csp)
	}
}

// RFC 6749 3.1.2: a query that was registered stays.
func TestRFC6749_3_1_2_RegisteredQuery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	params := faces.Params("redirect_uri", "https://portal.example.com/other?x=1")
	page := b.Login(b.Authorize(params), faces.AliceLogin)
	redeem(t, w, params, page.Code())
	if page.Answer().Get("x") != "1" {
		t.Errorf("the answer is %v", page.Left)
	}
}

// RFC 8252 7: private-use schemes and loopback ports.
func TestRFC8252_7_Redirects(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, client, uri string
		good              bool
	}{
		{"7.1 private-use scheme", "own-app", "com.example.own:/cb", true},
		{"7.1 another app's scheme", "own-app", "com.example.native:/cb", false},
		{"7.3 loopback without a port", "native", "http://127.0.0.1/cb", true},
		{"7.3 loopback with a port", "native", "http://127.0.0.1:51004/cb", true},
		{"7.3 another path", "native", "http://127.0.0.1:51004/other", false},
		{"7.3 another loopback address", "native", "http://127.0.0.2:51004/cb", false},
		{"7.3 localhost for the literal", "native", "http://localhost:51004/cb", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.Browser(t)
			params := faces.Params("client_id", tt.client, "redirect_uri", tt.uri)
			page := b.Authorize(params)
			if !tt.good {
				wantPage(t, page, http.StatusBadRequest, "Unknown destination")
				return
			}
			page = b.Login(page, faces.AliceLogin)
			if tt.client == "native" {
				wantConsent(t, page)
				page = b.Submit(page, "decision", "allow")
			}
			redeem(t, w, params, page.Code())
			if !strings.HasPrefix(page.Left.String(), tt.uri+"?") {
				t.Errorf("the answer went to %v", page.Left)
			}
		})
	}
}

// RFC 9700 4.12, 4.2.4, 2.6: every redirect is 303 and leaves no trace, and the endpoint is not for scripts of other sites.
func TestRFC9700_Redirects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.Header.Set("Origin", "https://evil.example")
	login := b.Authorize(faces.Params())
	action, form := login.Form()
	form.Set("username", faces.AliceLogin)
	form.Set("password", faces.Password)
	page := b.Send(http.MethodPost, action, form)
	for range 2 {
		if page.Status != http.StatusSeeOther {
			t.Errorf("%s answers %d, want 303", page.At, page.Status)
		}
		if page.Header.Get("Cache-Control") != "no-store" || page.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s may be stored or told: %v", page.At, page.Header)
		}
		for name := range page.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s sends %s", page.At, name)
			}
		}
		page = b.Send(http.MethodGet, page.Header.Get("Location"), nil)
	}
}

// The browser holds every redirect after a form to the policy of the page with the form.
func TestFormsMayLeadToTheClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	login := b.Authorize(third())
	consent := b.Login(login, faces.AliceLogin)
	wantConsent(t, consent)
	for _, page := range []*faces.Page{login, consent} {
		if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://third.example.org https:") {
			t.Errorf("%s: the policy would block the answer: %s", page.At, csp)
		}
	}
	site := faces.Params("client_id", authz.SiteClientID(faces.Site), "redirect_uri", faces.Site+authz.PathSiteCallback, "scope", "openid")
	page := w.Browser(t).Authorize(site)
	wantLogin(t, page)
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' "+faces.Site+";") {
		t.Errorf("the policy of a protected site is wider than it needs: %s", csp)
	}
	site["prompt"] = "consent"
	page = b.Authorize(site)
	wantConsent(t, page)
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' "+faces.Site+";") {
		t.Errorf("the policy of a protected site is wider than it needs: %s", csp)
	}
}

// The issuer may have a path; nothing depends on the Host header.
func TestIssuerWithAPath(t *testing.T) {
	t.Parallel()
	w := faces.New(t, faces.Options{Issuer: "https://example.com/auth"})
	b := w.Browser(t)
	page := b.Authorize(faces.Params())
	if want := "https://example.com/auth/login?"; !strings.HasPrefix(page.At, want) {
		t.Fatalf("the browser is at %s, want %s", page.At, want)
	}
	answer := b.Login(page, faces.AliceLogin).Answer()
	if answer.Get("iss") != w.Issuer || answer.Get("code") == "" {
		t.Errorf("the answer is %v", answer)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/auth/authorize?"+faces.Encode(faces.Params()), nil)
	r.Host = "evil.example"
	r.Header.Set("X-Forwarded-Host", "evil.example")
	if to := w.Browser(t).Do(r).Header.Get("Location"); !strings.HasPrefix(to, "/auth/login?") {
		t.Errorf("a foreign Host led to %s", to)
	}
}
