// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap/zapcore"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/handlers"
	"github.com/gatehouse-id/gatehouse/validation"
)

// TestNothingPassesAStoreThatIsNotThere: no request waits for ever, none panics and none gets through; the client is told
// when to come again.
func TestNothingPassesAStoreThatIsNotThere(t *testing.T) {
	t.Parallel()
	sites := map[string]string{
		"protect": "protect", "optional": "protect {\n optional\n}", "off": "protect {\n off\n}", "session": "protect {\n session on\n}",
		"guard": "protect /elsewhere", "issuer": "authorization_server",
	}
	for name, directive := range sites {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := provision(t, usual, "http://localhost:8082 {\n "+directive+"\n}\n", `{"engine":"memory","fails":true,"name":"`+t.Name()+`"}`)
			if err != nil {
				t.Fatal(err)
			}
			var h caddyhttp.MiddlewareHandler
			switch name {
			case "guard":
				h = handler[*handlers.SiteEndpoints](r)
			case "issuer":
				h = handler[*handlers.AuthorizationServer](r)
			default:
				h = handler[*handlers.Protect](r)
			}
			for _, path := range []string{"/token", "/jwks", "/", "/_gatehouse/callback"} {
				w, next := httptest.NewRecorder(), new(reached)
				asked := request(http.MethodGet, "http://localhost:8082"+path, "Gatehouse-Subject", "mallory")
				err = h.ServeHTTP(w, asked, next)
				if name == "issuer" && next.r != nil {
					continue // it is not the issuer's
				}
				if status(err) != http.StatusServiceUnavailable || !errors.Is(err, errBroken) || next.r != nil {
					t.Errorf("%s: %v (passed on: %v)", path, err, next.r != nil)
				}
				if w.Header().Get("Retry-After") == "" || w.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("%s: the header is %v", path, w.Header())
				}
				if name != "issuer" && asked.Header.Get("Gatehouse-Subject") != "" {
					t.Errorf("%s: handle_errors hears the client's own identity", path)
				}
			}
			if err := r.app.Start(); !errors.Is(err, errBroken) {
				t.Errorf("starting says %v", err)
			}
		})
	}
}

// TestEarlyRequestOpensTheStore: apps start in no fixed order, and a request that comes before the start is answered.
func TestEarlyRequestOpensTheStore(t *testing.T) {
	t.Parallel()
	r := open(t, usual, "http://localhost:8080 {\n authorization_server\n}\nhttp://localhost:8082 {\n protect\n}\n")
	w := httptest.NewRecorder()
	if err := handler[*handlers.AuthorizationServer](r).ServeHTTP(w, request(http.MethodGet, issuer+"/jwks"), new(reached)); err != nil || w.Code != http.StatusOK {
		t.Fatalf("an early request gets %d %v", w.Code, err)
	}
	next := new(reached)
	asked := request(http.MethodGet, "http://localhost:8082/", "Authorization", "Bearer "+r.token("read"))
	if err := handler[*handlers.Protect](r).ServeHTTP(httptest.NewRecorder(), asked, next); err != nil || next.r == nil {
		t.Errorf("an early token is refused: %v", err)
	}
}

// TestIssuerAnswersItsOwnPathsOnly: whatever is not the issuer's is passed on.
func TestIssuerAnswersItsOwnPathsOnly(t *testing.T) {
	t.Parallel()
	r := open(t, usual, "http://localhost:8080 {\n authorization_server\n}\n")
	h := handler[*handlers.AuthorizationServer](r)
	for path, own := range map[string]bool{
		"/jwks": true, "/.well-known/openid-configuration": true, "/": false, "/jwks/": false, "/JWKS": false, "/static": false, "/elsewhere": false,
	} {
		next := new(reached)
		if err := h.ServeHTTP(httptest.NewRecorder(), request(http.MethodGet, issuer+path), next); err != nil || (next.r == nil) != own {
			t.Errorf("%s: passed on is %v, %v", path, next.r != nil, err)
		}
	}
}

