// SPDX-License-Identifier: Apache-2.0

package guide_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/caddymodule/demo/guide"
)

// issuer is an authorization server that knows one operation of alice's and one of bob's, and notes who asked for what.
type issuer struct {
	*httptest.Server
	asked []string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	answers := map[string]string{
		"GET /api/v1/users/usr_alice/devices":      `{"devices":[{"name":"Pixel","status":"active"},{"name":"Old","status":"deactivated"}]}`,
		"POST /api/v1/operations/registration":     `{"id":"op_new","qr":"gatehouse://enroll?code=c0de","user_id":"usr_alice"}`,
		"GET /api/v1/operations/op_alice":          `{"id":"op_alice","user_id":"usr_alice","receipt":"a.b.c"}`,
		"GET /api/v1/operations/op_bob":            `{"id":"op_bob","user_id":"usr_bob","receipt":"x.y.z"}`,
		"POST /api/v1/operations/op_alice/confirm": `{"confirmed":true}`,
	}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what does not arrive is missing below
		client, secret, _ := r.BasicAuth()
		i.asked = append(i.asked, fmt.Sprintf("%s:%s %s %s %s", client, secret, r.Method, r.URL.Path, body))
		w.Header().Set("Content-Type", "application/json")
		answer, found := answers[r.Method+" "+r.URL.Path]
		if !found {
			w.WriteHeader(http.StatusNotFound)
			answer = `{"title":"There is no such thing"}`
		}
		_, _ = io.WriteString(w, answer) // so is that
	}))
	t.Cleanup(i.Close)
	return i
}

func read(t *testing.T, text string) (*guide.Guide, error) {
	t.Helper()
	g := new(guide.Guide)
	err := g.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
	return g, err
}

func newGuide(t *testing.T, issuer string) *guide.Guide {
	t.Helper()
	t.Setenv("GUIDE_TEST_SECRET", "portal-secret")
	g, err := read(t, `demo_guide {
		issuer `+issuer+`
		application bank
		back_end portal {env.GUIDE_TEST_SECRET}
		auditor reader reader-secret
	}`)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	return g
}

// serve answers one request as protect would pass it on for a user; "" is nobody.
func serve(t *testing.T, g *guide.Guide, user, method, target, body string) *httptest.ResponseRecorder {
	t.Helper()
	replace := caddy.NewReplacer()
	if user != "" {
		replace.Set("http.auth.user.id", user)
	}
	r := httptest.NewRequestWithContext(context.WithValue(t.Context(), caddy.ReplacerCtxKey, replace), method, target, strings.NewReader(body))
	r.Header.Set("Gatehouse-Subject", "usr_bob") // whoever might have set it
	w := httptest.NewRecorder()
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusTeapot)
		return nil
	})
	if err := g.ServeHTTP(w, r, next); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWhoMayHaveWhat(t *testing.T) {
	i := newIssuer(t)
	g := newGuide(t, i.URL)
	for _, c := range []struct {
		name, user, method, target, body string
		status                           int
		has, lacks                       string
		asked                            int
	}{
		{"phones", "usr_alice", "GET", "/tour/phones", "", 200, `"phones":["Pixel"]`, "portal-secret", 1},
		{"an invitation", "usr_alice", "POST", "/tour/phones", "{}", 200, `"invitation":"gatehouse://enroll?code=c0de"`, "portal-secret", 1},
		{"digits", "usr_alice", "POST", "/tour/phones/op_alice", `{"digits":"123456"}`, 200, `"confirmed":true`, "", 2},
		{"digits for somebody else's phone", "usr_alice", "POST", "/tour/phones/op_bob", `{"digits":"123456"}`, 404, "no such operation of yours", "usr_bob", 1},
		{"no digits", "usr_alice", "POST", "/tour/phones/op_alice", `123456"`, 400, "six digits", "", 0},
		{"a receipt", "usr_alice", "GET", "/tour/receipts/op_alice", "", 200, `"receipt":"a.b.c"`, "reader-secret", 1},
		{"somebody else's receipt", "usr_alice", "GET", "/tour/receipts/op_bob", "", 404, "no such operation of yours", "x.y.z", 1},
		{"a receipt that is not there", "usr_alice", "GET", "/tour/receipts/op_none", "", 404, "no such operation of yours", "", 1},
		{"a path in the place of an id", "usr_alice", "GET", "/tour/receipts/op_alice%2F..%2Fop_bob", "", 404, "no such operation of yours", "", 1},
		{"nobody's phones", "", "GET", "/tour/phones", "", 401, "log in first", "Pixel", 0},
		{"nobody's invitation", "", "POST", "/tour/phones", "{}", 401, "log in first", "c0de", 0},
		{"nobody's receipt", "", "GET", "/tour/receipts/op_bob", "", 401, "log in first", "x.y.z", 0},
		{"the page", "", "GET", "/tour", "", 200, "<title>Gatehouse, step by step</title>", "<script>", 0},
		{"back from the login", "", "GET", "/tour/login", "", 303, "", "", 0},
		{"back from the vault", "", "GET", "/vault/tour", "", 303, "", "", 0},
		{"the page in another case", "", "GET", "/TOUR", "", 404, "", "", 0},
		{"the page by another method", "", "POST", "/tour", "{}", 405, "", "", 0},
		{"what is below the page and not there", "", "DELETE", "/Tour/phones/x", "", 404, "", "", 0},
		{"a path that only begins alike", "usr_alice", "GET", "/tours", "", 418, "", "", 0},
		{"another path", "usr_alice", "GET", "/accounts", "", 418, "", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			i.asked = nil
			w := serve(t, g, c.user, c.method, c.target, c.body)
			if body := w.Body.String(); w.Code != c.status || !strings.Contains(body, c.has) || c.lacks != "" && strings.Contains(body, c.lacks) {
				t.Errorf("%d, want %d, with %q and without %q:\n%s", w.Code, c.status, c.has, c.lacks, body)
			}
			if len(i.asked) != c.asked {
				t.Errorf("the issuer was asked %d times, want %d: %q", len(i.asked), c.asked, i.asked)
			}
			for _, asked := range i.asked {
				if !strings.HasPrefix(asked, "portal:portal-secret ") && !strings.HasPrefix(asked, "reader:reader-secret GET ") {
					t.Errorf("asked %q", asked)
				}
			}
		})
	}
}

