// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/gatehouse-id/gatehouse/caddymodule/carriers"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/guests"
	"github.com/gatehouse-id/gatehouse/caddymodule/operator"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/stores"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/tests/adapted"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	"github.com/gatehouse-id/gatehouse/tests/services/smsgateway"
)

// The running configuration is the process's: there is one server for all tests, and none for those that come before it.
func TestMain(m *testing.M) { os.Exit(run(m)) }

// Caddyfiles quote by backticks as well, which stand for apostrophes here.
const file = `{
	admin off
	auto_https off
	gatehouse {
		issuer http://localhost:8080
		storage badger STORE
		realm password {
			authenticator form
			login_module identity_store
		}
		application bank {
			ios com.example.bank
			android com.example.bank
			version 1.* active
		}
		mobile {
			type sms_code {
				method sms
				message en "Your code: {code}"
			}
			type push_pin {
				method push_pin
				message en "Sign in to Example"
			}
			sms http provider {
				url GATEWAY/json
				bearer s3cret-word
				body '{"to": "{to}", "text": "{text}", "reference": "{id}", "ttl": "{ttl:number}"}'
				number e164
				answers {
					id /messages/0/id
					reason /error/code
					class invalid_number number
				}
				ca_file CA
			}
			sms_limits {
				countries NL
				user 6
			}
		}
	}
}
http://localhost:8080 {
	bind 127.0.0.1
	protect /x openid
	respond end
}
`

// gateway takes the messages of tests, all but those to a bad number.
var gateway *smsgateway.Service

const bad = "+31687654321"

// without is what the API answers while nothing runs.
var without *httptest.ResponseRecorder

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "operator")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	without = send(http.MethodGet, "health", "")
	authority, err := loopback.NewAuthority()
	if err != nil {
		panic(err)
	}
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, authority.PEM(), 0o600); err != nil {
		panic(err)
	}
	gateway, err = smsgateway.Start(smsgateway.Config{
		Authority: authority, Now: time.Now, Bearer: "s3cret-word", Bad: map[string]string{bad: "invalid_number"},
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = gateway.Close() }()
	config, err := adapted.Config(strings.NewReplacer("STORE", filepath.Join(dir, "data"), "GATEWAY", gateway.URL, "CA", ca, "'", "`").Replace(file))
	if err != nil {
		panic(err)
	}
	// The site is only thought of: it listens where nobody else does.
	config.AppsRaw["http"] = bytes.Replace(config.AppsRaw["http"], []byte(`"127.0.0.1:8080"`), []byte(`"127.0.0.1:0"`), 1)
	if err := caddy.Run(config); err != nil {
		panic(err)
	}
	defer func() { _ = caddy.Stop() }()
	return m.Run()
}

// send asks the API.
func send(method, path, body string) *httptest.ResponseRecorder {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	admin := new(operator.Admin)
	if err := admin.Provision(ctx); err != nil {
		panic(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, operator.Path+path, strings.NewReader(body))
	for _, route := range admin.Routes() {
		if err := route.Handler.ServeHTTP(w, r); err != nil {
			panic(err)
		}
	}
	return w
}

func wantProblem(t *testing.T, name string, got *httptest.ResponseRecorder, status int, says string) {
	t.Helper()
	var p operator.Problem
	err := json.Unmarshal(got.Body.Bytes(), &p)
	if err != nil || got.Code != status || p.Status != status || p.Title != http.StatusText(status) || !strings.Contains(p.Detail, says) {
		t.Errorf("%s: %d %s, want %d and %q", name, got.Code, got.Body, status, says)
	}
	if kind := got.Header().Get("Content-Type"); kind != "application/problem+json" || got.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%s: it comes as %s with %v", name, kind, got.Header())
	}
}

// read decodes an answer that is good.
func read[T any](t *testing.T, got *httptest.ResponseRecorder) (answer T) {
	t.Helper()
	if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil || got.Code != http.StatusOK || got.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s: %v", got.Code, got.Body, err)
	}
	if got.Header().Get("Cache-Control") != "no-store" {
		t.Error("the answer may be kept")
	}
	return answer
}

func TestWithoutAServer(t *testing.T) {
	t.Parallel()
	wantProblem(t, "nothing runs", without, http.StatusServiceUnavailable, "no gatehouse block")
}

