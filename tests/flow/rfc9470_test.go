// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
)

// protects adds a route of the API.
func (w *world) protects(t *testing.T, path string, policy validation.Policy) {
	t.Helper()
	for _, n := range w.nodes {
		rule, err := n.server.Rule(policy)
		must(t, err)
		rule.Tokens = n.server.AccessValidator()
		n.rules[api+path] = rule
		session := *rule
		session.Session = true
		n.rules[web1+path] = &session
	}
}

// demand is what a challenge says, by parameter; its scheme stands under "".
func demand(a answer) map[string]string {
	header := a.header.Get("WWW-Authenticate")
	scheme, _, _ := strings.Cut(header, " ")
	told := map[string]string{"": scheme}
	for _, m := range regexp.MustCompile(`(\w+)=(?:"([^"]*)"|([^",\s]+))`).FindAllStringSubmatch(header, -1) {
		told[m[1]] = m[2] + m[3]
	}
	return told
}

// claims are those of a token, as it is.
func claims(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(t, err)
	var all map[string]any
	must(t, json.Unmarshal(payload, &all))
	return all
}

// asked are the fields that a page has people fill in.
func (p page) asked() (fields []string) {
	for _, field := range []string{"username", "password", "word"} {
		if strings.Contains(p.body, `name="`+field+`"`) {
			fields = append(fields, field)
		}
	}
	return fields
}

