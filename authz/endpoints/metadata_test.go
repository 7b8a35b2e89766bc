// SPDX-License-Identifier: Apache-2.0

package endpoints_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/authz/endpoints"
	"github.com/gatehouse-id/gatehouse/internal/jose"
)

func decode(t *testing.T, part string) string {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(part)
	check(t, err)
	return string(data)
}

func (w *world) document(t *testing.T, path string) map[string]any {
	t.Helper()
	a := w.send(t, get(t, path))
	if a.Code != 200 || a.Header().Get("Content-Type") != "application/json" || a.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%s: %d %v", path, a.Code, a.Header())
	}
	var document map[string]any
	check(t, json.Unmarshal(a.Body.Bytes(), &document))
	return document
}

func TestRFC8414(t *testing.T) { // and OpenID Connect Discovery 3
	t.Parallel()
	w := newWorld(t)
	got := w.document(t, authz.PathOpenID)
	methods := []any{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	algs := []any{"ES256", "EdDSA", "RS256", "PS256"}
	want := map[string]any{
		"issuer":                           issuer,
		"authorization_challenge_endpoint": issuer + "/authorize-challenge", "pushed_authorization_request_endpoint": issuer + "/par",
		"authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token", "jwks_uri": issuer + "/jwks",
		"userinfo_endpoint": issuer + "/userinfo", "introspection_endpoint": issuer + "/introspect", "revocation_endpoint": issuer + "/revoke",
		"end_session_endpoint": issuer + "/logout",
		"scopes_supported":     []any{"openid", "profile", "email", "accounts:read"},
		"claims_supported": []any{
			"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash",
			"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender",
			"birthdate", "zoneinfo", "locale", "updated_at", "email", "email_verified",
		},
		"acr_values_supported": []any{"gold", "password"}, "ui_locales_supported": []any{"en", "nl"},
		"response_types_supported": []any{"code"}, "response_modes_supported": []any{"query", "form_post"},
		"grant_types_supported":   []any{"authorization_code", "refresh_token", "client_credentials"},
		"subject_types_supported": []any{"public"}, "code_challenge_methods_supported": []any{"S256"},
		"id_token_signing_alg_values_supported":            []any{"ES256", "RS256"},
		"token_endpoint_auth_methods_supported":            append(slices.Clone(methods), "none"),
		"token_endpoint_auth_signing_alg_values_supported": algs,
		"introspection_endpoint_auth_methods_supported":    methods, "introspection_endpoint_auth_signing_alg_values_supported": algs,
		"introspection_signing_alg_values_supported":            []any{"ES256", "RS256"},
		"revocation_endpoint_auth_methods_supported":            append(slices.Clone(methods), "none"),
		"revocation_endpoint_auth_signing_alg_values_supported": algs,
		"claims_parameter_supported":                            false, "request_parameter_supported": false, "request_uri_parameter_supported": false,
		"authorization_response_iss_parameter_supported": true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	t.Run("Discovery 3 with-8414", func(t *testing.T) {
		t.Parallel()
		if diff := cmp.Diff(got, w.document(t, authz.PathMetadata)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("3.2 no empty arrays", func(t *testing.T) {
		t.Parallel()
		for name, value := range got {
			if list, ok := value.([]any); ok && len(list) == 0 {
				t.Errorf("%s is empty", name)
			}
		}
	})
	t.Run("2 alg-lists: none is never there", func(t *testing.T) {
		t.Parallel()
		for name, value := range got {
			if list, ok := value.([]any); ok && strings.Contains(name, "alg_values") && slices.Contains(list, any("none")) {
				t.Errorf("%s has none", name)
			}
		}
	})
	t.Run("every endpoint that is named is there", func(t *testing.T) {
		t.Parallel()
		elsewhere := []string{authz.PathAuthorize, authz.PathPushed, authz.PathChallenge, authz.PathToken} // other faces of the server
		for name, value := range got {
			address, ok := value.(string)
			if !ok || !strings.HasSuffix(name, "_endpoint") && name != "jwks_uri" {
				continue
			}
			path := strings.TrimPrefix(address, issuer)
			if w.handler.Routes()[path] == nil && !slices.Contains(elsewhere, path) {
				t.Errorf("%s: nothing at %q", name, path)
			}
		}
	})
	t.Run("methods", func(t *testing.T) {
		t.Parallel()
		for method, status := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "OPTIONS": 405} {
			for _, path := range []string{authz.PathOpenID, authz.PathJWKS} {
				a := w.send(t, httptest.NewRequestWithContext(t.Context(), method, path, nil))
				if a.Code != status || status == 405 && strings.Contains(a.Body.String(), "keys") {
					t.Errorf("%s %s: %d %s", method, path, a.Code, a.Body)
				}
			}
		}
		for _, path := range []string{authz.PathOpenID, authz.PathJWKS, authz.PathRevoke, authz.PathUserinfo} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodOptions, path, nil)
			r.Header.Set("Access-Control-Request-Method", "GET")
			if a := w.send(t, r); a.Code != 204 || a.Body.Len() > 0 || a.Header().Get("WWW-Authenticate") != "" {
				t.Errorf("preflight of %s: %d %v %s", path, a.Code, a.Header(), a.Body)
			}
		}
	})
}

// TestMetadataPaths holds RFC 8414 3 and 5 and OpenID Connect Discovery 4 for an issuer with a path.
func TestMetadataPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := w.config(t, &clientauth.Authenticator{Clients: w.clients, Store: w.store, Issuer: issuer + "/t1", Now: w.clock.Now}, nopLogger())
	config.Issuer = issuer + "/t1"
	h, err := endpoints.New(config)
	check(t, err)
	var paths []string
	for path, handler := range h.WellKnown() {
		paths = append(paths, path)
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, get(t, path))
		if !strings.Contains(recorder.Body.String(), `"issuer":"`+issuer+`/t1"`) || !strings.Contains(recorder.Body.String(), issuer+"/t1/token") {
			t.Errorf("%s: %s", path, recorder.Body)
		}
	}
	slices.Sort(paths)
	want := []string{
		"/.well-known/oauth-authorization-server/t1", "/.well-known/openid-configuration/t1",
		"/t1/.well-known/oauth-authorization-server", "/t1/.well-known/openid-configuration",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
}

// RFC 9396 10: the types are listed where there are any.
func TestDetailTypesAreListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, ok := w.document(t, "/.well-known/openid-configuration")["authorization_details_types_supported"]; ok {
		t.Error("types are listed where there are none")
	}
	config := w.config(t, &clientauth.Authenticator{Clients: w.clients, Store: w.store, Issuer: issuer, Now: w.clock.Now}, nopLogger())
	config.Metadata.DetailTypes = []string{"accounts", "payment"}
	h, err := endpoints.New(config)
	check(t, err)
	w.handler = h
	want := []any{"accounts", "payment"}
	if diff := cmp.Diff(want, w.document(t, "/.well-known/openid-configuration")["authorization_details_types_supported"]); diff != "" {
		t.Error(diff)
	}
}

