// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestBearer(t *testing.T) {
	t.Parallel()
	h := common(t)
	reader, payer := h.machine(t, "accounts:read"), h.machine(t, "accounts:read payments:write")
	cases := []struct {
		name, address string
		token         string
		status        int
		challenge     string // that the answer holds; none is allowed without
	}{
		{name: "a token with the scope", address: h.api + "/private", token: reader, status: 200},
		{name: "no token", address: h.api + "/private", status: 401, challenge: "Bearer resource_metadata="},
		{name: "no token, another case", address: h.api + "/PRIVATE/a", status: 401, challenge: "Bearer resource_metadata="},
		{name: "a token of nobody", address: h.api + "/private", token: "x.y.z", status: 401, challenge: `error="invalid_token"`},
		{name: "too little scope", address: h.api + "/payments/1", token: reader, status: 403, challenge: `scope="payments:write"`},
		{name: "enough scope", address: h.api + "/payments/1", token: payer, status: 200},
		{name: "no rule", address: h.api + "/elsewhere", status: 200},
		{name: "a rule that is off", address: h.api + "/health", status: 200},
		{name: "a rule that is off, with a bad token", address: h.api + "/health", token: "x.y.z", status: 200},
		{name: "an optional rule", address: h.api + "/open", status: 200},
		{name: "an optional rule, with a token", address: h.api + "/open", token: reader, status: 200},
		{name: "an optional rule, with a bad token", address: h.api + "/open", token: "x.y.z", status: 401, challenge: "invalid_token"},
		{name: "the narrow rule of a wide one", address: h.all + "/health", status: 200},
		{name: "beside the narrow rule", address: h.all + "/healthy", status: 401, challenge: "Bearer"},
		{name: "below the narrow rule", address: h.all + "/health/", status: 401, challenge: "Bearer"},
		{name: "a rule of the site and one of its handle", address: h.nested + "/outer/inner", token: payer, status: 200},
		{name: "only the rule of the site", address: h.nested + "/outer/inner", token: reader, status: 403, challenge: "payments:write"},
		{name: "a rule that is off in a handle", address: h.nested + "/off", status: 200},
		{name: "the token where a session will do", address: h.web + "/", token: reader, status: 200},
		{name: "no token and no browser", address: h.web + "/", status: 401, challenge: "Bearer"},
		{name: "the site of the issuer", address: h.issuer + "/site", token: reader, status: 200},
		{name: "the site of the issuer, without", address: h.issuer + "/site", status: 401, challenge: "Bearer"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var change []func(*http.Request)
			if c.token != "" {
				change = append(change, bearer(c.token))
			}
			got := send(t, http.MethodGet, c.address, change...)
			if got.Status != c.status {
				t.Errorf("status %d, want %d: %s", got.Status, c.status, got.Body)
			}
			if got.reached() != (c.status == http.StatusOK) {
				t.Errorf("that the request reaches the upstream is %v", got.reached())
			}
			challenge := got.Header.Get("WWW-Authenticate")
			if !strings.Contains(challenge, c.challenge) || (challenge == "") != (c.challenge == "") {
				t.Errorf("the challenge is %q, want %q", challenge, c.challenge)
			}
			if c.status != http.StatusOK && got.Header.Get("Cache-Control") != "no-store" {
				t.Error("a refusal may be cached")
			}
		})
	}
}