// TestInvitationIsForWhoeverIsLoggedIn: the person of the request is named, as proofed, whatever the page sends.
func TestInvitationIsForWhoeverIsLoggedIn(t *testing.T) {
	i := newIssuer(t)
	serve(t, newGuide(t, i.URL), "usr_alice", "POST", "/tour/phones", `{"user_id":"usr_bob"}`)
	if len(i.asked) != 1 {
		t.Fatalf("asked %q", i.asked)
	}
	_, body, _ := strings.Cut(i.asked[0], "registration ")
	var sent map[string]any
	if err := json.Unmarshal([]byte(body), &sent); err != nil || sent["user_id"] != "usr_alice" || sent["application"] != "bank" {
		t.Errorf("sent %q, %v", body, err)
	}
}

func TestIssuerIsGone(t *testing.T) {
	i := newIssuer(t)
	i.Close()
	w := serve(t, newGuide(t, i.URL), "usr_alice", "GET", "/tour/phones", "")
	if w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "was not reached") || strings.Contains(w.Body.String(), i.URL) {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

func TestPolicyOfThePage(t *testing.T) {
	g := newGuide(t, "http://localhost:1")
	for _, path := range []string{"/tour", "/tour/guide.css", "/tour/guide.js"} {
		w := serve(t, g, "", "GET", path, "")
		if policy := w.Header().Get("Content-Security-Policy"); w.Code != 200 || !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") ||
			strings.Contains(policy, "unsafe") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d, %q", path, w.Code, policy)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"an argument", "demo_guide x", "wrong argument count"},
		{"an unknown option", "demo_guide {\n\tcolour blue\n}", `no option "colour"`},
		{"a client without a secret", "demo_guide {\n\tback_end portal\n}", "wrong argument count"},
		{"too much", "demo_guide {\n\tissuer a b\n}", "wrong argument count"},
		{"twice", "demo_guide {\n\tissuer a\n\tissuer b\n}", "issuer stands twice"},
	} {
		if _, err := read(t, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	g, err := read(t, "demo_guide {\n\tissuer http://localhost:1\n}")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Validate(); err == nil || !strings.Contains(err.Error(), "needs issuer, application, back_end and auditor") {
		t.Errorf("half of one: %v", err)
	}
	g.BackEnd.Secret = "{env.GUIDE_TEST_THERE_IS_NONE}"
	if err := g.Provision(caddy.Context{}); err == nil {
		t.Error("a secret that is not there is taken")
	}
}