// TestRFC9470Table: what a route lacks is challenged by what the client has to ask for (sections 3 and 4); asking for just that has the
// person prove only what is missing and opens the route (5), with acr and auth_time of what was proven (6), and no round is needed twice.
func TestRFC9470Table(t *testing.T) {
	minute := time.Minute
	routes := map[string]validation.Policy{
		"/loa":   {ACRValues: []string{"gold"}},
		"/fresh": {MaxAge: &minute},
		"/both":  {ACRValues: []string{"gold"}, MaxAge: &minute},
		"/realm": {AllScopes: oauth.Scopes{"pay"}},
		"/named": {ACRValues: []string{"word"}},
	}
	for _, c := range []struct {
		name, path, scope string
		before            string   // what is proven at first
		acr, maxAge       string   // what is challenged later
		asks              []string // what is proven then
		wantACR           string
	}{
		{name: "acr only", path: "/loa", scope: "openid read", before: "password", acr: "gold", asks: []string{"word"}, wantACR: "gold"},
		{name: "max_age only", path: "/fresh", scope: "openid read", before: "password", maxAge: "60", asks: []string{"password"}},
		{name: "acr and max_age", path: "/both", scope: "openid read", before: "password", acr: "gold", maxAge: "60", asks: []string{"password", "word"}, wantACR: "gold"},
		{name: "a realm's own freshness", path: "/realm", scope: "openid pay", before: "password word", acr: "word", asks: []string{"word"}, wantACR: "word"},
		{name: "a realm by its name", path: "/named", scope: "openid read", before: "password", acr: "word", asks: []string{"word"}, wantACR: "word"},
	} {
		t.Run("RFC9470/"+c.name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				for path, policy := range routes {
					w.protects(t, path, policy)
				}
				b := w.browser(t)
				p := b.login(b.get(authorize("app", "scope", c.scope)))
				if strings.Contains(c.before, "word") && slices.Equal(p.asked(), []string{"word"}) {
					p = b.submit(p, "word", "please")
				}
				weak := w.redeem(t, "app", p)
				loggedIn := w.clock.Now().Unix()
				if got := claims(t, weak.text("access_token"))["auth_time"]; got != float64(loggedIn) {
					t.Errorf("before: auth_time is %v, want %d", got, loggedIn)
				}
				w.clock.Advance(2 * time.Minute)
				if c.path == "/realm" {
					w.clock.Advance(4 * time.Minute) // beyond the word's own 5 minutes, and the token's
					weak = w.refresh(t, "app", weak.text("refresh_token"))
					if got := claims(t, weak.text("access_token"))["auth_time"]; got != float64(loggedIn) {
						t.Errorf("RFC9470/6.1 a refresh proves nothing: auth_time is %v, want %d", got, loggedIn)
					}
				}
				refused := w.call(t, api+c.path, weak.text("access_token"))
				told := demand(refused)
				if refused.status != http.StatusUnauthorized || told[""] != "Bearer" || told["error"] != "insufficient_user_authentication" ||
					told["acr_values"] != c.acr || told["max_age"] != c.maxAge {
					t.Fatalf("RFC9470/3 the challenge is %d %v", refused.status, told)
				}
				again := []string{"scope", c.scope}
				for name, value := range map[string]string{"acr_values": told["acr_values"], "max_age": told["max_age"]} {
					if value != "" {
						again = append(again, name, value)
					}
				}
				p = b.get(authorize("app", again...))
				var proved []string
				for p.url.Query().Get("code") == "" && len(proved) < 3 {
					at := p.asked()
					switch {
					case slices.Contains(at, "word"):
						proved, p = append(proved, "word"), b.submit(p, "word", "please")
					case slices.Contains(at, "password"):
						proved, p = append(proved, "password"), b.submit(p, "username", "alice", "password", password)
					default:
						t.Fatalf("it is asked for %v at %s:\n%s", at, p.url, p.body)
					}
				}
				if !slices.Equal(proved, c.asks) {
					t.Errorf("RFC9470/5 it was asked for %v, want %v", proved, c.asks)
				}
				strong := w.redeem(t, "app", p)
				if got := w.call(t, api+c.path, strong.text("access_token")); got.status != http.StatusOK {
					t.Errorf("RFC9470/4 the second round leads to %d %v", got.status, demand(got))
				}
				in := claims(t, strong.text("access_token"))
				if c.wantACR != "" && in["acr"] != c.wantACR {
					t.Errorf("RFC9470/6.1 acr is %v, want %s", in["acr"], c.wantACR)
				}
				if in["auth_time"] != float64(w.clock.Now().Unix()) {
					t.Errorf("RFC9470/6.1 auth_time is %v, want now, %d", in["auth_time"], w.clock.Now().Unix())
				}
				said := w.form(t, "/introspect", "machine", "token", strong.text("access_token"))
				if said.body["active"] != true || said.body["acr"] != in["acr"] || said.body["auth_time"] != in["auth_time"] {
					t.Errorf("RFC9470/6.2 introspection says %v, the token %v", said.body, in)
				}
				w.clock.Advance(10 * time.Second)
				kept := claims(t, w.refresh(t, "app", strong.text("refresh_token")).text("access_token"))
				if kept["acr"] != in["acr"] || kept["auth_time"] != in["auth_time"] {
					t.Errorf("RFC9470/6.1 after a refresh acr is %v, auth_time %v, want %v, %v", kept["acr"], kept["auth_time"], in["acr"], in["auth_time"])
				}
			})
		})
	}
}

