// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
)

// issuer is a server that answers what it is told and records what it was asked.
type issuer struct {
	*httptest.Server
	t *testing.T

	mu     sync.Mutex
	forms  []url.Values
	script []step // answers of the challenge endpoint, in order; the last one stays
	tokens []step // answers of the token endpoint, in order; the last one stays
	pushed []step // answers of the endpoint for pushed requests, in order; the last one stays
}

type step struct {
	status int
	body   string
}

const (
	granted = `{"authorization_code":"c","auth_session":"s-end"}`
	issued  = `{"access_token":"a%d","refresh_token":"r%d","id_token":"i","token_type":"Bearer","expires_in":300,"scope":"read"}`
)

// asks is a challenge by realms with one field each.
func asks(session string, realms ...string) step {
	challenges := map[string]any{}
	for _, realm := range realms {
		challenges[realm] = map[string]any{"fields": []any{map[string]any{"name": "answer", "label": "Answer", "type": "text", "required": true}}}
	}
	body, _ := json.Marshal(map[string]any{"error": "insufficient_authorization", "auth_session": session, "challenges": challenges})
	return step{http.StatusForbidden, string(body)}
}

func newIssuer(t *testing.T, script ...step) *issuer {
	t.Helper()
	s := &issuer{t: t, script: script}
	for i := range 9 {
		s.tokens = append(s.tokens, step{http.StatusOK, fmt.Sprintf(issued, i+1, i+1)})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{
			"issuer": s.URL, "authorization_challenge_endpoint": s.URL + "/challenge", "token_endpoint": s.URL + "/token",
			"revocation_endpoint": s.URL + "/revoke", "authorization_endpoint": s.URL + "/authorize",
			"pushed_authorization_request_endpoint": s.URL + "/par",
		})
	})
	mux.HandleFunc("POST /challenge", func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, &s.script) })
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, &s.tokens) })
	mux.HandleFunc("POST /par", func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, &s.pushed) })
	mux.HandleFunc("POST /revoke", func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, &[]step{{http.StatusOK, ""}}) })
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *issuer) answer(w http.ResponseWriter, r *http.Request, script *[]step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := r.ParseForm(); err != nil {
		s.t.Error(err)
	}
	s.forms = append(s.forms, r.PostForm)
	next := (*script)[0]
	if len(*script) > 1 {
		*script = (*script)[1:]
	}
	w.WriteHeader(next.status)
	_, _ = w.Write([]byte(next.body))
}

// asked returns what was sent so far.
func (s *issuer) asked() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.forms)
}