// fields collects what is written to the access log.
type fields struct {
	zapcore.ObjectEncoder
	all map[string]string
}

func (f *fields) AddString(name, value string) { f.all[name] = value }

// TestIntroduction: the upstream, the placeholders and the access log hear the same about the caller.
func TestIntroduction(t *testing.T) {
	t.Parallel()
	r := open(t, usual, "http://localhost:8082 {\n protect {\n assertion urn:up\n }\n}\n")
	h, next := handler[*handlers.Protect](r), new(reached)
	if err := r.app.Ready(); err != nil {
		t.Fatal(err)
	}
	asked := request(http.MethodGet, "http://localhost:8082/", "Authorization", "Bearer "+r.token("read"), "Cookie",
		"gh_site_00=x; theme=dark", "Gatehouse-Name", "mallory", "gatehouse_acr", "mallory",
		"Gatehouse-Token-Id", "mallory")
	asked.Trailer = http.Header{"Gatehouse-Subject": nil, "X-Other": nil}
	if err := h.ServeHTTP(httptest.NewRecorder(), asked, next); err != nil || next.r == nil {
		t.Fatalf("the request is refused: %v", err)
	}
	got := next.r.Header.Clone()
	if assertion := got.Get("Gatehouse-Assertion"); strings.Count(assertion, ".") != 2 {
		t.Errorf("the assertion is %q", assertion)
	}
	got.Del("Gatehouse-Assertion")
	want := http.Header{
		"Gatehouse-Subject": {"machine"}, "Gatehouse-Client": {"machine"}, "Gatehouse-Scope": {"read"}, "Cookie": {"theme=dark"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the upstream hears\n%s", diff)
	}
	if diff := cmp.Diff(http.Header{"X-Other": nil}, next.r.Trailer); diff != "" {
		t.Errorf("in the trailer the upstream hears\n%s", diff)
	}
	repl, ok := next.r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		t.Fatal("the request has lost its replacer")
	}
	text := repl.ReplaceAll("{http.auth.user.id}|{http.auth.user.scopes}|{http.auth.user.client_id}|{http.auth.user.iss}|{http.auth.user.absent}|{http.auth.other}", "-")
	if text != "machine|read|machine|"+issuer+"|-|-" {
		t.Errorf("the placeholders are %q", text)
	}
	if carried := caddymodule.PassageOf(next.r); carried == nil || strings.Contains(fmt.Sprint(carried), "Bearer") {
		t.Errorf("the variables of the request print as %v", carried)
	}
	log := &fields{all: map[string]string{}}
	if err := caddymodule.LogCaller(&validation.Principal{ClientID: "app", Subject: "usr_1", ACR: "gold"}, log); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"client_id": "app", "sub": "usr_1", "acr": "gold"}, log.all); diff != "" {
		t.Errorf("the access log has\n%s", diff)
	}
}

// TestNoRuleWithoutConfiguration: the handlers need the app, and say so.
func TestNoRuleWithoutConfiguration(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"protect", "authorization_server", "gatehouse_site"} {
		config := &caddy.Config{AppsRaw: caddy.ModuleMap{"http": []byte(
			`{"servers":{"s":{"listen":["127.0.0.1:0"],"routes":[{"handle":[{"handler":"` + name + `"}]}]}}}`)}}
		provisioning.Lock()
		_, err := caddy.ProvisionContext(config)
		provisioning.Unlock()
		if err == nil || !strings.Contains(err.Error(), `the global option "gatehouse" is missing`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFailureOfTheAppIsTold: what is wrong with the app is not hidden behind the handler that looked for it.
func TestFailureOfTheAppIsTold(t *testing.T) {
	t.Parallel()
	_, err := provision(t, usual+"\nseal_key {env.NOWHERE}", "http://localhost:8082 {\n protect\n}\n", "")
	if err == nil || !strings.Contains(err.Error(), "seal_key: evaluated placeholder {env.NOWHERE} is empty") {
		t.Errorf("the error is %v", err)
	}
}