// TestRefusalsReachHandleErrors: the site dresses the refusal, and the challenge stays.
func TestRefusalsReachHandleErrors(t *testing.T) {
	t.Parallel()
	h := common(t)
	got := send(t, http.MethodGet, h.api+"/payments", bearer(h.machine(t, "accounts:read")))
	if got.Status != http.StatusForbidden || got.Body != "handled 403" {
		t.Errorf("the answer is %d %q", got.Status, got.Body)
	}
	if challenge := got.Header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="insufficient_scope"`) {
		t.Errorf("the challenge is %q", challenge)
	}
}

// TestUpstreamHearsWhoIsAsking and nothing that proves it.
func TestUpstreamHearsWhoIsAsking(t *testing.T) {
	t.Parallel()
	h := common(t)
	token := h.user(t, "alice", "openid accounts:read payments:write").Access
	got := send(t, http.MethodGet, h.api+"/payments", bearer(token))
	heard := got.heard(t)
	for name, want := range map[string]string{
		"Gatehouse-Client": "app", "Gatehouse-Acr": "password", "Gatehouse-Scope": "openid accounts:read payments:write", "Authorization": "",
	} {
		if value := heard.Header.Get(name); value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	subject := heard.Header.Get("Gatehouse-Subject")
	if !strings.HasPrefix(subject, "usr_") {
		t.Errorf("the subject is %q", subject)
	}
	if strings.Count(heard.Header.Get("Gatehouse-Assertion"), ".") != 2 {
		t.Errorf("the assertion is %q", heard.Header.Get("Gatehouse-Assertion"))
	}
	if want := subject + "|openid accounts:read payments:write|"; got.Header.Get("X-Placeholder") != want {
		t.Errorf("the placeholders are %q, want %q", got.Header.Get("X-Placeholder"), want)
	}
	kept := send(t, http.MethodGet, h.api+"/lenient", bearer(token)).heard(t)
	if kept.Header.Get("Authorization") != "Bearer "+token {
		t.Error("the token is not forwarded where it was to be")
	}
	renamed := send(t, http.MethodGet, h.api+"/remote", bearer(token), header("X-Remote-Nothing", "mallory")).heard(t)
	if renamed.Header.Get("X-Remote-User") != subject || renamed.Header.Get("X-Remote-Nothing") != "" {
		t.Errorf("the fields of the site's own choice are %v", renamed.Header)
	}
}

// TestAssertionIsNoToken: what an upstream gets cannot be used against the gate.
func TestAssertionIsNoToken(t *testing.T) {
	t.Parallel()
	h := common(t)
	heard := send(t, http.MethodGet, h.api+"/payments", bearer(h.machine(t, "payments:write"))).heard(t)
	got := send(t, http.MethodGet, h.api+"/payments", bearer(heard.Header.Get("Gatehouse-Assertion")))
	if got.Status != http.StatusUnauthorized {
		t.Errorf("the assertion passes as a token: %d", got.Status)
	}
}

// TestMetadata: every protected site says where its tokens come from (RFC 9728 3), and asks for none there.
func TestMetadata(t *testing.T) {
	t.Parallel()
	h := common(t)
	for _, site := range []string{h.api, h.all, h.web, h.nested} {
		for _, path := range []string{"", "/private"} {
			got := send(t, http.MethodGet, site+"/.well-known/oauth-protected-resource"+path)
			if got.Status != http.StatusOK || !strings.Contains(got.Body, `"resource":"`+site+path+`"`) || !strings.Contains(got.Body, h.issuer) {
				t.Errorf("%s: %d %s", site+path, got.Status, got.Body)
			}
		}
	}
}

// TestForwardedHeadersChangeNothing: nobody in front is trusted, so what a client says about itself is not believed
// (GHSA-7x63-xv5r-3p2x and its kin).
func TestForwardedHeadersChangeNothing(t *testing.T) {
	t.Parallel()
	h := common(t)
	lies := map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "evil.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443",
		"X-Forwarded-Uri": "/health", "X-Forwarded-Method": "OPTIONS", "X-Forwarded-Prefix": "/evil", "X-Original-Url": "/health",
		"X-Rewrite-Url": "/health", "X-Original-Uri": "/health", "X-Real-Ip": "10.0.0.1", "Forwarded": "for=10.0.0.1;host=evil.example.com;proto=https",
		"X-Http-Method-Override": "GET", "User-Agent": "kube-probe/1.0", "X-Forwarded-User": "alice", "X-Forwarded-Email": "alice@example.com",
	}
	lie := func(r *http.Request) {
		for name, value := range lies {
			r.Header.Set(name, value)
		}
	}
	for _, address := range []string{
		h.api + "/private", h.web + "/page", h.issuer + "/.well-known/openid-configuration", h.issuer + "/authorize?client_id=app",
		h.api + "/.well-known/oauth-protected-resource",
	} {
		honest := send(t, http.MethodGet, address, navigate)
		got := send(t, http.MethodGet, address, navigate, lie)
		if got.Status != honest.Status {
			t.Errorf("%s: status %d instead of %d", address, got.Status, honest.Status)
		}
		if strings.Contains(got.Header.Get("Location")+got.Header.Get("WWW-Authenticate")+got.Body, "evil.example.com") {
			t.Errorf("%s: the answer names a host that the client made up", address)
		}
		if strings.HasPrefix(got.Header.Get("Location"), "https") {
			t.Errorf("%s: the client chose the scheme", address)
		}
	}
}

// TestHostHeaderNamesNoSite: a login begun at a host that is not served goes nowhere.
func TestHostHeaderNamesNoSite(t *testing.T) {
	t.Parallel()
	h := common(t)
	got := send(t, http.MethodGet, h.issuer+"/authorize?response_type=code&client_id=site:https://evil.example.com&"+
		"redirect_uri=https://evil.example.com/_gatehouse/callback&scope=openid&code_challenge="+strings.Repeat("a", 43)+
		"&code_challenge_method=S256&state=x", navigate)
	if got.Status != http.StatusBadRequest || got.Header.Get("Location") != "" {
		t.Errorf("a foreign site gets %d to %q", got.Status, got.Header.Get("Location"))
	}
	// The API has no browser sessions, so its origin is no client either.
	got = send(t, http.MethodGet, h.issuer+"/authorize?response_type=code&client_id=site:"+h.api+
		"&redirect_uri="+h.api+"/_gatehouse/callback&scope=openid&code_challenge="+strings.Repeat("a", 43)+
		"&code_challenge_method=S256&state=x", navigate)
	if got.Status != http.StatusBadRequest || got.Header.Get("Location") != "" {
		t.Errorf("a site without sessions gets %d to %q", got.Status, got.Header.Get("Location"))
	}
}