// OpenID CIBA Core 4: what there is for clients that ask people on their phones, and nothing where there are none.
func TestBackchannelMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := []string{
		"backchannel_authentication_endpoint", "backchannel_token_delivery_modes_supported",
		"backchannel_authentication_request_signing_alg_values_supported", "backchannel_user_code_parameter_supported",
	}
	for _, name := range names {
		if value, there := w.document(t, authz.PathOpenID)[name]; there {
			t.Errorf("%s is %v where there is nothing", name, value)
		}
	}
	for _, codes := range []bool{false, true} {
		config := w.config(t, &clientauth.Authenticator{Clients: w.clients, Store: w.store, Issuer: issuer, Now: w.clock.Now}, nopLogger())
		config.Metadata.Backchannel = &endpoints.Backchannel{Modes: []string{"poll", "ping"}, UserCode: codes}
		h, err := endpoints.New(config)
		check(t, err)
		w.handler = h
		want := map[string]any{
			names[0]: issuer + "/bc-authorize", names[1]: []any{"poll", "ping"}, names[2]: []any{"ES256", "EdDSA", "RS256", "PS256"}, names[3]: codes,
		}
		got := w.document(t, authz.PathMetadata)
		for _, name := range names {
			if diff := cmp.Diff(want[name], got[name]); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
}

// RFC 8705 3.3, 5: what clients with certificates find, and nothing where there are none.
func TestMutualTLSMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const bound, aliases, methods = "tls_client_certificate_bound_access_tokens", "mtls_endpoint_aliases", "token_endpoint_auth_methods_supported"
	document := w.document(t, authz.PathOpenID)
	if document[bound] != nil || document[aliases] != nil {
		t.Errorf("%v and %v where there is nothing", document[bound], document[aliases])
	}
	for _, origin := range []string{"", "https://mtls.example.com"} {
		config := w.config(t, &clientauth.Authenticator{Clients: w.clients, Store: w.store, Issuer: issuer + "/t1", Now: w.clock.Now}, nopLogger())
		config.Issuer = issuer + "/t1"
		config.Metadata.Backchannel = new(endpoints.Backchannel)
		config.Metadata.MutualTLS = &endpoints.MutualTLS{Origin: origin, Methods: []string{"tls_client_auth"}}
		h, err := endpoints.New(config)
		check(t, err)
		w.handler = h
		got := w.document(t, "/t1"+authz.PathMetadata)
		if got[bound] != true {
			t.Errorf("%s is %v", bound, got[bound])
		}
		want := map[string]any(nil)
		if origin != "" {
			want = map[string]any{}
			for name, path := range map[string]string{
				"token_endpoint": "token", "pushed_authorization_request_endpoint": "par", "introspection_endpoint": "introspect",
				"authorization_challenge_endpoint": "authorize-challenge", "revocation_endpoint": "revoke", "userinfo_endpoint": "userinfo",
				"backchannel_authentication_endpoint": "bc-authorize",
			} {
				want[name] = origin + "/t1/" + path
			}
		}
		found, _ := got[aliases].(map[string]any)
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("%q: %s", origin, diff)
		}
		for _, name := range []string{methods, "introspection_endpoint_auth_methods_supported", "revocation_endpoint_auth_methods_supported"} {
			if list, _ := got[name].([]any); !slices.Contains(list, any("tls_client_auth")) {
				t.Errorf("%s: %v", name, list)
			}
		}
	}
}

