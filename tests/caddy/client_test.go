// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// answer is what a client got.
type answer struct {
	Status int
	Header http.Header
	Body   string
	URL    *url.URL
}

// heard reads an answer of the upstream.
func (a *answer) heard(t *testing.T) heard {
	t.Helper()
	var h heard
	if err := json.Unmarshal([]byte(a.Body), &h); err != nil {
		t.Fatalf("this is no answer of the upstream: %d %q", a.Status, a.Body)
	}
	return h
}

// reached reports whether the upstream answered.
func (a *answer) reached() bool { return a.Header.Get("X-Upstream") != "" }

// send sends one request and follows no redirect.
func send(t *testing.T, method, address string, change ...func(*http.Request)) *answer {
	t.Helper()
	return sendWith(t, &http.Client{CheckRedirect: stay}, method, address, change...)
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func sendWith(t *testing.T, client *http.Client, method, address string, change ...func(*http.Request)) *answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(r)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, response)
}

func read(t *testing.T, response *http.Response) *answer {
	t.Helper()
	defer func() { _ = response.Body.Close() }() // it has been read
	var body []byte
	if response.StatusCode != http.StatusSwitchingProtocols { // what follows has no end
		var err error
		if body, err = io.ReadAll(response.Body); err != nil {
			t.Fatal(err)
		}
	}
	return &answer{Status: response.StatusCode, Header: response.Header, Body: string(body), URL: response.Request.URL}
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func form(pairs ...string) func(*http.Request) {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return func(r *http.Request) { setBody(r, "application/x-www-form-urlencoded", values.Encode()) }
}

func setBody(r *http.Request, contentType, body string) {
	r.Header.Set("Content-Type", contentType)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
}

func basic(user, secret string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(user, secret) }
}

// tokens is what the token endpoint answers.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Error   string `json:"error"`
}

func (h *house) token(t *testing.T, change ...func(*http.Request)) tokens {
	t.Helper()
	got := send(t, http.MethodPost, h.issuer+"/token", change...)
	var all tokens
	if err := json.Unmarshal([]byte(got.Body), &all); err != nil {
		t.Fatalf("the token endpoint answers %d %q", got.Status, got.Body)
	}
	return all
}

// machine returns a token of the machine.
func (h *house) machine(t *testing.T, scope string) string {
	t.Helper()
	got := h.token(t, basic("machine", machineSecret), form("grant_type", "client_credentials", "scope", scope))
	if got.Access == "" {
		t.Fatalf("the machine gets no token: %s", got.Error)
	}
	return got.Access
}

// browser is somebody's browser. It keeps cookies, follows redirects and fills in forms.
type browser struct {
	t      *testing.T
	client *http.Client
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, client: &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		navigate(r)
		if strings.HasPrefix(r.URL.Host, "127.0.0.1") {
			return http.ErrUseLastResponse // an application of its own
		}
		return nil
	}}}
}

func navigate(r *http.Request) {
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
}

func (b *browser) get(address string, change ...func(*http.Request)) *answer {
	b.t.Helper()
	return sendWith(b.t, b.client, http.MethodGet, address, append([]func(*http.Request){navigate}, change...)...)
}

// submit fills in the first form of a page and sends it.
func (b *browser) submit(page *answer, pairs ...string) *answer {
	b.t.Helper()
	action, fields := formOf(b.t, page)
	for i := 0; i+1 < len(pairs); i += 2 {
		fields.Set(pairs[i], pairs[i+1])
	}
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, action, strings.NewReader(fields.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", page.URL.Scheme+"://"+page.URL.Host)
	navigate(r)
	response, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	return read(b.t, response)
}

// login answers the login page.
func (b *browser) login(page *answer, user string) *answer {
	b.t.Helper()
	return b.submit(page, "username", user, "password", password)
}

// code logs in for the app and returns the code and its verifier.
func (b *browser) code(h *house, user, scope string) (code, verifier string) {
	b.t.Helper()
	verifier = strings.Repeat("verifier", 6)
	sum := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {"http://127.0.0.1:1/callback"}, "scope": {scope},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "state": {"x"},
	}
	page := b.get(h.issuer + "/authorize?" + query.Encode())
	if page.Status == http.StatusOK {
		page = b.login(page, user)
	}
	to, err := url.Parse(page.Header.Get("Location"))
	if err != nil || to.Query().Get("code") == "" {
		b.t.Fatalf("the browser gets no code: %d %s %s", page.Status, page.URL, page.Body)
	}
	return to.Query().Get("code"), verifier
}

// redeem redeems a code of the app.
func (h *house) redeem(t *testing.T, code, verifier string) tokens {
	t.Helper()
	return h.token(t, form("grant_type", "authorization_code", "client_id", "app", "code", code,
		"redirect_uri", "http://127.0.0.1:1/callback", "code_verifier", verifier))
}

// user returns tokens of a user.
func (h *house) user(t *testing.T, name, scope string) tokens {
	t.Helper()
	code, verifier := newBrowser(t).code(h, name, scope)
	got := h.redeem(t, code, verifier)
	if got.Access == "" {
		t.Fatalf("%s gets no token: %s", name, got.Error)
	}
	return got
}

// formOf returns where the first form of a page goes, and what it holds.
func formOf(t *testing.T, page *answer) (action string, fields url.Values) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page.Body))
	if err != nil {
		t.Fatal(err)
	}
	fields = url.Values{}
	for node := range root.Descendants() {
		attributes := map[string]string{}
		for _, a := range node.Attr {
			attributes[a.Key] = a.Val
		}
		switch {
		case node.Data == "form" && action == "":
			to, err := page.URL.Parse(attributes["action"])
			if err != nil {
				t.Fatal(err)
			}
			action = to.String()
		case node.Data == "input" && attributes["name"] != "":
			fields.Set(attributes["name"], attributes["value"])
		}
	}
	if action == "" {
		t.Fatalf("there is no form on %s: %d %s", page.URL, page.Status, page.Body)
	}
	return action, fields
}

// admin speaks to the admin API.
func (h *house) admin() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", h.path("admin.sock"))
		},
		DisableKeepAlives: true,
	}}
}

// load gives the program a configuration and returns Caddy's answer.
func (h *house) load(t *testing.T, contentType, config string) *answer {
	t.Helper()
	got := sendWith(t, h.admin(), http.MethodPost, "http://127.0.0.1/load", func(r *http.Request) {
		setBody(r, contentType, config)
	})
	http.DefaultClient.CloseIdleConnections() // the servers before are closing them: a POST that took one would get no answer
	return got
}

// reload gives the program a Caddyfile and fails the test when it refuses.
func (h *house) reload(t *testing.T, caddyfile string) {
	t.Helper()
	if got := h.load(t, "text/caddyfile", caddyfile); got.Status != http.StatusOK {
		t.Fatalf("the reload fails: %s", got.Body)
	}
}

// current is the Caddyfile that the program was started with.
func (h *house) current() string { return h.Caddyfile(h.Addresses) }

// metric returns the sum of a metric over all its labels that hold part.
func (h *house) metric(t *testing.T, name, part string) float64 {
	t.Helper()
	got := sendWith(t, h.admin(), http.MethodGet, "http://127.0.0.1/metrics")
	var sum float64
	for line := range strings.Lines(got.Body) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' || !strings.Contains(rest, part) {
			continue
		}
		var value float64
		if err := json.Unmarshal([]byte(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' '):])), &value); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		sum += value
	}
	return sum
}
