// SPDX-License-Identifier: Apache-2.0

package faces

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// App is somebody's native app: it keeps its auth_session and sends answers by realm.
type App struct {
	t        testing.TB
	world    http.Handler
	endpoint string
	// Client is the id that the app goes by.
	Client string
	// Header is sent with every request.
	Header http.Header
	// Held is the auth_session that it was given last.
	Held string
}

// App returns an app that was never here, of the client "mobile".
func (w *World) App(t testing.TB) *App {
	t.Helper()
	return AppOf(t, w, w.Issuer+authz.PathChallenge)
}

// AppOf returns an app that talks to an endpoint of its own.
func AppOf(t testing.TB, server http.Handler, endpoint string) *App {
	return &App{t: t, world: server, endpoint: endpoint, Client: "mobile", Header: http.Header{"User-Agent": {"App/1"}}}
}

// Reply is what the server said to an app.
type Reply struct {
	t      testing.TB
	Status int
	Header http.Header
	Body   string

	Code        string            `json:"authorization_code"`
	Error       string            `json:"error"`
	Description string            `json:"error_description"`
	AuthSession string            `json:"auth_session"`
	ExpiresIn   int64             `json:"expires_in"`
	Challenges  map[string]*Asked `json:"challenges"`
	Notices     []AskedNotice     `json:"notices"`
	RequestURI  string            `json:"request_uri"`
}

// Asked is what one realm asks of an app.
type Asked struct {
	Fields  []AskedField      `json:"fields"`
	Message string            `json:"message"`
	Data    map[string]string `json:"data"`
	Notice  *AskedNotice      `json:"notice"`
	Failure *AskedFailure     `json:"failure"`
}

// AskedField is one thing that an app is asked.
type AskedField struct {
	Name         string `json:"name"`
	Label        string `json:"label"`
	Type         string `json:"type"`
	Value        string `json:"value"`
	Autocomplete string `json:"autocomplete"`
	InputMode    string `json:"input_mode"`
	Required     bool   `json:"required"`
}

// AskedNotice is something that people are told.
type AskedNotice struct {
	Realm string `json:"realm"`
	ID    string `json:"id"`
	Text  string `json:"text"`
	URL   string `json:"url"`
}

// AskedFailure says that an answer led nowhere.
type AskedFailure struct {
	Code       string `json:"code"`
	Message    string `json:"message"`
	RetryAfter int64  `json:"retry_after"`
}

// Send posts a form as it is, and remembers the auth_session of the reply.
func (a *App) Send(form url.Values) *Reply {
	a.t.Helper()
	r := httptest.NewRequestWithContext(a.t.Context(), http.MethodPost, a.endpoint, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return a.Do(r)
}

// Do sends a request as it is, but for the app's header fields.
func (a *App) Do(r *http.Request) *Reply {
	a.t.Helper()
	maps.Copy(r.Header, a.Header)
	rec := httptest.NewRecorder()
	a.world.ServeHTTP(rec, r)
	reply := &Reply{t: a.t, Status: rec.Code, Header: rec.Result().Header, Body: rec.Body.String()}
	if err := json.Unmarshal(rec.Body.Bytes(), reply); err != nil {
		a.t.Fatalf("the reply is no JSON (%d): %v\n%s", reply.Status, err, reply.Body)
	}
	if reply.AuthSession != "" {
		a.Held = reply.AuthSession
	}
	return reply
}

// form returns what the app sends with everything, changed by pairs of name and value. An empty value takes the parameter out.
func (a *App) form(form url.Values, pairs []string) url.Values {
	form.Set("client_id", a.Client)
	form.Set("auth_session", a.Held)
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	maps.DeleteFunc(form, func(_ string, values []string) bool { return values[0] == "" })
	return form
}

// Asking is the form with which the app begins a request.
func (a *App) Asking(pairs ...string) url.Values {
	return a.form(url.Values{
		"response_type": {"code"}, "scope": {"openid accounts:read"}, "nonce": {"n-1"},
		"code_challenge": {oauth.Challenge(Verifier)}, "code_challenge_method": {"S256"},
	}, pairs)
}

// Ask begins a request.
func (a *App) Ask(pairs ...string) *Reply {
	a.t.Helper()
	return a.Send(a.Asking(pairs...))
}

// Push pushes a request that hands the app's session over to a browser, changed like that of [App.Asking].
func (a *App) Push(pairs ...string) *Reply {
	a.t.Helper()
	address := strings.TrimSuffix(a.endpoint, authz.PathChallenge) + authz.PathPushed
	form := a.Asking(append([]string{"redirect_uri", "com.example.mobile:/cb", "state", "st-1"}, pairs...)...)
	r := httptest.NewRequestWithContext(a.t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return a.Do(r)
}

// Pushed is the address at which a browser opens what the app has pushed, changed by pairs of name and value.
func (a *App) Pushed(r *Reply, pairs ...string) string {
	a.t.Helper()
	if r.Status != http.StatusCreated || r.RequestURI == "" {
		a.t.Fatalf("the request was not accepted (%d): %s", r.Status, r.Body)
	}
	query := a.form(url.Values{"request_uri": {r.RequestURI}}, append([]string{"auth_session", ""}, pairs...))
	return authz.PathAuthorize + "?" + query.Encode()
}

// Answers are the answers of an app by realm and field.
type Answers map[string]map[string]string

// String returns them as they are sent.
func (a Answers) String() string {
	text, err := json.Marshal(a)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// ByPassword answers the password realm.
func ByPassword(login, password string) Answers {
	return Answers{"password": {"username": login, "password": password}}
}

// Answer answers what the app was asked.
func (a *App) Answer(answers Answers, pairs ...string) *Reply {
	a.t.Helper()
	return a.Send(a.form(url.Values{"answers": {answers.String()}}, pairs))
}

// SignIn signs a user in and fails the test when that does not work.
func (a *App) SignIn(login string) {
	a.t.Helper()
	a.Ask()
	a.Answer(ByPassword(login, Password)).Granted()
}

// Granted returns the authorization code of the reply, and fails the test when there is none.
func (r *Reply) Granted() string {
	r.t.Helper()
	if r.Status != http.StatusOK || r.Code == "" {
		r.t.Fatalf("the reply is no code: %d\n%s", r.Status, r.Body)
	}
	return r.Code
}

// Asks checks that the reply asks for exactly these realms, and returns the reply.
func (r *Reply) Asks(realms ...string) *Reply {
	r.t.Helper()
	slices.Sort(realms)
	got := slices.Sorted(maps.Keys(r.Challenges))
	if r.Status != http.StatusForbidden || r.Error != "insufficient_authorization" || !slices.Equal(got, realms) {
		r.t.Fatalf("the reply asks for %v, want %v: %d\n%s", got, realms, r.Status, r.Body)
	}
	return r
}

// Refuses checks that the reply is an error, without anything that would lead on.
func (r *Reply) Refuses(status int, code string) *Reply {
	r.t.Helper()
	if r.Status != status || r.Error != code || r.Code != "" || len(r.Challenges) > 0 || r.AuthSession != "" {
		r.t.Fatalf("the reply is not %s (%d): %d\n%s", code, status, r.Status, r.Body)
	}
	return r
}
