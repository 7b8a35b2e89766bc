// SPDX-License-Identifier: Apache-2.0

package native_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// raw is a request that no app would send.
func raw(t *testing.T, a *faces.App, method, target, contentType, body string) *faces.Reply {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, faces.DefaultIssuer+authz.PathChallenge+target, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return a.Do(r)
}

const formType = "application/x-www-form-urlencoded"

// TestFirstPartyApps goes through draft-ietf-oauth-first-party-apps-04 by its sections.
func TestFirstPartyApps(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		test func(t *testing.T, w *faces.World, a *faces.App)
	}{
		{"5 first-party: another client", func(_ *testing.T, _ *faces.World, a *faces.App) {
			for _, id := range []string{"native", "own-app"} { // third-party; first-party and not allowed it
				a.Client = id
				a.Ask().Refuses(http.StatusBadRequest, "unauthorized_client")
			}
		}},
		{"5 first-party: a client without a secret", func(_ *testing.T, _ *faces.World, a *faces.App) {
			a.Client = "till"
			a.Ask().Refuses(http.StatusUnauthorized, "invalid_client")
		}},
		{"5 first-party: a client with a wrong secret", func(t *testing.T, _ *faces.World, a *faces.App) {
			a.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("till:wrong")))
			refused := a.Ask("client_id", "").Refuses(http.StatusUnauthorized, "invalid_client")
			if !strings.HasPrefix(refused.Header.Get("WWW-Authenticate"), "Basic ") {
				t.Errorf("the client is not told how: %v", refused.Header)
			}
		}},
		{"5 first-party: a client with its secret", func(t *testing.T, w *faces.World, a *faces.App) {
			a.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("till:secret")))
			a.Ask("client_id", "").Asks("password")
			redeem(t, w, "till", a.Answer(alice, "client_id", "").Granted())
		}},
		{"5 first-party: a client that nobody knows", func(_ *testing.T, _ *faces.World, a *faces.App) {
			a.Client = "unknown"
			a.Ask().Refuses(http.StatusUnauthorized, "invalid_client")
		}},

		{"5.1 post: another method", func(t *testing.T, _ *faces.World, a *faces.App) {
			for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodOptions} {
				refused := raw(t, a, method, "", formType, a.Asking().Encode()).Refuses(http.StatusMethodNotAllowed, "invalid_request")
				equal(t, "Allow", refused.Header.Get("Allow"), http.MethodPost)
			}
		}},
		{"5.1 post: JSON", func(t *testing.T, _ *faces.World, a *faces.App) {
			raw(t, a, http.MethodPost, "", "application/json", `{"response_type":"code"}`).
				Refuses(http.StatusUnsupportedMediaType, "invalid_request")
		}},
		{"5.1 post: no content type", func(t *testing.T, _ *faces.World, a *faces.App) {
			raw(t, a, http.MethodPost, "", "", a.Asking().Encode()).Refuses(http.StatusUnsupportedMediaType, "invalid_request")
		}},
		{"5.1 post: parameters in the query", func(t *testing.T, _ *faces.World, a *faces.App) {
			raw(t, a, http.MethodPost, "?"+a.Asking().Encode(), formType, "").Refuses(http.StatusBadRequest, "invalid_request")
		}},
		{"5.1 post: a parameter twice", func(t *testing.T, _ *faces.World, a *faces.App) {
			for _, name := range []string{"scope", "auth_session", "answers", "client_id"} {
				body := a.Asking().Encode() + "&" + name + "=a&" + name + "=a"
				raw(t, a, http.MethodPost, "", formType, body).Refuses(http.StatusBadRequest, "invalid_request")
			}
		}},
		{"5.1 post: too large", func(t *testing.T, _ *faces.World, a *faces.App) {
			raw(t, a, http.MethodPost, "", formType, "answers="+strings.Repeat("a", 70<<10)).
				Refuses(http.StatusRequestEntityTooLarge, "invalid_request")
		}},

		{"5.1 client_id: nobody is named", func(_ *testing.T, _ *faces.World, a *faces.App) {
			a.Ask("client_id", "").Refuses(http.StatusUnauthorized, "invalid_client")
		}},
		{"5.1 client_id: auth_session names it", func(_ *testing.T, _ *faces.World, a *faces.App) {
			a.Ask().Asks("password")
			a.Answer(alice, "client_id", "").Granted()
			a.Ask("client_id", "").Granted()
		}},
		{"5.1 client_id: auth_session names it and is another's", func(_ *testing.T, _ *faces.World, a *faces.App) {
			a.Ask().Asks("password")
			a.Answer(alice, "client_id", "tablet").Refuses(http.StatusBadRequest, "invalid_session")
			a.Answer(alice).Granted() // it was not spent by that
		}},
		{"5.1 client_id: auth_session is no secret of a client", func(_ *testing.T, _ *faces.World, a *faces.App) {
			a.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("till:secret")))
			a.Ask("client_id", "").Asks("password")
			a.Header.Del("Authorization")
			a.Answer(alice, "client_id", "").Refuses(http.StatusUnauthorized, "invalid_client")
		}},

		{"5.1 response_type: missing", func(_ *testing.T, _ *faces.World, a *faces.App) {
			a.Ask("response_type", "").Refuses(http.StatusBadRequest, "invalid_request")
		}},
		{"5.1 response_type: another", func(_ *testing.T, _ *faces.World, a *faces.App) {
			a.Ask("response_type", "token").Refuses(http.StatusBadRequest, "unsupported_response_type")
		}},
		{"5.1 params: no PKCE", func(_ *testing.T, _ *faces.World, a *faces.App) {
			a.Ask("code_challenge", "").Refuses(http.StatusBadRequest, "invalid_request")
			a.Ask("code_challenge_method", "plain").Refuses(http.StatusBadRequest, "invalid_request")
		}},
		{"5.1 params: a scope that the client may not ask for", func(_ *testing.T, _ *faces.World, a *faces.App) {
			a.Ask("scope", "openid everything").Refuses(http.StatusBadRequest, "invalid_scope")
		}},
		{"5.1 params: a level that nobody knows", func(_ *testing.T, _ *faces.World, a *faces.App) {
			a.Ask("acr_values", "platinum").Refuses(http.StatusBadRequest, "unmet_authentication_requirements")
		}},
		{"5.1 params: a request object", func(_ *testing.T, _ *faces.World, a *faces.App) {
			a.Ask("request", "x").Refuses(http.StatusBadRequest, "request_not_supported")
			a.Ask("request_uri", "urn:x").Refuses(http.StatusBadRequest, "request_uri_not_supported")
		}},
		{"5.1 params: prompts that need a page", func(_ *testing.T, _ *faces.World, a *faces.App) {
			a.Ask("prompt", "none").Refuses(http.StatusBadRequest, "invalid_request")
			a.Ask("prompt", "consent").Refuses(http.StatusBadRequest, "consent_required")
		}},
		{"5.1 no-redirect", func(t *testing.T, w *faces.World, a *faces.App) {
			a.Ask("redirect_uri", "https://portal.example.com/callback").Refuses(http.StatusBadRequest, "invalid_request")
			a.Ask().Asks("password")
			code := a.Answer(alice).Granted()
			with := authz.Redemption{Code: code, ClientID: "mobile", Verifier: faces.Verifier, RedirectURI: "https://portal.example.com/callback"}
			result, err := w.Store.Redeem(t.Context(), with)
			if err != nil || result.Outcome != authz.RedeemMismatch {
				t.Errorf("a redirect_uri at the token endpoint: %q (%v)", result.Outcome, err)
			}
			redeem(t, w, "mobile", code)
		}},

		{"5.2.1 success", func(t *testing.T, w *faces.World, a *faces.App) {
			a.Ask().Asks("password")
			reply := a.Answer(alice)
			grant := redeem(t, w, "mobile", reply.Granted())
			for name, want := range map[string]string{
				"Cache-Control": "no-store", "Pragma": "no-cache", "Content-Type": "application/json", "X-Content-Type-Options": "nosniff",
			} {
				equal(t, name, reply.Header.Get(name), want)
			}
			if reply.AuthSession == "" || strings.Contains(reply.Body, `"code"`) {
				t.Errorf("the reply is\n%s", reply.Body)
			}
			equal(t, "user", grant.Subject, faces.Alice)
			equal(t, "session", grant.SessionID, sessions(t, w, faces.Alice)[0].ID)
		}},
		{"5.2.2 error", func(t *testing.T, _ *faces.World, a *faces.App) {
			refused := a.Ask("scope", "everything").Refuses(http.StatusBadRequest, "invalid_scope")
			allowed := regexp.MustCompile(`^[\x20\x21\x23-\x5b\x5d-\x7e]+$`)
			if !allowed.MatchString(refused.Description) {
				t.Errorf("error_description is %q", refused.Description)
			}
			equal(t, "Cache-Control", refused.Header.Get("Cache-Control"), "no-store")
		}},
		{"5.2.2.1 invalid_session: never was", func(_ *testing.T, _ *faces.World, a *faces.App) {
			for _, held := range []string{"ats_unknown.secret", "ats_", "x", "ses_a.b", strings.Repeat("a", 200)} {
				a.Held = held
				a.Ask().Refuses(http.StatusBadRequest, "invalid_session")
				a.Ask("client_id", "").Refuses(http.StatusBadRequest, "invalid_session")
			}
		}},
		{"5.2.2.1 invalid_session: expired", func(_ *testing.T, w *faces.World, a *faces.App) {
			a.Ask().Asks("password")
			w.Clock.Advance(authz.RequestTTL)
			a.Answer(alice).Refuses(http.StatusBadRequest, "invalid_session")
		}},
		{"5.2.2.1 invalid_session: another's", func(_ *testing.T, w *faces.World, a *faces.App) {
			a.Ask().Asks("password")
			a.Client = "tablet"
			a.Answer(alice).Refuses(http.StatusBadRequest, "invalid_session")
			a.Ask().Refuses(http.StatusBadRequest, "invalid_session")
		}},
		{"5.2.2.1 invalid_session: one from before", func(t *testing.T, _ *faces.World, a *faces.App) {
			a.Ask("scope", "payments:write").Asks("password")
			before := a.Held
			a.Answer(alice).Asks("pin")
			after := a.Held
			if before == after {
				t.Fatal("auth_session is the same as before the proof")
			}
			a.Held = before
			a.Answer(pin(faces.PIN)).Refuses(http.StatusBadRequest, "invalid_session")
			a.Ask().Refuses(http.StatusBadRequest, "invalid_session")
			a.Held = after
			a.Answer(pin(faces.PIN)).Granted()
		}},
		{"5.2.2.1 insufficient", func(t *testing.T, _ *faces.World, a *faces.App) {
			reply := a.Ask("scope", "payments:write").Asks("password")
			equal(t, "Cache-Control", reply.Header.Get("Cache-Control"), "no-store")
			equal(t, "expires_in", reply.ExpiresIn, int64(authz.RequestTTL/time.Second))
			if reply.AuthSession == "" || reply.Description == "" {
				t.Errorf("the reply is\n%s", reply.Body)
			}
			next := a.Answer(alice).Asks("pin")
			if next.AuthSession == reply.AuthSession || next.AuthSession == "" {
				t.Errorf("auth_session is %q after %q", next.AuthSession, reply.AuthSession)
			}
			wrong := a.Answer(pin("9999")).Asks("pin")
			equal(t, "auth_session after a wrong answer", wrong.AuthSession, next.AuthSession)
		}},

		{"5.3.1 opaque", func(t *testing.T, w *faces.World, a *faces.App) {
			held := a.Ask("login_hint", "alice").AuthSession
			_, secret, _ := strings.Cut(held, ".")
			if bits, err := base64.RawURLEncoding.DecodeString(secret); err != nil || len(bits) != 32 {
				t.Errorf("the secret has %d bytes (%v)", len(bits), err)
			}
			if other := w.App(t).Ask("login_hint", "alice").AuthSession; other == held {
				t.Error("two apps hold the same")
			}
			handle, ok := authz.ParseAuthSessionHandle(held)
			record, err := w.Store.AuthSession(t.Context(), handle, "mobile")
			if !ok || err != nil || record.SecretHash != randid.Hash(secret) {
				t.Errorf("what is kept of the secret is %q (%v)", record.SecretHash, err)
			}
		}},
		{"5.3.1 client-keep", func(t *testing.T, w *faces.World, a *faces.App) {
			a.SignIn(faces.AliceLogin)
			a.Ask().Granted() // nothing is asked again while it is fresh
			equal(t, "sessions", len(sessions(t, w, faces.Alice)), 1)
		}},

		{"9.8 spa: no CORS", func(t *testing.T, _ *faces.World, a *faces.App) {
			a.Header.Set("Origin", "https://spa.example")
			reply := a.Ask().Asks("password")
			for name := range reply.Header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s is sent", name)
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.test(t, w, w.App(t))
		})
	}
}

// What stands in a parameter reaches the log without secrets: neither answers nor handles.
func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	secrets := []string{}
	keep := func() { secrets = append(secrets, a.Held[strings.Index(a.Held, ".")+1:]) }
	a.Ask("scope", "payments:write")
	keep()
	a.Answer(faces.ByPassword(faces.AliceLogin, "a-wrong-secret"))
	a.Answer(faces.ByPassword(faces.AliceLogin, faces.PasswordBroken))
	a.Answer(faces.Answers{"a-wrong-secret": {"x": "a-wrong-secret"}})
	a.Send(url.Values{"client_id": {"mobile"}, "auth_session": {a.Held}, "answers": {`{"a-wrong-secret`}})
	a.Answer(alice)
	keep()
	code := a.Answer(pin(faces.PIN)).Granted()
	keep()
	for _, secret := range append(secrets, "a-wrong-secret", faces.Password, code) {
		if strings.Contains(w.Log.String(), secret) {
			t.Errorf("the log tells %q:\n%s", secret, w.Log)
		}
	}
}