// says is a handler that gives one answer and records what it was asked.
func says(answer string, asked *[]client.Challenge) client.Handler {
	return client.HandlerFunc(func(_ context.Context, c client.Challenge) (map[string]string, error) {
		if asked != nil {
			*asked = append(*asked, c)
		}
		return map[string]string{"answer": answer}, nil
	})
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func (s *issuer) client(handlers map[string]client.Handler, change ...func(*client.Config)) *client.Client {
	s.t.Helper()
	config := client.Config{
		Issuer: s.URL, ClientID: "app", Scopes: []string{"read"}, Handlers: handlers, UILocales: []string{"nl", "en"},
		HTTP: s.Client(), Now: func() time.Time { return noon },
	}
	for _, fn := range change {
		fn(&config)
	}
	c, err := client.New(config)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	s := newIssuer(t, asks("s1", "app", "password"), asks("s2", "pin"), step{http.StatusOK, granted})
	var asked []client.Challenge
	c := s.client(map[string]client.Handler{"app": says("1.0", nil), "password": says("secret", nil), "pin": says("1234", &asked)})
	age := 90 * time.Second
	tokens, err := c.Authorize(t.Context(), client.Request{
		Scopes: []string{"read", "write"}, ACRValues: []string{"gold"}, MaxAge: &age, LoginHint: "alice", Login: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := client.Tokens{Access: "a1", Type: "Bearer", Refresh: "r1", ID: "i", Scopes: []string{"read"}, Expires: noon.Add(5 * time.Minute)}
	if diff := cmp.Diff(want, tokens); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, c.Tokens()); diff != "" {
		t.Errorf("kept tokens (-want +got):\n%s", diff)
	}
	forms := s.asked()
	first := forms[0]
	verifier := forms[3].Get("code_verifier")
	if len(first.Get("code_challenge")) != 43 || len(verifier) < 43 {
		t.Errorf("the challenge is %q for the verifier %q", first.Get("code_challenge"), verifier)
	}
	first.Del("code_challenge")
	wantFirst := url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "code_challenge_method": {"S256"}, "scope": {"read write"},
		"acr_values": {"gold"}, "max_age": {"90"}, "login_hint": {"alice"}, "prompt": {"login"}, "ui_locales": {"nl en"},
	}
	if diff := cmp.Diff(wantFirst, first); diff != "" {
		t.Errorf("first message (-want +got):\n%s", diff)
	}
	for i, want := range []struct{ session, answers string }{
		{"s1", `{"app":{"answer":"1.0"},"password":{"answer":"secret"}}`}, {"s2", `{"pin":{"answer":"1234"}}`},
	} {
		if got := forms[i+1]; got.Get("auth_session") != want.session || got.Get("answers") != want.answers {
			t.Errorf("message %d is %v, want %v", i+1, got, want)
		}
	}
	if len(asked) != 1 || asked[0].Realm != "pin" || asked[0].Issuer != s.URL || len(asked[0].Fields) != 1 || !asked[0].Fields[0].Required {
		t.Errorf("the handler was asked %+v", asked)
	}
}

// What is hidden goes back as it came, and no handler has to know of it.
func TestHiddenFields(t *testing.T) {
	t.Parallel()
	const challenge = `{"error":"insufficient_authorization","auth_session":"s-1","challenges":{"word":{"fields":[
		{"name":"answer","label":"Answer","type":"text"},{"name":"round","label":"round","type":"hidden","value":"rnd_1"}]}}}`
	s := newIssuer(t, step{http.StatusForbidden, challenge}, step{http.StatusOK, granted})
	var asked []client.Challenge
	c := s.client(map[string]client.Handler{"word": says("please", &asked)})
	if _, err := c.Authorize(t.Context(), client.Request{Scopes: []string{"read"}}); err != nil {
		t.Fatal(err)
	}
	want := []client.Field{{Name: "answer", Label: "Answer", Type: "text"}}
	if diff := cmp.Diff(want, asked[0].Fields); diff != "" {
		t.Errorf("unexpected fields (-want +got):\n%s", diff)
	}
	if got := s.asked()[1].Get("answers"); got != `{"word":{"answer":"please","round":"rnd_1"}}` {
		t.Errorf("the answers are %s", got)
	}
}

// What realms say to whom they accept is told as it comes, in the middle and at the end.
func TestNotices(t *testing.T) {
	t.Parallel()
	const asksPIN = `{"error":"insufficient_authorization","auth_session":"s-1","challenges":{"pin":{}},
		"notices":[{"realm":"app","id":"n-1","text":"There is an update.","url":"https://example.com/get"}]}`
	script := []step{
		{http.StatusForbidden, asksPIN},
		{http.StatusOK, `{"authorization_code":"c","auth_session":"s-2","notices":[{"realm":"pin","text":"It ends in May."}]}`},
	}
	handlers := map[string]client.Handler{"pin": says("1234", nil)}
	var told []client.Notice
	c := newIssuer(t, script...).client(handlers, func(c *client.Config) {
		c.Notify = func(_ context.Context, n client.Notice) { told = append(told, n) }
	})
	if _, err := c.Authorize(t.Context(), client.Request{}); err != nil {
		t.Fatal(err)
	}
	want := []client.Notice{
		{Realm: "app", ID: "n-1", Text: "There is an update.", URL: "https://example.com/get"},
		{Realm: "pin", Text: "It ends in May."},
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
	if _, err := newIssuer(t, script...).client(handlers).Authorize(t.Context(), client.Request{}); err != nil {
		t.Errorf("without anybody to tell: %v", err)
	}
}

// A session that the server does not know any more is forgotten, and the app begins anew.
func TestAuthorizeAfterTheSessionEnded(t *testing.T) {
	t.Parallel()
	gone := step{http.StatusBadRequest, `{"error":"invalid_session"}`}
	s := newIssuer(t, step{http.StatusOK, granted}, gone, step{http.StatusOK, granted})
	c := s.client(map[string]client.Handler{})
	for range 2 {
		if _, err := c.Authorize(t.Context(), client.Request{}); err != nil {
			t.Fatal(err)
		}
	}
	var sessions []string
	for _, form := range s.asked() {
		if form.Get("response_type") != "" {
			sessions = append(sessions, form.Get("auth_session"))
		}
	}
	if diff := cmp.Diff([]string{"", "s-end", ""}, sessions); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
}

func TestAuthorizeFails(t *testing.T) {
	t.Parallel()
	cancelled := errors.New("the person cancelled")
	for _, tt := range []struct {
		name     string
		script   []step
		handlers map[string]client.Handler
		check    func(error) bool
	}{
		{"a refusal", []step{{http.StatusBadRequest, `{"error":"invalid_scope","error_description":"no"}`}}, nil, func(err error) bool {
			var e *client.Error
			return errors.As(err, &e) && e.Code == "invalid_scope" && e.Status == 400 && strings.Contains(err.Error(), "no")
		}},
		{"a realm without a handler", []step{asks("s", "pin")}, nil, func(err error) bool {
			var e *client.RealmError
			return errors.As(err, &e) && e.Realm == "pin"
		}},
		{"a handler that gives up", []step{asks("s", "pin")}, map[string]client.Handler{
			"pin": client.HandlerFunc(func(context.Context, client.Challenge) (map[string]string, error) { return nil, cancelled }),
		}, func(err error) bool { return errors.Is(err, cancelled) }},
		{"no end", []step{asks("s", "pin")}, map[string]client.Handler{"pin": says("x", nil)}, func(err error) bool {
			return errors.Is(err, client.ErrTooManyRounds)
		}},
		{"an empty challenge", []step{{http.StatusForbidden, `{"error":"insufficient_authorization","challenges":{"pin":null}}`}},
			map[string]client.Handler{"pin": says("x", nil)}, func(err error) bool { return strings.Contains(err.Error(), `"pin"`) }},
		{"no JSON", []step{{http.StatusBadGateway, "<html>"}}, nil, func(err error) bool { return strings.Contains(err.Error(), "502") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			handlers := tt.handlers
			if handlers == nil {
				handlers = map[string]client.Handler{}
			}
			tokens, err := newIssuer(t, tt.script...).client(handlers).Authorize(t.Context(), client.Request{})
			if err == nil || !tt.check(err) || tokens.Access != "" {
				t.Errorf("Authorize = %+v, %v", tokens, err)
			}
		})
	}
}

// What a server could not judge it has not refused, and the other way round.
func TestFailureWait(t *testing.T) {
	t.Parallel()
	for _, code := range []string{client.Throttled, client.Busy, client.Unavailable, "another"} {
		wait, ok := errors.AsType[*client.WaitError]((&client.Failure{Code: code, Seconds: 7}).Wait())
		if !ok || wait.After != 7*time.Second || wait.Error() != "try again in 7s" {
			t.Errorf("%s: %v", code, wait)
		}
	}
	var none *client.Failure
	if err := errors.Join(none.Wait(), (&client.Failure{Code: client.Refused, Seconds: 7}).Wait()); err != nil {
		t.Errorf("nobody has to wait, and is told %v", err)
	}
}

// The metadata of another issuer is not believed (RFC 8414 3.3).
func TestAnotherIssuer(t *testing.T) {
	t.Parallel()
	s := newIssuer(t, step{http.StatusOK, granted})
	liar := httptest.NewServer(http.RedirectHandler(s.URL+"/.well-known/openid-configuration", http.StatusFound))
	t.Cleanup(liar.Close)
	c := s.client(map[string]client.Handler{}, func(c *client.Config) { c.Issuer = liar.URL })
	if _, err := c.Authorize(t.Context(), client.Request{}); err == nil || !strings.Contains(err.Error(), "issuer") {
		t.Errorf("Authorize = %v", err)
	}
	if forms := s.asked(); len(forms) > 0 {
		t.Errorf("the other one was sent %v", forms)
	}
}

// resource is an API that wants more for some of its paths, and records whom it saw.
type resource struct {
	mu   sync.Mutex
	seen []string
}

func (p *resource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	body := make([]byte, 64)
	n, _ := r.Body.Read(body)
	p.mu.Lock()
	p.seen = append(p.seen, r.URL.Path+" "+token+" "+string(body[:n]))
	p.mu.Unlock()
	refuse := func(status int, challenge string) {
		w.Header().Set("WWW-Authenticate", challenge)
		w.WriteHeader(status)
	}
	switch {
	case token == "a1" && r.URL.Path == "/scope":
		refuse(http.StatusForbidden, `Bearer realm="x, y", error="insufficient_scope", error_description="a \"b\", c", scope="write read"`)
	case token == "a1" && r.URL.Path == "/acr":
		refuse(http.StatusUnauthorized, `Bearer error="insufficient_user_authentication", acr_values="gold silver", max_age="60"`)
	case token == "a1" && r.URL.Path == "/revoked":
		refuse(http.StatusUnauthorized, `Bearer error="invalid_token"`)
	case r.URL.Path == "/basic":
		refuse(http.StatusUnauthorized, `Basic realm="error=invalid_token"`)
	case r.URL.Path == "/never":
		refuse(http.StatusForbidden, `Bearer error="insufficient_scope", scope="admin"`)
	}
}

func TestTransport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, path string
		status     int
		seen       []string
		asked      url.Values // beside what is asked in any case; nil when nothing is
	}{
		{"nothing more", "/", 200, []string{"/ a1 hello"}, nil},
		{"a scope more", "/scope", 200, []string{"/scope a1 hello", "/scope a2 hello"}, url.Values{"scope": {"read write"}}},
		{"a higher level", "/acr", 200, []string{"/acr a1 hello", "/acr a2 hello"},
			url.Values{"scope": {"read"}, "acr_values": {"gold silver"}, "max_age": {"60"}}},
		{"a token that is revoked", "/revoked", 200, []string{"/revoked a1 hello", "/revoked a2 hello"}, url.Values{"scope": {"read"}}},
		{"another scheme", "/basic", 401, []string{"/basic a1 hello"}, nil},
		{"never enough", "/never", 403, []string{"/never a1 hello", "/never a2 hello"}, url.Values{"scope": {"read admin"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newIssuer(t, step{http.StatusOK, granted})
			api := new(resource)
			server := httptest.NewServer(api)
			t.Cleanup(server.Close)
			c := s.client(map[string]client.Handler{})
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+tt.path, strings.NewReader("hello"))
			if err != nil {
				t.Fatal(err)
			}
			response, err := (&http.Client{Transport: c.Transport(wire(t))}).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != tt.status {
				t.Errorf("status %d, want %d", response.StatusCode, tt.status)
			}
			if diff := cmp.Diff(tt.seen, api.seen); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			var more url.Values
			for _, form := range s.asked()[2:] {
				if form.Get("response_type") == "" {
					continue
				}
				more = maps.Clone(form)
				for _, usual := range []string{"response_type", "client_id", "code_challenge", "code_challenge_method", "ui_locales", "auth_session"} {
					more.Del(usual)
				}
			}
			if diff := cmp.Diff(tt.asked, more); diff != "" {
				t.Errorf("asked for (-want +got):\n%s", diff)
			}
		})
	}
}

