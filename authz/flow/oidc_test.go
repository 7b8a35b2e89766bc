// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// A live session answers at once, with no page and nothing stored for the request.
func TestSignedInGoesStraightThrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	w.Clock.Advance(10 * time.Minute)
	for _, prompt := range []string{"", "none"} {
		page := b.Authorize(faces.Params("prompt", prompt))
		grant := redeem(t, w, faces.Params(), page.Code()).Grant
		if len(page.Path) != 0 {
			t.Errorf("prompt %q: the browser was sent around by %v", prompt, page.Path)
		}
		if want := w.Clock.Now().Add(-10 * time.Minute); !grant.Authn.AuthTime.Equal(want) {
			t.Errorf("prompt %q: auth_time is %v, want the login's %v", prompt, grant.Authn.AuthTime, want)
		}
	}
}

func TestOIDCCore_3_1_2_1_PromptNone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		wait   time.Duration
		params map[string]string
		want   oauth.Code
	}{
		{"satisfied", 0, faces.Params(), ""},
		{"nobody left after the realm's max_age", time.Hour + time.Second, faces.Params(), oauth.LoginRequired},
		{"nobody left after the session", 48 * time.Hour, faces.Params(), oauth.LoginRequired},
		{"stale for max_age", time.Minute, faces.Params("max_age", "30"), oauth.LoginRequired},
		{"max_age=0 asks for a new login", 0, faces.Params("max_age", "0"), oauth.LoginRequired},
		{"a realm is missing for the scope", 0, faces.Params("scope", "payments:write"), oauth.InteractionRequired},
		{"a realm is missing for the acr", 0, faces.Params("acr_values", "gold"), oauth.InteractionRequired},
		{"another user is meant", 0, faces.Params("id_token_hint", "token-of-bob"), oauth.LoginRequired},
		{"this user is meant", 0, faces.Params("id_token_hint", "token-of-alice"), ""},
		{"no consent", 0, third(), oauth.ConsentRequired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.Browser(t)
			b.SignIn(faces.AliceLogin)
			w.Clock.Advance(tt.wait)
			tt.params["prompt"] = "none"
			page := b.Authorize(tt.params)
			if len(page.Path) != 0 {
				t.Errorf("a page was shown on the way: %v", page.Path)
			}
			if tt.want == "" {
				redeem(t, w, tt.params, page.Code())
				return
			}
			wantError(t, page, tt.want, tt.params["state"])
		})
	}
}

// OpenID Connect Core 3.1.2.1, 3.1.2.3: a new login whatever the session says, and max_age=0 is the same.
func TestOIDCCore_3_1_2_1_PromptLogin(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"prompt=login", "prompt=select_account", "max_age=0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parameter, value, _ := strings.Cut(name, "=")
			params := faces.Params(parameter, value)
			w := newWorld(t)
			b := w.Browser(t)
			b.SignIn(faces.AliceLogin)
			first := w.Clock.Now()
			// Not even a moment has passed: the login before the request does not count.
			page := b.Authorize(params)
			wantLogin(t, page)
			w.Clock.Advance(time.Minute)
			grant := redeem(t, w, params, b.Login(page, faces.AliceLogin).Code()).Grant
			if want := first.Add(time.Minute); !grant.Authn.AuthTime.Equal(want) {
				t.Errorf("auth_time is %v, want that of the new login, %v", grant.Authn.AuthTime, want)
			}
			w.Clock.Advance(time.Second)
			wantLogin(t, b.Authorize(params)) // the new login was for that request, not for the next
		})
	}
}