func TestRS256IsListedOnlyWithAKey(t *testing.T) { // OpenID Connect Discovery 3
	t.Parallel()
	w := newWorld(t)
	w.ring = newRing(t, 1)
	h, err := endpoints.New(w.config(t, &clientauth.Authenticator{Clients: w.clients, Store: w.store, Issuer: issuer, Now: w.clock.Now}, nopLogger()))
	check(t, err)
	w.handler = h
	if diff := cmp.Diff([]any{"ES256"}, w.document(t, authz.PathOpenID)["id_token_signing_alg_values_supported"]); diff != "" {
		t.Error(diff)
	}
}

func TestJWKS(t *testing.T) { // OpenID Connect Core 10
	t.Parallel()
	w := newWorld(t)
	a := w.send(t, get(t, authz.PathJWKS))
	keys, err := jose.ParseSet(a.Body.Bytes())
	check(t, err)
	if len(keys) != 2 || a.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%d keys, %v", len(keys), a.Header())
	}
	t.Run("10.2.1 cache", func(t *testing.T) {
		t.Parallel()
		tag := a.Header().Get("ETag")
		if a.Header().Get("Cache-Control") != "public, max-age=3600" || !strings.HasPrefix(tag, `"`) || !strings.HasSuffix(tag, `"`) {
			t.Errorf("%v", a.Header())
		}
		for value, status := range map[string]int{
			tag: 304, `"x", ` + tag: 304, "W/" + tag: 304, "*": 304, `"x"`: 200, "": 200, strings.Trim(tag, `"`): 200,
		} {
			r := get(t, authz.PathJWKS)
			r.Header.Set("If-None-Match", value)
			b := w.send(t, r)
			if b.Code != status || status == 304 && (b.Body.Len() != 0 || b.Header().Get("ETag") != tag) {
				t.Errorf("If-None-Match %s: %d %v", value, b.Code, b.Header())
			}
		}
	})
	t.Run("Discovery 3 jwks: nothing secret", func(t *testing.T) {
		t.Parallel()
		var set struct{ Keys []map[string]any }
		check(t, json.Unmarshal(a.Body.Bytes(), &set))
		for _, key := range set.Keys {
			for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "k", "oth"} {
				if key[name] != nil {
					t.Errorf("key %v has %s", key["kid"], name)
				}
			}
			if key["kid"] == "" || key["alg"] == "" || key["use"] != "sig" {
				t.Errorf("%v", key)
			}
		}
	})
	t.Run("wrong method", func(t *testing.T) {
		t.Parallel()
		if b := w.send(t, post(t, authz.PathJWKS, url.Values{})); b.Code != 405 || b.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%d %v", b.Code, b.Header())
		}
	})
}

func TestNothingIsPublishedBeforeTheKeysAreThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	*w.ring = ring{}
	for _, path := range []string{authz.PathJWKS, authz.PathOpenID, authz.PathMetadata} {
		a := w.send(t, get(t, path))
		if a.Code != http.StatusServiceUnavailable || a.Header().Get("Retry-After") == "" || a.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", path, a.Code, a.Header())
		}
	}
}

func TestNewRefusesAnIncompleteConfig(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	auth := &clientauth.Authenticator{Clients: w.clients, Store: w.store, Issuer: issuer, Now: w.clock.Now}
	for name, change := range map[string]func(*endpoints.Config){
		"issuer": func(c *endpoints.Config) { c.Issuer = "http://auth.example.com" }, "tokens": func(c *endpoints.Config) { c.Tokens = nil },
		"clients": func(c *endpoints.Config) { c.Clients = nil }, "revocations": func(c *endpoints.Config) { c.Apply = nil },
		"store": func(c *endpoints.Config) { c.Store = nil }, "keys": func(c *endpoints.Config) { c.Keys = nil },
		"hints": func(c *endpoints.Config) { c.Hints = nil }, "profiles": func(c *endpoints.Config) { c.Profiles = nil },
		"sessions": func(c *endpoints.Config) { c.Sessions = nil }, "pages": func(c *endpoints.Config) { c.Pages = nil },
		"trail": func(c *endpoints.Config) { c.Trail = nil }, "logger": func(c *endpoints.Config) { c.Logger = nil },
	} {
		c := w.config(t, auth, nopLogger())
		change(&c)
		if _, err := endpoints.New(c); err == nil {
			t.Errorf("accepted without %s", name)
		}
	}
}
