// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/approval"
	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/confirming"
	"github.com/gatehouse-id/gatehouse/caddymodule/handlers"
	"github.com/gatehouse-id/gatehouse/caddymodule/policy"
)

// What no request can be made of is said to be none.
func TestQuestionsThatAreNone(t *testing.T) {
	t.Parallel()
	h := open(t, many)
	for name, q := range map[string]policy.Question{
		"nothing": {}, "a path alone": {Method: "GET", URL: "/x"}, "another scheme": {Method: "GET", URL: "ftp://api.example.com/"},
		"no method": {Method: "G T", URL: "http://api.example.com/"}, "no port": {Method: "GET", URL: "http://api.example.com:port/"},
		"a port beyond all": {Method: "GET", URL: "http://api.example.com:99999999999999999999/"},
		"no address":        {Method: "GET", URL: "http://api.example.com/", From: "elsewhere"},
	} {
		if e, err := policy.Explain(h.app, h.http, q); !errors.Is(err, policy.ErrQuestion) || e != nil {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
	if e := h.explain(policy.Question{Method: "GET", URL: "https://api.example.com/"}); e.Verdict != "nothing listens on port 443" || e.Server != "" {
		t.Errorf("a port of nobody: %+v", e)
	}
	if e, err := policy.Explain(h.app, nil, policy.Question{Method: "GET", URL: "http://x:8080/"}); err != nil || e.Verdict != "nothing listens on port 8080" {
		t.Errorf("without an HTTP app: %+v, %v", e, err)
	}
}

// Where one port has servers on several addresses, the one that gets the request is asked, or none.
func TestServersOnOnePort(t *testing.T) {
	t.Parallel()
	h := open(t, `
http://inside.example.com:8080 {
	bind 127.0.0.1
	protect read
	respond inside
}
http://outside.example.com:8080 {
	bind 127.0.0.2
	respond outside
}
`)
	host := map[string][]string{"Host": {"inside.example.com:8080"}}
	for _, tt := range []struct {
		name, url string
		headers   map[string][]string
		rules     int
		verdict   string
	}{
		{"the first address", "http://127.0.0.1:8080/", host, 1, "one rule applies"},
		{"the second address", "http://127.0.0.2:8080/", host, 0, "nothing protects this, and nothing answers it"},
		{"a name", "http://inside.example.com:8080/", nil, 0, "2 servers listen on port 8080"},
	} {
		e := h.explain(policy.Question{Method: "GET", URL: tt.url, Headers: tt.headers})
		if len(e.Rules) != tt.rules || !strings.HasPrefix(e.Verdict, tt.verdict) {
			t.Errorf("%s: %d rules and %q, want %d and %q", tt.name, len(e.Rules), e.Verdict, tt.rules, tt.verdict)
		}
	}
}

// Handlers that let requests go on do not hide the rules behind them.
func TestHandlersThatPassOn(t *testing.T) {
	t.Parallel()
	h := open(t, `
http://api.example.com:8080 {
	route /asked/* {
		forward_auth 127.0.0.1:1 {
			uri /check
		}
		protect write
		reverse_proxy 127.0.0.1:2
	}
	route /files/* {
		file_server {
			root /nowhere
			pass_thru
		}
		protect write
		respond missing
	}
	route /proxied/* {
		reverse_proxy 127.0.0.1:2
		protect write
	}
}
`)
	for path, want := range map[string]struct {
		rules   int
		answers string
	}{"/asked/x": {1, "reverse_proxy"}, "/files/x": {1, "static_response"}, "/proxied/x": {0, "reverse_proxy"}} {
		e := h.explain(policy.Question{Method: "GET", URL: "http://api.example.com:8080" + path})
		if len(e.Rules) != want.rules || e.Answers != want.answers {
			t.Errorf("%s: %d rules, answered by %q, want %+v", path, len(e.Rules), e.Answers, want)
		}
	}
}

// A rule in full, and in words.
func TestWhatARuleSays(t *testing.T) {
	t.Parallel()
	h := open(t, `
http://api.example.com:8080 {
	@pay method POST
	protect @pay write strong {
		max_age 2m
		acr password card
		audience https://api.example.com
		assertion https://upstream
		forward_token
	}
	protect {
		any_scope read free
		optional
		identity_headers {
			X-User sub
		}
	}
	respond end
}
`)
	e := h.explain(policy.Question{Method: "POST", URL: "http://api.example.com:8080/x"})
	want := policy.Rule{
		Matches: "method POST",
		Requires: "a bearer token, scope write and strong, of people also proof of password and card and the security test strong, " +
			"acr password or card, a login not older than 2m0s",
		Scopes: []string{"write", "strong"}, ACR: []string{"password", "card"}, MaxAge: "2m0s", Audience: []string{"https://api.example.com"},
		Realms:    []policy.Realm{{Name: "password", Step: 1, MaxAge: "8h0m0s"}, {Name: "card", Step: 2, MaxAge: "5m0s"}},
		Assertion: "https://upstream", ForwardToken: true,
	}
	if diff := cmp.Diff([]policy.Rule{want}, e.Rules); diff != "" {
		t.Errorf("the rule (-want +got):\n%s", diff)
	}
	if e.Server != "srv0" || e.Request != "POST http://api.example.com:8080/x" || e.Headers["Gatehouse-Assertion"] == "" || e.Headers["Gatehouse-Subject"] != "sub" {
		t.Errorf("the explanation is %+v", e)
	}
	e = h.explain(policy.Question{Method: "GET", URL: "http://api.example.com:8080/x"})
	want = policy.Rule{
		Requires: "a bearer token, one of the scopes read (of people also proof of password), free, or no credential at all",
		AnyScope: []string{"read", "free"}, Optional: true, Audience: []string{"https://auth.example.com"},
		Realms: []policy.Realm{{Name: "password", Step: 1, MaxAge: "8h0m0s", Scope: "read"}},
	}
	if diff := cmp.Diff([]policy.Rule{want}, e.Rules); diff != "" {
		t.Errorf("the other rule (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"X-User": "sub"}, e.Headers); diff != "" {
		t.Errorf("what the upstream is told (-want +got):\n%s", diff)
	}
}

// Words need no server: a configuration that is looked into beside the running one has none.
func TestWords(t *testing.T) {
	t.Parallel()
	app := &caddymodule.App{DefaultScope: []string{"read"}, Scopes: []caddymodule.ScopeConfig{{Name: "read", Realms: []string{"password"}}}}
	for _, tt := range []struct {
		rule *handlers.Protect
		want string
	}{
		{&handlers.Protect{Off: true, Scopes: []string{"read"}}, "nothing: the rule is off"},
		{&handlers.Protect{
			Scopes: []string{"other"}, Details: []*approval.Rule{{Type: "payment"}}, Confirm: &confirming.Config{Type: "push_pin"},
		}, "a bearer token, scope other, what was approved as payment, a confirmation on the phone by push_pin"},
		{&handlers.Protect{}, "a bearer token, scope read, of people also proof of password"},
		{&handlers.Protect{Session: true, Scopes: []string{"other"}}, "a bearer token or a browser login, scope other"},
	} {
		if got := policy.Words(app, tt.rule); got != tt.want {
			t.Errorf("%+v is %q, want %q", tt.rule, got, tt.want)
		}
	}
}

// Matchers are said in the order of their names, without punctuation.
func TestMatch(t *testing.T) {
	t.Parallel()
	set := map[string]json.RawMessage{"path": []byte(`["/a","/b*"]`), "method": []byte(`["GET"]`)}
	if got := policy.Match(set); got != "method GET, path /a /b*" {
		t.Errorf("Match = %q", got)
	}
	if got := policy.Match(nil); got != "" {
		t.Errorf("Match = %q for nothing", got)
	}
}