// TestRFC9470Otherwise: what is no weakness of the authentication is told as what it is, and what cannot be met is refused.
func TestRFC9470Otherwise(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		minute := time.Minute
		w.protects(t, "/both", validation.Policy{AllScopes: oauth.Scopes{"pay"}, ACRValues: []string{"gold"}, MaxAge: &minute})
		w.protects(t, "/fresh", validation.Policy{MaxAge: &minute})
		b, tokens := w.tokens(t, "app")
		weak := tokens.text("access_token")

		refused := w.call(t, api+"/both", weak)
		if told := demand(refused); refused.status != http.StatusForbidden || told["error"] != "insufficient_scope" || told["scope"] != "pay" {
			t.Errorf("RFC9470/3 vs-403: %d %v", refused.status, told)
		}
		refused = w.call(t, api+"/both", weak[:len(weak)-4]+"AAAA")
		if told := demand(refused); refused.status != http.StatusUnauthorized || told["error"] != "invalid_token" || told["acr_values"]+told["max_age"] != "" {
			t.Errorf("RFC9470/9 a token that is none is told %d %v", refused.status, told)
		}
		if told := demand(w.call(t, api+"/both", "x")); told["acr_values"]+told["max_age"] != "" {
			t.Errorf("RFC9470/9 something that is no token is told %v", told)
		}
		for name, c := range map[string]struct {
			pairs []string
			want  string
		}{
			"RFC9470/5 acr that nobody reaches":                {[]string{"acr_values", "platinum"}, "unmet_authentication_requirements"},
			"RFC9470/5 acr that nobody reaches, silently":      {[]string{"acr_values", "platinum", "prompt", "none"}, "unmet_authentication_requirements"},
			"RFC9470/5 acr that is reached by asking":          {[]string{"acr_values", "gold", "prompt", "none"}, "interaction_required"},
			"RFC9470/5 max_age that is over, without a prompt": {[]string{"max_age", "0", "prompt", "none"}, "login_required"},
			"RFC9470/4 max_age that is no number":              {[]string{"max_age", "soon"}, "invalid_request"},
			"RFC9470/4 max_age below nothing":                  {[]string{"max_age", "-1"}, "invalid_request"},
		} {
			p := b.get(authorize("app", c.pairs...))
			if got := p.url.Query().Get("error"); got != c.want || p.url.Query().Get("code") != "" {
				t.Errorf("%s: %q at %s, want %q", name, got, p.url, c.want)
			}
		}
		if p := b.get(authorize("app", "acr_values", "platinum gold")); !slices.Equal(p.asked(), []string{"word"}) {
			t.Errorf("RFC9470/5 the first that can be reached: %v", p.asked())
		}

		for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer+path, nil)
			must(t, err)
			known, _ := w.send(t, r).body["acr_values_supported"].([]any)
			for _, acr := range []string{"gold", "password", "word"} {
				if !slices.Contains(known, any(acr)) {
					t.Errorf("RFC9470/7 %s: acr_values_supported is %v", path, known)
				}
			}
		}
	})
}

// TestRFC9470Session: a browser is led to prove what is missing and comes back; what a script of its page asks for is challenged as an API
// client is.
func TestRFC9470Session(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		minute := time.Minute
		w.protects(t, "/fresh", validation.Policy{MaxAge: &minute})
		w.protects(t, "/loa", validation.Policy{ACRValues: []string{"gold"}})
		b := w.browser(t)
		b.login(b.get(web1 + "/"))
		w.clock.Advance(2 * time.Minute)
		script := func(path string) answer {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web1+path, nil)
			must(t, err)
			at, err := url.Parse(web1)
			must(t, err)
			for _, cookie := range b.client.Jar.Cookies(at) {
				r.AddCookie(cookie)
			}
			r.Header.Set("Accept", "application/json")
			r.Header.Set("Sec-Fetch-Mode", "cors")
			r.Header.Set("Sec-Fetch-Dest", "empty")
			return w.send(t, r)
		}
		for _, c := range []struct{ path, acr, maxAge, field, answer string }{
			{"/fresh", "", "60", "password", password},
			{"/loa", "gold", "", "word", "please"},
		} {
			refused := script(c.path)
			if told := demand(refused); refused.status != http.StatusUnauthorized || told["error"] != "insufficient_user_authentication" ||
				told["acr_values"] != c.acr || told["max_age"] != c.maxAge {
				t.Errorf("RFC9470/3 %s: a script is told %d %v", c.path, refused.status, told)
			}
			p := b.get(web1 + c.path)
			if !slices.Contains(p.asked(), c.field) || strings.Contains(p.body, `name="word"`) != (c.field == "word") {
				t.Fatalf("%s: the browser is asked for %v at %s", c.path, p.asked(), p.url)
			}
			pairs := []string{c.field, c.answer}
			if c.field == "password" {
				pairs = append(pairs, "username", "alice")
			}
			if p = b.submit(p, pairs...); p.url.String() != web1+c.path || !strings.HasPrefix(p.body, "hello "+w.alice.ID) {
				t.Errorf("%s: the browser is at %s: %s", c.path, p.url, p.body)
			}
			if again := script(c.path); again.status != http.StatusOK {
				t.Errorf("%s: the script is told %d %v after that", c.path, again.status, demand(again))
			}
		}
	})
}