// What is wrong with a request is said with the status that it has.
func TestProblems(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		says                     string
	}{
		{"no JSON", "POST", "users", "{", 400, "not usable"},
		{"nothing", "POST", "users", "", 400, "not usable"},
		{"a member that there is not", "POST", "users", `{"login":"x","admin":true}`, 400, "admin"},
		{"two objects", "POST", "tokens/inspect", `{"token":"x"}{"token":"y"}`, 400, "more follows"},
		{"too much", "POST", "tokens/inspect", `{"token":"` + strings.Repeat("x", 65<<10) + `"}`, 400, "too large"},
		{"a short password", "POST", "users", `{"login":"short","password":"x"}`, 400, "password"},
		{"nobody", "GET", "users/nobody", "", 404, `"nobody"`},
		{"a password for nobody", "POST", "users/nobody/password", `{"password":"wonderland-2026"}`, 404, `"nobody"`},
		{"a status of nobody", "POST", "users/nobody/status", `{"status":"locked"}`, 404, `"nobody"`},
		{"a key that there is not", "DELETE", "keys/none", "", 404, ""},
		{"a session that there is not", "DELETE", "sessions/none", "", 404, `"none"`},
		{"sessions of nobody", "GET", "sessions?user=nobody", "", 404, `"nobody"`},
		{"an app that there is not", "GET", "applications/none", "", 404, ""},
		{"a version of an app that there is not", "POST", "applications/none/versions", `{"version":"1.0","status":"disabled"}`, 404, ""},
		{"a status of a version that there is not", "POST", "applications/bank/versions", `{"version":"1.0","status":"gone"}`, 400, "gone"},
		{"no rule to take away", "DELETE", "applications/bank/versions/9.9", "", 404, ""},
		{"a time that is none", "GET", "audit?since=yesterday", "", 400, "since"},
		{"a request that is none", "POST", "policy", `{"method":"GET","url":"/x"}`, 400, "no such request"},
	} {
		wantProblem(t, tt.name, send(tt.method, tt.path, tt.body), tt.status, tt.says)
	}
	for _, path := range []string{"nothing", "users/a/b", "health/x"} {
		if got := send(http.MethodGet, path, ""); got.Code != http.StatusNotFound {
			t.Errorf("%s is %d", path, got.Code)
		}
	}
	if got := send(http.MethodDelete, "users", ""); got.Code != http.StatusMethodNotAllowed {
		t.Errorf("deleting all users is %d", got.Code)
	}
}

// A user is added once, locked and let in again, and no answer has a secret.
func TestUsers(t *testing.T) {
	t.Parallel()
	const password = "wonderland-2026"
	added := send(http.MethodPost, "users", `{"login":"alice","password":"`+password+`"}`)
	user := read[struct{ ID, Status string }](t, added)
	if user.ID == "" || user.Status != "active" {
		t.Fatalf("added: %s", added.Body)
	}
	answers := []*httptest.ResponseRecorder{added}
	wantProblem(t, "twice", send(http.MethodPost, "users", `{"login":"ALICE"}`), http.StatusConflict, "")
	if found := read[[]struct{ ID string }](t, send(http.MethodGet, "users?login_prefix=ALI", "")); len(found) != 1 || found[0].ID != user.ID {
		t.Errorf("by the beginning of her name: %v", found)
	}
	if found := read[[]struct{ ID string }](t, send(http.MethodGet, "users?login_prefix=ali&after=alice", "")); len(found) != 0 {
		t.Errorf("after her: %v", found)
	}
	wantProblem(t, "a prefix of nothing", send(http.MethodGet, "users?login_prefix=%20", ""), http.StatusBadRequest, "login")
	for _, step := range []struct{ path, body, status string }{
		{"users/alice/status", `{"status":"locked","reason":"lost"}`, "locked"},
		{"users/" + user.ID + "/status", `{"status":"active"}`, "active"},
		{"users/alice/password", `{"password":"looking-glass-2026"}`, "active"},
	} {
		got := send(http.MethodPost, step.path, step.body)
		if now := read[struct{ Status string }](t, got); now.Status != step.status {
			t.Errorf("%s: %s", step.path, got.Body)
		}
		answers = append(answers, got)
	}
	wantProblem(t, "a status that there is not", send(http.MethodPost, "users/alice/status", `{"status":"gone"}`), http.StatusBadRequest, "active, locked, deactivated")
	answers = append(answers, send(http.MethodGet, "users/alice", ""), send(http.MethodGet, "users?limit=1000000", ""))
	events := send(http.MethodGet, "audit", "")
	for _, got := range append(answers, events) {
		for _, s := range []string{password, "looking-glass", "$argon2"} {
			if strings.Contains(got.Body.String(), s) {
				t.Errorf("the answer tells %q: %s", s, got.Body)
			}
		}
	}
	for _, event := range []string{"user.add", "user.lock", "user.unlock", "user.password"} {
		if !strings.Contains(events.Body.String(), `"`+event+`"`) {
			t.Errorf("nothing on the trail says %s: %s", event, events.Body)
		}
	}
}