// The back button brings old pages and old addresses, never an old proof.
func TestOIDCCore_3_1_2_1_BackButton(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	first := b.Authorize(faces.Params())
	action, form := first.Form()
	form.Set("username", faces.AliceLogin)
	form.Set("password", faces.Password)
	sent := b.Send(http.MethodPost, action, form)
	resume := sent.Header.Get("Location")
	b.Get(resume).Code()

	w.Clock.Advance(time.Minute)
	again := b.Authorize(faces.Params("prompt", "login"))
	wantLogin(t, again)
	_, fresh := again.Form()
	for _, tt := range []struct {
		name string
		do   func() *faces.Page
	}{
		{"the old address of the dispatcher", func() *faces.Page { return b.Get(resume) }},
		{"the old login form", func() *faces.Page { return b.Post(action, form) }},
		{"the old login page", func() *faces.Page { return b.Get(first.At) }},
	} {
		page := tt.do()
		if page.Left != nil {
			t.Errorf("%s led to %v", tt.name, page.Left)
		}
	}
	// The token of the old return is no good for the new request.
	forged := strings.Replace(resume, "req="+form.Get("req"), "req="+fresh.Get("req"), 1)
	wantLogin(t, b.Get(forged))
}

func TestOIDCCore_3_1_2_1_MaxAge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, age string
		wait      time.Duration
		login     bool
	}{
		{"younger", "60", 59 * time.Second, false},
		{"as old", "60", time.Minute, false},
		{"older", "60", time.Minute + time.Millisecond, true},
		{"huge", "2147483647", 59 * time.Minute, false},
		{"huge, but the realm has its own", "2147483647", 61 * time.Minute, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.Browser(t)
			b.SignIn(faces.AliceLogin)
			w.Clock.Advance(tt.wait)
			page := b.Authorize(faces.Params("max_age", tt.age))
			if tt.login {
				wantLogin(t, page)
				page = b.Login(page, faces.AliceLogin)
			}
			grant := redeem(t, w, faces.Params(), page.Code()).Grant
			if limit, _, _ := oauth.ParseMaxAge(tt.age); w.Clock.Now().Sub(grant.Authn.AuthTime) > limit {
				t.Errorf("auth_time %v is older than max_age allows", grant.Authn.AuthTime)
			}
		})
	}
}

// Freshness counts from the moment the request came: whoever takes long over a second factor is not sent back to the first.
func TestMaxAgeCountsFromTheRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	params := faces.Params("max_age", "60", "scope", "payments:write")
	page := b.Login(b.Authorize(params), faces.AliceLogin)
	w.Clock.Advance(4 * time.Minute)
	grant := redeem(t, w, params, b.Submit(page, "pin", faces.PIN).Code()).Grant
	if !grant.Authn.AuthTime.Equal(w.Clock.Now()) {
		t.Errorf("auth_time is %v, want the last factor's", grant.Authn.AuthTime)
	}
}

// A stronger level from before max_age is not claimed: its auth_time would be too old.
func TestOldProofsDoNotCountForANewerDemand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.Submit(b.Login(b.Authorize(faces.Params("acr_values", "gold")), faces.AliceLogin), "pin", faces.PIN).Code()
	w.Clock.Advance(2 * time.Minute)
	params := faces.Params("max_age", "60")
	grant := redeem(t, w, params, b.Login(b.Authorize(params), faces.AliceLogin).Code()).Grant
	if grant.Authn.ACR != "silver" || !grant.Authn.AuthTime.Equal(w.Clock.Now()) {
		t.Errorf("acr %q at %v, want silver now", grant.Authn.ACR, grant.Authn.AuthTime)
	}
	if _, old := grant.Authn.Realms["pin"]; old {
		t.Error("the PIN from before counts")
	}
}

