// SPDX-License-Identifier: Apache-2.0

package endpoints_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/validation"
)

const signedType = "application/token-introspection+jwt"

// ask introspects with an Accept header.
func (w *world) ask(t testing.TB, accept, authorization, token string) *httptest.ResponseRecorder {
	t.Helper()
	r := post(t, authz.PathIntrospect, url.Values{"token": {token}})
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return w.send(t, r)
}

func TestRFC9701(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, _ := w.login(t, "usr_1")
	token := w.issue(t, "web", s, "openid").Access
	plain := w.introspect(t, "api", token)
	for _, tt := range []struct {
		name, accept, caller, token string
		signed                      bool
		alg                         jose.Algorithm
		want                        string
	}{
		{"4 accept", signedType, "api", token, true, jose.ES256, plain},
		{"4 accept among others", "application/json;q=0.5, " + signedType + ";q=0.9", "api", token, true, jose.ES256, plain},
		{"4 without it, JSON", "", "api", token, false, "", plain},
		{"4 anything, JSON", "*/*", "api", token, false, "", plain},
		{"4 refused in words, JSON", signedType + ";q=0", "api", token, false, "", plain},
		{"5 inactive: garbage", signedType, "api", "garbage", true, jose.ES256, dead},
		{"5 inactive: not for the caller", signedType, "api2", token, true, jose.ES256, dead},
		{"6 introspection_signed_response_alg", signedType, "signs", token, true, jose.RS256, plain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := w.ask(t, tt.accept, basic(tt.caller, secret), tt.token)
			want := "application/json"
			if tt.signed {
				want = signedType
			}
			if a.Code != 200 || a.Header().Get("Content-Type") != want || a.Header().Get("Cache-Control") != "no-store" {
				t.Fatalf("%d %v %s", a.Code, a.Header(), a.Body)
			}
			if !tt.signed {
				if a.Body.String() != tt.want {
					t.Errorf("the answer is %s, want %s", a.Body, tt.want)
				}
				return
			}
			parsed, err := jose.Parse(a.Body.String())
			check(t, err)
			key, ok := w.ring.Key(t.Context(), parsed.Header.KID)
			if !ok || parsed.Verify(key) != nil || parsed.Header.Typ != "token-introspection+jwt" || parsed.Header.Alg != tt.alg {
				t.Errorf("header %+v", parsed.Header)
			}
			var claims map[string]json.RawMessage
			check(t, json.Unmarshal(parsed.Payload, &claims))
			got := map[string]string{}
			for name, value := range claims {
				got[name] = string(value)
			}
			wantIssued, err := json.Marshal(w.clock.Now().Unix())
			check(t, err)
			if diff := cmp.Diff(map[string]string{
				"iss": `"` + issuer + `"`, "aud": `"` + tt.caller + `"`, "iat": string(wantIssued), "token_introspection": tt.want,
			}, got); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

// 5 unauth-400: without credentials a signed response is refused with 400; bad ones are 401 in any case.
func TestRFC9701Callers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		name, accept, authorization string
		status                      int
	}{
		{"no credentials, signed", signedType, "", 400},
		{"no credentials, JSON", "", "", 401},
		{"bad credentials, signed", signedType, basic("api", "guess"), 401},
		{"a bad token, signed", signedType, "Bearer x", 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if a := w.ask(t, tt.accept, tt.authorization, "x"); a.Code != tt.status || a.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%d %v %s", a.Code, a.Header(), a.Body)
			}
		})
	}
}

// 8.1 cross-jwt: evidence is no token.
func TestSignedIntrospectionIsNoToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, _ := w.login(t, "usr_1")
	a := w.ask(t, signedType, basic("all", secret), w.issue(t, "web", s, "openid").Access)
	evidence := a.Body.String()
	if got := w.introspect(t, "all", evidence); got != dead {
		t.Errorf("it is introspected as %s", got)
	}
	if got := w.userinfo(t, evidence); got.Code != 401 {
		t.Errorf("userinfo answers it with %d", got.Code)
	}
	for _, typ := range []string{validation.TypAccessToken, validation.TypJWT} {
		v, err := validation.New(validation.Config{
			Issuer: issuer, Audience: []string{"all"}, Keys: validation.KeyFunc(w.ring.Key), Now: w.clock.Now, Typ: typ,
		})
		check(t, err)
		if p, err := v.Inspect(t.Context(), evidence); err == nil {
			t.Errorf("as %s it speaks for %+v", typ, p)
		}
	}
}

// RFC 7662 2.1 authorize: a resource server may come with an access token instead of its secret.
func TestRFC7662Bearer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, _ := w.login(t, "usr_1")
	about := w.issue(t, "web", s, "openid").Access
	own := func(client string, scopes ...string) string {
		t.Helper()
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {strings.Join(scopes, " ")}}
		r := post(t, authz.PathToken, form)
		r.Header.Set("Authorization", basic(client, secret))
		recorder := httptest.NewRecorder()
		w.grants.ServeHTTP(recorder, r)
		var answer struct {
			Token string `json:"access_token"`
		}
		check(t, json.Unmarshal(recorder.Body.Bytes(), &answer))
		if answer.Token == "" {
			t.Fatalf("%s gets no token: %s", client, recorder.Body)
		}
		return answer.Token
	}
	for _, tt := range []struct {
		name, token string
		status      int
		challenge   string
	}{
		{"with the scope", own("machine", "gatehouse:introspect"), 200, ""},
		{"without the scope", own("machine", "accounts:read"), 403, `scope="gatehouse:introspect"`},
		{"for another audience", own("deaf", "gatehouse:introspect"), 401, `error="invalid_token"`},
		{"of a user", w.issue(t, "machine", s, "gatehouse:introspect").Access, 401, `error="invalid_token"`},
		{"garbage", "garbage", 401, `error="invalid_token"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := w.ask(t, "", "Bearer "+tt.token, about)
			if a.Code != tt.status || !strings.Contains(a.Header().Get("WWW-Authenticate"), tt.challenge) {
				t.Errorf("%d %v %s", a.Code, a.Header(), a.Body)
			}
			if active := strings.Contains(a.Body.String(), `"active":true`); active != (tt.status == 200) {
				t.Errorf("the answer is %s", a.Body)
			}
		})
	}
}