// What is thought of is not done; what is done is on the trail, and what is malformed stands there in quotes.
func TestVersions(t *testing.T) {
	t.Parallel()
	const rule = `{"version":"1.5","platform":"ios","status":"disabled"}`
	before := send(http.MethodGet, "applications/bank", "").Body.String()
	if got := read[operator.VersionsAnswer](t, send(http.MethodPost, "applications/bank/versions?dry_run=true", rule)); !got.DryRun || len(got.Effects) != 1 {
		t.Errorf("thought of: %+v", got)
	}
	if after := send(http.MethodGet, "applications/bank", "").Body.String(); after != before {
		t.Errorf("what was thought of was done: %s", after)
	}
	got := read[operator.VersionsAnswer](t, send(http.MethodPost, "applications/bank/versions", rule))
	if got.DryRun || len(got.Effects) != 1 || got.Effects[0].Status != "disabled" || got.Effects[0].Platform != "ios" {
		t.Errorf("done: %+v", got)
	}
	read[operator.VersionsAnswer](t, send(http.MethodDelete, "applications/bank/versions/1.5?platform=ios&dry_run=true", ""))
	read[operator.VersionsAnswer](t, send(http.MethodDelete, "applications/bank/versions/1.5?platform=ios", ""))
	if after := send(http.MethodGet, "applications/bank", "").Body.String(); after != before {
		t.Errorf("taken away: %s, want %s", after, before)
	}
	send(http.MethodPost, "applications/a%0Ab/versions", `{"version":"1.0","status":"disabled"}`)
	events := read[audit.Page](t, send(http.MethodGet, "audit", "")).Events
	var quoted, set, unset bool
	for _, e := range events {
		quoted = quoted || e.Outcome == "failed" && e.By == "operator" && strings.Contains(e.Reason, `"a\nb 1.0" disabled`)
		set = set || e.Name == "application.set" && e.Outcome == "done" && e.By == "operator" && e.Reason == "bank 1.5 ios disabled"
		unset = unset || e.Name == "application.unset" && e.Outcome == "done" && e.By == "operator" && e.Reason == "bank 1.5 ios"
	}
	if !quoted || !set || !unset {
		t.Errorf("the trail says %+v", events)
	}
}

// A server that is well says so, and lists are lists also when there is nothing in them.
func TestServer(t *testing.T) {
	t.Parallel()
	want := operator.Health{Status: "ok", Issuer: "http://localhost:8080", Store: "ok", Keys: "ok", Revocations: "ok", Apps: "ok"}
	if got := read[operator.Health](t, send(http.MethodGet, "health", "")); got != want {
		t.Errorf("health is %+v", got)
	}
	if got := send(http.MethodGet, "sessions", "").Body.String(); got != "[]\n" {
		t.Errorf("the sessions are %s", got)
	}
	if got := send(http.MethodGet, "users?after=~", "").Body.String(); got != "[]\n" {
		t.Errorf("the users after the last are %s", got)
	}
	if found := read[struct{ Kind string }](t, send(http.MethodPost, "tokens/inspect", `{"token":"x"}`)); found.Kind != "unknown" {
		t.Errorf("a token that is none is %+v", found)
	}
	keys := read[[]operator.Key](t, send(http.MethodGet, "keys", ""))
	if len(keys) == 0 || keys[0].KID == "" || strings.Contains(send(http.MethodGet, "keys", "").Body.String(), `"d"`) {
		t.Errorf("the keys are %+v", keys)
	}
	wantProblem(t, "keys that verifiers do not know yet", send(http.MethodPost, "keys/rotate", `{}`), http.StatusConflict, "")
	if rotated := read[[]operator.Key](t, send(http.MethodPost, "keys/rotate", `{"force":true}`)); len(rotated) <= len(keys) {
		t.Errorf("after the rotation they are %+v", rotated)
	}
	e := read[struct{ Verdict string }](t, send(http.MethodPost, "policy", `{"method":"GET","url":"http://localhost:1/x"}`))
	if e.Verdict != "nothing listens on port 1" {
		t.Errorf("the explanation is %+v", e)
	}
}