// CVE-2025-64103: a level is reached by all of its factors, never by some.
func TestCVE_2025_64103_EveryPrefixIsBelowTheLevel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	gold := faces.Params("acr_values", "gold", "scope", "openid accounts:read")
	page := b.Authorize(gold)
	wantLogin(t, page)
	pin := b.Login(page, faces.AliceLogin)
	wantLogin(t, pin)
	if diff := cmp.Diff([]string{"pin"}, pin.Fields()); diff != "" {
		t.Fatalf("after the password the page asks for other fields (-want +got):\n%s", diff)
	}
	// After one of two factors: other requests get what is proven and no more.
	plain := faces.Params()
	if got := redeem(t, w, plain, b.Authorize(plain).Code()).Grant.Authn; got.ACR != "silver" || len(got.Realms) != 1 {
		t.Errorf("one factor gives acr %q and realms %v", got.ACR, got.Realms)
	}
	wantError(t, b.Authorize(faces.Params("acr_values", "gold", "prompt", "none")), oauth.InteractionRequired, plain["state"])
	wantError(t, b.Authorize(faces.Params("scope", "payments:write", "prompt", "none")), oauth.InteractionRequired, plain["state"])
	// The dispatcher cannot be talked into going on: neither without a token nor with one of another step.
	_, form := pin.Form()
	for _, query := range []string{"", "&step=" + form.Get("step"), "&stop=" + form.Get("step"), "&step="} {
		wantLogin(t, b.Get("/authorize?req="+form.Get("req")+query))
	}
	// A wrong second factor changes nothing.
	wrong := b.Submit(pin, "pin", "0000")
	if wrong.Left != nil || wrong.Status != http.StatusForbidden {
		t.Fatalf("a wrong PIN led to %v with status %d", wrong.Left, wrong.Status)
	}
	got := redeem(t, w, gold, b.Submit(wrong, "pin", faces.PIN).Code()).Grant.Authn
	if got.ACR != "gold" || len(got.Realms) != 2 {
		t.Errorf("both factors give acr %q and realms %v", got.ACR, got.Realms)
	}
	if diff := cmp.Diff([]string{"pin", "pwd"}, got.AMR); diff != "" {
		t.Errorf("unexpected amr (-want +got):\n%s", diff)
	}
	// And it ends with the factor that ends first.
	w.Clock.Advance(5*time.Minute + time.Second)
	if got := redeem(t, w, plain, b.Authorize(plain).Code()).Grant.Authn; got.ACR != "silver" {
		t.Errorf("with a stale PIN the acr is %q", got.ACR)
	}
}

// RFC 9470 5, OpenID Connect Core 5.5.1.1.
func TestACRValues(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, values, scope, want string
		pin                       bool
	}{
		{"reached", "silver", "openid", "silver", false},
		{"a realm's name", "password", "openid", "password", false},
		{"the first known one", "platinum gold silver", "openid accounts:read", "gold", true},
		{"unknown, OpenID Connect alone", "platinum", "openid profile", "silver", false},
		{"needs a realm of its own", "pin", "openid", "pin", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.Browser(t)
			params := faces.Params("acr_values", tt.values, "scope", tt.scope)
			page := b.Login(b.Authorize(params), faces.AliceLogin)
			if tt.pin {
				wantLogin(t, page)
				page = b.Submit(page, "pin", faces.PIN)
			}
			if got := redeem(t, w, params, page.Code()).Grant.Authn.ACR; got != tt.want {
				t.Errorf("acr is %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("RFC9470/5 unknown, protected site", func(t *testing.T) {
		t.Parallel()
		params := faces.Params("client_id", authz.SiteClientID(faces.Site), "redirect_uri", faces.Site+authz.PathSiteCallback,
			"scope", "openid", "acr_values", "platinum")
		wantError(t, newWorld(t).Browser(t).Authorize(params), oauth.UnmetAuthentication, params["state"])
	})
}

// OpenID Connect Core 3.1.2.1, 3.1.2.2: an answer about the user of the hint, or none.
func TestOIDCCore_3_1_2_2_IDTokenHint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	params := faces.Params("id_token_hint", "token-of-alice")
	b := w.Browser(t)
	page := b.Authorize(params)
	wantLogin(t, page)
	if strings.Contains(page.Body, "Alice") {
		t.Error("a hint alone tells a stranger the user's name")
	}
	wrong := b.Login(page, faces.BobLogin)
	if wrong.Left != nil || wrong.Status != http.StatusForbidden || !strings.Contains(wrong.Body, "another user") {
		t.Fatalf("Bob got %v, status %d:\n%s", wrong.Left, wrong.Status, wrong.Body)
	}
	if got := b.Cookie("session"); got != "" {
		t.Error("Bob is signed in")
	}
	if got := redeem(t, w, params, b.Login(wrong, faces.AliceLogin).Code()).Grant.Subject; got != faces.Alice {
		t.Errorf("the answer is about %s", got)
	}
	// Somebody else is signed in: Alice may still sign in instead.
	other := w.Browser(t)
	other.SignIn(faces.BobLogin)
	page = other.Authorize(params)
	wantLogin(t, page)
	if got := redeem(t, w, params, other.Login(page, faces.AliceLogin).Code()).Grant.Subject; got != faces.Alice {
		t.Errorf("the answer is about %s", got)
	}
}

