// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// reply is what the endpoint for pushed requests answers.
type reply struct {
	*httptest.ResponseRecorder
	RequestURI  string     `json:"request_uri"`
	ExpiresIn   int64      `json:"expires_in"`
	Error       oauth.Code `json:"error"`
	Description string     `json:"error_description"`
}

// push sends a form of the client "portal", which authenticates, changed like [faces.Params].
func push(t *testing.T, w *faces.World, pairs ...string) reply {
	t.Helper()
	return send(t, w, http.MethodPost, faces.Params(pairs...), func(r *http.Request) { r.SetBasicAuth("portal", "secret") })
}

func send(t *testing.T, w *faces.World, method string, params map[string]string, change func(*http.Request)) reply {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, w.Issuer+authz.PathPushed, strings.NewReader(faces.Encode(params)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	change(r)
	got := reply{ResponseRecorder: httptest.NewRecorder()}
	w.ServeHTTP(got, r)
	if err := json.Unmarshal(got.Body.Bytes(), &got); err != nil {
		t.Fatalf("the reply is no JSON (%d): %v\n%s", got.Code, err, got.Body)
	}
	if cache := got.Header().Get("Cache-Control"); cache != "no-store" {
		t.Errorf("the reply may be kept: %q", cache)
	}
	return got
}

// at is where a browser opens a pushed request, changed like [faces.Params].
func at(r reply, pairs ...string) string {
	params := map[string]string{"client_id": "portal", "request_uri": r.RequestURI}
	for i := 0; i+1 < len(pairs); i += 2 {
		params[pairs[i]] = pairs[i+1]
	}
	return authz.PathAuthorize + "?" + faces.Encode(params)
}

// A request that is pushed is asked about as it was pushed; nothing that the browser brings counts.
func TestRFC9126(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pushed := push(t, w)
	if pushed.Code != http.StatusCreated || pushed.ExpiresIn != 60 || !strings.HasPrefix(pushed.RequestURI, "urn:ietf:params:oauth:request_uri:") {
		t.Fatalf("2.2: the reply is %d %s", pushed.Code, pushed.Body)
	}
	b := w.Browser(t)
	page := b.Get(at(pushed, "scope", "payments:write", "state", "another", "redirect_uri", "https://evil.example/", "nonce", "n-9"))
	wantLogin(t, page)
	page = b.Login(page, faces.AliceLogin)
	if got := page.Answer().Get("state"); got != faces.Params()["state"] {
		t.Errorf("4: the state is %q", got)
	}
	result := redeem(t, w, faces.Params(), page.Code())
	if result.Grant.Scopes.String() != "openid accounts:read" || result.Code.Nonce != "n-1" {
		t.Errorf("4: the grant is %+v with the nonce %q", result.Grant, result.Code.Nonce)
	}
	wantPage(t, b.Get(at(pushed)), http.StatusBadRequest, "This page has expired")
	wantPage(t, w.Browser(t).Get(at(pushed)), http.StatusBadRequest, "This page has expired")
	b.Get(at(push(t, w))).Code() // whoever is signed in is not asked again
}

// RFC 9126 2.3: what is wrong with a request is said to who pushes it, in the words that the authorization endpoint has for it.
func TestPushedRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	basic := func(user, secret string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, secret) }
	}
	for _, tt := range []struct {
		name   string
		method string
		pairs  []string
		change func(*http.Request)
		status int
		code   oauth.Code
	}{
		{"2.1 request_uri", "POST", []string{"request_uri", "urn:ietf:params:oauth:request_uri:x"}, basic("portal", "secret"), 400, oauth.InvalidRequest},
		{"2.1 request object", "POST", []string{"request", "e30.e30."}, basic("portal", "secret"), 400, oauth.RequestNotSupported},
		{"2 no client authentication", "POST", nil, func(*http.Request) {}, 401, oauth.InvalidClient},
		{"2 a wrong secret", "POST", nil, basic("portal", "wrong"), 401, oauth.InvalidClient},
		{"2 another client", "POST", nil, basic("third", "secret"), 400, oauth.InvalidRequest},
		{"2 a protected site", "POST", []string{"client_id", authz.SiteClientID(faces.Site)}, func(*http.Request) {}, 401, oauth.InvalidClient},
		{"2.3 another redirect URI", "POST", []string{"redirect_uri", "https://evil.example/"}, basic("portal", "secret"), 400, oauth.InvalidRequest},
		{"2.3 no redirect URI", "POST", []string{"redirect_uri", ""}, basic("portal", "secret"), 400, oauth.InvalidRequest},
		{"2.3 another response mode", "POST", []string{"response_mode", "fragment"}, basic("portal", "secret"), 400, oauth.InvalidRequest},
		{"2.3 a scope that is not the client's", "POST", []string{"scope", "nonsense"}, basic("portal", "secret"), 400, oauth.InvalidScope},
		{"2.3 no code challenge", "POST", []string{"code_challenge", ""}, basic("portal", "secret"), 400, oauth.InvalidRequest},
		{"2.3 method", "GET", nil, basic("portal", "secret"), 405, oauth.InvalidRequest},
		{"2.3 content type", "POST", nil, func(r *http.Request) {
			r.SetBasicAuth("portal", "secret")
			r.Header.Set("Content-Type", "application/json")
		}, 415, oauth.InvalidRequest},
		{"an auth_session of a client that is not native", "POST", []string{"auth_session", "ats_a.b"}, basic("portal", "secret"), 400, oauth.UnauthorizedClient},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := send(t, newWorld(t), tt.method, faces.Params(tt.pairs...), tt.change)
			if got.Code != tt.status || got.Error != tt.code || got.RequestURI != "" {
				t.Errorf("the reply is %d %s, want %d %s", got.Code, got.Body, tt.status, tt.code)
			}
			if strings.Contains(got.Body.String(), "evil") {
				t.Errorf("the reply repeats what came in: %s", got.Body)
			}
		})
	}
}