// Requests that find out together that more is wanted lead to one login.
func TestParallelRefusalsLeadToOneLogin(t *testing.T) {
	t.Parallel()
	s := newIssuer(t, step{http.StatusOK, granted})
	var arrived sync.WaitGroup
	const crowd = 8
	arrived.Add(crowd)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer a1" {
			return
		}
		arrived.Done()
		arrived.Wait() // all of them ask with the first token
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="write"`)
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(server.Close)
	web := &http.Client{Transport: s.client(map[string]client.Handler{}).Transport(wire(t))}
	var group sync.WaitGroup
	for range crowd {
		group.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
			if err != nil {
				t.Error(err)
				return
			}
			response, err := web.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("status %d", response.StatusCode)
			}
		})
	}
	group.Wait()
	logins := 0
	for _, form := range s.asked() {
		if form.Get("response_type") != "" {
			logins++
		}
	}
	if logins != 2 {
		t.Errorf("%d logins, want the first and one more", logins)
	}
}

// Tokens are refreshed before they end; when that does not work any more, what is not fresh is proven again.
func TestRenewal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		refresh step
		grants  []string
	}{
		{"refreshed", step{http.StatusOK, fmt.Sprintf(issued, 2, 2)}, []string{"authorization_code", "refresh_token"}},
		{"the line has ended", step{http.StatusBadRequest, `{"error":"invalid_grant"}`},
			[]string{"authorization_code", "refresh_token", "authorization_code"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newIssuer(t, step{http.StatusOK, granted})
			s.tokens = []step{s.tokens[0], tt.refresh, s.tokens[2]}
			now := noon
			c := s.client(map[string]client.Handler{}, func(c *client.Config) { c.Now = func() time.Time { return now } })
			if _, err := c.Authorize(t.Context(), client.Request{}); err != nil {
				t.Fatal(err)
			}
			api := httptest.NewServer(new(resource))
			t.Cleanup(api.Close)
			now = now.Add(5*time.Minute - 10*time.Second)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response, err := (&http.Client{Transport: c.Transport(wire(t))}).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			var grants []string
			for _, form := range s.asked() {
				if grant := form.Get("grant_type"); grant != "" {
					grants = append(grants, grant)
				}
			}
			if diff := cmp.Diff(tt.grants, grants); diff != "" {
				t.Errorf("grants (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLogout(t *testing.T) {
	t.Parallel()
	s := newIssuer(t, step{http.StatusOK, granted})
	c := s.client(map[string]client.Handler{})
	if err := c.Logout(t.Context()); err != nil || len(s.asked()) != 0 {
		t.Errorf("nothing to log out of: %v, %v", err, s.asked())
	}
	if _, err := c.Authorize(t.Context(), client.Request{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	forms := s.asked()
	if got := forms[len(forms)-1].Get("token"); got != "r1" || c.Tokens().Access != "" {
		t.Errorf("revoked %q, left %+v", got, c.Tokens())
	}
	if _, err := c.Authorize(t.Context(), client.Request{}); err != nil {
		t.Fatal(err)
	}
	if got := s.asked()[len(forms)].Get("auth_session"); got != "" {
		t.Errorf("the session %q survived", got)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	full := client.Config{Issuer: "https://a", ClientID: "c", Handlers: map[string]client.Handler{}, HTTP: new(http.Client), Now: time.Now}
	for name, spoil := range map[string]func(*client.Config){
		"issuer": func(c *client.Config) { c.Issuer = "" }, "client": func(c *client.Config) { c.ClientID = "" },
		"handlers": func(c *client.Config) { c.Handlers = nil }, "clock": func(c *client.Config) { c.Now = nil },
		"HTTP client": func(c *client.Config) { c.HTTP = nil },
	} {
		c := full
		spoil(&c)
		if _, err := client.New(c); err == nil {
			t.Errorf("New works without %s", name)
		}
	}
}

// Whatever a resource sends as a challenge, reading it ends and invents nothing.
func FuzzChallengeOfAResource(f *testing.F) {
	for _, seed := range []string{`Bearer error="insufficient_scope", scope="a"`, `Bearer a="b\`, `Bearer ="`, "Basic x", `bearer a=b,c="d,e"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		for name, value := range client.ParseChallenge(header, "Bearer") {
			if !strings.Contains(strings.ToLower(header), name) || len(value) > len(header) {
				t.Errorf("%q has %q = %q", header, name, value)
			}
		}
	})
}

// wire is what one test sends its requests by: to close a server closes the idle connections of what all share.
func wire(t testing.TB) *http.Transport {
	w := new(http.Transport)
	t.Cleanup(w.CloseIdleConnections)
	return w
}