func TestOIDCCore_3_1_2_1_LoginHintAndLocale(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page := w.Browser(t).Authorize(faces.Params("login_hint", `bob"><script>`, "ui_locales", "nl en"))
	_, form := page.Form()
	if form.Get("username") != `bob"><script>` {
		t.Errorf("the form begins with user name %q", form.Get("username"))
	}
	if page.Header.Get("Content-Language") != "nl" {
		t.Errorf("the page is in %q", page.Header.Get("Content-Language"))
	}
}

// RFC 6749 3.3, OpenID Connect Core 11.
func TestScopes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, client, uri, asked string
		want                     oauth.Scopes
		offline                  bool
	}{
		{"as asked", "portal", "https://portal.example.com/callback", "profile openid", oauth.Scopes{"profile", "openid"}, false},
		{"repeated", "portal", "https://portal.example.com/callback", "openid openid", oauth.Scopes{"openid"}, false},
		{"without openid", "portal", "https://portal.example.com/callback", "accounts:read", oauth.Scopes{"accounts:read"}, false},
		{"the client's default", "plain", "https://plain.example.org/cb", "", oauth.Scopes{"openid"}, false},
		{"the issuer's default, as far as the client may", "portal", "https://portal.example.com/callback", "",
			oauth.Scopes{"accounts:read"}, false},
		{"offline_access", "portal", "https://portal.example.com/callback", "openid offline_access",
			oauth.Scopes{"openid", "offline_access"}, true},
		{"offline_access without refresh", "plain", "https://plain.example.org/cb", "openid offline_access", oauth.Scopes{"openid"}, false},
		{"offline_access by consent", "third", "https://third.example.org/cb", "openid offline_access",
			oauth.Scopes{"openid", "offline_access"}, true},
		{"offline_access that the client has not got", "narrow", "https://narrow.example.org/cb", "openid offline_access",
			oauth.Scopes{"openid"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.Browser(t)
			params := faces.Params("client_id", tt.client, "redirect_uri", tt.uri, "scope", tt.asked)
			page := b.Login(b.Authorize(params), faces.AliceLogin)
			if tt.client != "portal" {
				wantConsent(t, page)
				page = b.Submit(page, "decision", "allow")
			}
			grant := redeem(t, w, params, page.Code()).Grant
			if diff := cmp.Diff(tt.want, grant.Scopes); diff != "" {
				t.Errorf("unexpected scopes (-want +got):\n%s", diff)
			}
			if grant.Offline != tt.offline {
				t.Errorf("offline is %v", grant.Offline)
			}
		})
	}
}

// A protected site's grant lives as long as the session it rests on.
func TestProtectedSite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	params := faces.Params("client_id", authz.SiteClientID(faces.Site), "redirect_uri", faces.Site+authz.PathSiteCallback, "scope", "openid")
	page := b.Login(b.Authorize(params), faces.AliceLogin)
	grant := redeem(t, w, params, page.Code()).Grant
	session, err := w.Store.Session(t.Context(), grant.SessionID)
	if err != nil || !grant.ExpiresAt.Equal(session.ExpiresAt) {
		t.Errorf("the grant ends at %v, the session at %v (%v)", grant.ExpiresAt, session.ExpiresAt, err)
	}
}