// Whatever is wrong with a request_uri, a page says the same, and the browser is sent nowhere.
func TestRequestURIsThatOpenNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		open func(t *testing.T, w *faces.World, b *faces.Browser, pushed reply) *faces.Page
	}{
		{"too late", func(_ *testing.T, w *faces.World, b *faces.Browser, pushed reply) *faces.Page {
			w.Clock.Advance(time.Minute)
			return b.Get(at(pushed))
		}},
		{"of another client", func(_ *testing.T, _ *faces.World, b *faces.Browser, pushed reply) *faces.Page {
			return b.Get(at(pushed, "client_id", "third"))
		}},
		{"of no client", func(_ *testing.T, _ *faces.World, b *faces.Browser, pushed reply) *faces.Page {
			return b.Get(at(pushed, "client_id", ""))
		}},
		{"with another secret", func(_ *testing.T, _ *faces.World, b *faces.Browser, pushed reply) *faces.Page {
			return b.Get(at(pushed, "request_uri", pushed.RequestURI+"x"))
		}},
		{"without a secret", func(_ *testing.T, _ *faces.World, b *faces.Browser, pushed reply) *faces.Page {
			uri, _, _ := strings.Cut(pushed.RequestURI, ".")
			return b.Get(at(pushed, "request_uri", uri))
		}},
		{"of nothing", func(_ *testing.T, _ *faces.World, b *faces.Browser, pushed reply) *faces.Page {
			return b.Get(at(pushed, "request_uri", "urn:ietf:params:oauth:request_uri:"))
		}},
		{"of the future", func(_ *testing.T, _ *faces.World, b *faces.Browser, pushed reply) *faces.Page {
			return b.Get(at(pushed, "request_uri", "urn:ietf:params:oauth:request_uri:req_unknown.secret"))
		}},
		{"that another browser has opened", func(t *testing.T, w *faces.World, b *faces.Browser, pushed reply) *faces.Page {
			wantLogin(t, w.Browser(t).Get(at(pushed)))
			return b.Get(at(pushed))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.Browser(t)
			b.SignIn(faces.AliceLogin)
			wantPage(t, tt.open(t, w, b, push(t, w)), http.StatusBadRequest, "This page has expired")
		})
	}
}

// Whoever knows the id of a pushed request, which stands in no secret's place, does not come for it.
func TestTheIDOfAPushedRequestOpensNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pushed := push(t, w)
	id, _, _ := strings.Cut(strings.TrimPrefix(pushed.RequestURI, "urn:ietf:params:oauth:request_uri:"), ".")
	thief := w.Browser(t)
	thief.SignIn(faces.BobLogin)
	for _, path := range []string{authz.PathAuthorize, authz.PathLogin, authz.PathConsent, authz.PathContinue} {
		wantPage(t, thief.Get(path+"?req="+url.QueryEscape(id)), http.StatusForbidden, "browser")
	}
	wantLogin(t, w.Browser(t).Get(at(pushed)))
}

// A form that another site has a browser post opens nothing, and spends nothing.
func TestAPushedRequestIsOpenedByANavigation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pushed := push(t, w)
	b := w.Browser(t)
	page := b.Post(authz.PathAuthorize, url.Values{"client_id": {"portal"}, "request_uri": {pushed.RequestURI}})
	wantPage(t, page, http.StatusBadRequest, "invalid_request")
	wantLogin(t, b.Get(at(pushed)))
}

// Pushing is a write that anybody may cause: it is bounded as requests of browsers are, by the same count.
func TestPushingIsBounded(t *testing.T) {
	t.Parallel()
	limiter, err := limit.New(limit.Config{Burst: 2, Every: time.Minute, Keys: 10, Now: storagetest.NewClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	w := faces.New(t, faces.Options{Limiter: limiter})
	for range 2 {
		if got := push(t, w); got.Code != http.StatusCreated {
			t.Fatalf("the reply is %d %s", got.Code, got.Body)
		}
	}
	got := push(t, w)
	if got.Code != http.StatusTooManyRequests || got.Header().Get("Retry-After") == "" {
		t.Errorf("the reply is %d %s", got.Code, got.Body)
	}
}
