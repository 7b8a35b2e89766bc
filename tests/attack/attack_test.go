// SPDX-License-Identifier: Apache-2.0

package attack_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

const secret = "machine-secret-0123456789-0123456789"

const caddyfile = `{
	admin ADMIN
	auto_https off
	gatehouse {
		issuer http://ISSUER
		storage badger data
		realm password {
			authenticator form
			login_module identity_store
		}
		scope read password
		scope pay password
		default_scope read
		client machine {
			secret SECRET
			grants client_credentials
			scopes read pay
		}
		user alice {
			password wonderland-2026
		}
	}
}
http://ISSUER {
	log
	authorization_server
	protect {
		session on
	}
	handle /account* {
		reverse_proxy UPSTREAM
	}
	reverse_proxy UPSTREAM
}
http://API {
	@open path /open
	protect @open {
		off
	}
	@pay path /pay*
	protect @pay pay
	protect read
	reverse_proxy UPSTREAM
}
http://MAYBE {
	log
	protect {
		optional
	}
	reverse_proxy UPSTREAM
}
`

// world is the program in front of an upstream that says what reached it.
type world struct {
	*program.Program

	issuer, api, maybe string
	token              string
}

var shared *world

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gatehouse-attack-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		upstream := httptest.NewServer(http.HandlerFunc(echo))
		defer upstream.Close()
		shared, err = start(dir, strings.TrimPrefix(upstream.URL, "http://"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer shared.Stop()
		return m.Run()
	}())
}

func start(dir, upstream string) (*world, error) {
	path, err := program.Build(dir)
	if err != nil {
		return nil, err
	}
	w := &world{}
	w.Program, err = program.Start(context.Background(), program.Config{
		Path: path, Dir: dir, Ports: 3, Host: "localhost", Ready: "/jwks",
		Caddyfile: func(a []string) string {
			w.issuer, w.api, w.maybe = a[0], a[1], a[2]
			return strings.NewReplacer("ADMIN", program.SocketIn(dir), "ISSUER", a[0], "API", a[1], "MAYBE", a[2], "UPSTREAM", upstream,
				"SECRET", secret).Replace(caddyfile)
		},
	})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest(http.MethodPost, "http://"+w.issuer+"/token", strings.NewReader("grant_type=client_credentials&scope=read"))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("machine", secret)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var issued struct {
		Token string `json:"access_token"`
	}
	err = json.NewDecoder(response.Body).Decode(&issued)
	w.token = issued.Token
	return w, err
}

// seen is what reached the upstream.
type seen struct {
	Path            string
	Header, Trailer http.Header
}

func echo(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("X-Upstream", "yes")
	_ = json.NewEncoder(w).Encode(seen{r.RequestURI, r.Header, r.Trailer})
}

// raw sends bytes to an address, lines ending as HTTP has it, and returns the status and, if a request reached the upstream,
// what that saw.
func raw(t *testing.T, address, text string) (int, *seen) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("reading the answer to %q: %v", text, err)
	}
	defer response.Body.Close()
	if response.Header.Get("X-Upstream") == "" {
		return response.StatusCode, nil
	}
	got := new(seen)
	if err := json.NewDecoder(response.Body).Decode(got); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, got
}

// get sends a GET with more header lines.
func get(t *testing.T, address, target string, lines ...string) (int, *seen) {
	t.Helper()
	return raw(t, address, "GET "+target+" HTTP/1.1\nHost: "+address+"\nConnection: close\n"+strings.Join(append(lines, "", ""), "\n"))
}

func bearer() string { return "Authorization: Bearer " + shared.token }

// identity returns what names somebody among header fields, in whatever spelling.
func identity(header http.Header) map[string]string {
	found := map[string]string{}
	for name, values := range header {
		if strings.HasPrefix(strings.ToLower(name), "gatehouse") {
			found[name] = strings.Join(values, "|")
		}
	}
	return found
}

// The issuer's pages need no login, also where they stand on a protected site. A handler that comes before the endpoints
// must not make that an open door.
func TestIssuersPathsOnAProtectedSiteReachNoUpstream(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/account", "/account?x=y", "/login", "/token", "/.well-known/openid-configuration"} {
		if status, got := get(t, shared.issuer, target, "Gatehouse-Subject: mallory"); got != nil {
			t.Errorf("%s reached the upstream (%d) as %v", target, status, identity(got.Header))
		}
	}
	if status, got := get(t, shared.issuer, "/accounts"); status != http.StatusUnauthorized || got != nil {
		t.Errorf("a path beside the issuer's is answered %d", status)
	}
}

// CVE-2025-64484, GHSA-7r4p-vjf4-gxv4, GHSA-f59h-q822-g45g and the like, over the wire.
func TestUpstreamSeesOurIdentityOnly(t *testing.T) {
	t.Parallel()
	forged := []string{
		"Gatehouse-Subject: mallory", "gatehouse_subject: mallory", "GATEHOUSE.SUBJECT: mallory", "Gatehouse-Name: mallory",
		"Gatehouse-Assertion: mallory", "gatehouse~acr: mallory", "Gatehouse-Subject: mallory",
	}
	for _, c := range []struct{ name, address, target, subject string }{
		{"judged", shared.api, "/x", "machine"},
		{"off", shared.api, "/open", ""},
		{"optional, with a token", shared.maybe, "/x", "machine"},
		{"optional, without", shared.maybe, "/x", ""},
	} {
		lines := forged
		if c.subject != "" {
			lines = append([]string{bearer()}, forged...)
		}
		status, got := get(t, c.address, c.target, lines...)
		if got == nil {
			t.Errorf("%s: answered %d", c.name, status)
			continue
		}
		for name, value := range identity(got.Header) {
			if strings.Contains(value, "mallory") || c.subject == "" {
				t.Errorf("%s: the upstream sees %s: %s", c.name, name, value)
			}
		}
		if c.subject != got.Header.Get("Gatehouse-Subject") {
			t.Errorf("%s: the upstream sees the subject %q, want %q", c.name, got.Header.Get("Gatehouse-Subject"), c.subject)
		}
		if got.Header.Get("Authorization") != "" {
			t.Errorf("%s: the upstream sees the token", c.name)
		}
	}
}

// RFC 9110 7.6.1: a proxy removes what Connection names, after the gate has set it.
func TestNobodyDropsAnIdentity(t *testing.T) {
	t.Parallel()
	_, got := get(t, shared.api, "/x", bearer(), "Connection: Gatehouse-Subject, gatehouse_client", "Connection: X-Hop, Gatehouse-Scope", "X-Hop: 1")
	if got == nil || got.Header.Get("Gatehouse-Subject") != "machine" || got.Header.Get("Gatehouse-Client") != "machine" ||
		got.Header.Get("Gatehouse-Scope") != "read" || got.Header.Get("X-Hop") != "" {
		t.Errorf("the upstream sees %+v", got)
	}
}

func TestNobodyAddsAnIdentityBehindTheBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, address, target, line string }{
		{"judged", shared.api, "/x", bearer() + "\n"}, {"off", shared.api, "/open", ""}, {"optional", shared.maybe, "/x", ""},
	} {
		_, got := raw(t, c.address, "POST "+c.target+" HTTP/1.1\nHost: "+c.address+"\n"+c.line+"Transfer-Encoding: chunked\n"+
			"Trailer: X-Sum, Gatehouse-Name\nConnection: close\n\n1\na\n0\nX-Sum: 1\nGatehouse-Name: mallory\nGatehouse_Acr: mallory\n\n")
		if got == nil || len(identity(got.Trailer)) > 0 || got.Trailer.Get("X-Sum") != "1" {
			t.Errorf("%s: the upstream sees %+v", c.name, got)
		}
	}
}

// GHSA-p224-6x5r-fjpm, GHSA-7rh7-c77v-6434, GHSA-pxq7-h93f-9jrg: what is decided on is what is forwarded.
func TestPathsThatTwoReadInTwoWays(t *testing.T) {
	t.Parallel()
	around := []string{
		"/open/../x", "/open/%2e%2e/x", "/open/..%2fx", "/open%2f..%2fx", "/open/..;/x", "/open;/x", `/open\..\x`, "/open%5c..%5cx",
		"/open/.", "//open", "/x//open", "/open%00", "/open%252f..%252fx", "/open%", "/./open", "/open/%c0%ae%c0%ae/x",
	}
	for _, target := range around {
		if status, got := get(t, shared.api, target); got != nil || status != http.StatusBadRequest {
			t.Errorf("%s is answered %d, and the upstream saw %+v", target, status, got)
		}
	}
	for _, target := range []string{"/x?/open", "/x?path=/open", "/x#/open", "/x%3f/open", "/x%23/open", "/openx", "/open/", "/open/x", "/open%20"} {
		if status, got := get(t, shared.api, target); got != nil || status != http.StatusUnauthorized {
			t.Errorf("%s is answered %d, and the upstream saw %+v", target, status, got)
		}
	}
	for _, target := range []string{"/pay", "/PAY", "/%70ay", "/pay?x", "/pay/../pay"} {
		if status, got := get(t, shared.api, target, bearer()); got != nil || status != http.StatusForbidden && status != http.StatusBadRequest {
			t.Errorf("with a token for something else %s is answered %d, and the upstream saw %+v", target, status, got)
		}
	}
	if _, got := get(t, shared.api, "/a%20b?c=%2f", bearer()); got == nil || got.Path != "/a%20b?c=%2f" {
		t.Errorf("a plain path becomes %+v", got)
	}
}

// CVE-2026-34457, GHSA-7x63-xv5r-3p2x: nothing that a client says about itself or its way here opens a route.
func TestNothingButACredentialOpensARoute(t *testing.T) {
	t.Parallel()
	for _, lines := range [][]string{
		{"User-Agent: kube-probe/1.30"}, {"User-Agent: GoogleHC/1.0"}, {"User-Agent: ELB-HealthChecker/2.0"},
		{"X-Forwarded-Uri: /open"}, {"X-Original-URL: /open"}, {"X-Rewrite-Url: /open"}, {"X-Forwarded-Prefix: /open"},
		{"X-Forwarded-Host: localhost", "X-Forwarded-Proto: https", "X-Forwarded-For: 127.0.0.1", "X-Real-Ip: 127.0.0.1"},
		{"X-Forwarded-Method: OPTIONS"}, {"X-HTTP-Method-Override: GET"}, {"Forwarded: for=127.0.0.1;host=localhost"},
		{"Upgrade: websocket"}, {"Upgrade: h2c", "Http2-Settings: AAAA"}, {"Authorization: Basic eDp5"}, {"Authorization: Bearer"},
		{"Cookie: __Host-gh_site_0000000000=x; gh_site_0000000000=x"}, {bearer(), bearer()}, {bearer() + ", Bearer x"},
		{"Proxy-" + bearer()}, {"X-" + bearer()},
	} {
		if status, got := get(t, shared.api, "/x", lines...); got != nil || status < 400 || status >= 500 {
			t.Errorf("%q is answered %d, and the upstream saw %+v", lines, status, got)
		}
	}
	for _, method := range []string{"OPTIONS", "HEAD", "TRACE", "PROPFIND", "CONNECT", "get"} {
		text := method + " /x HTTP/1.1\nHost: " + shared.api + "\nOrigin: https://evil.example\nAccess-Control-Request-Method: GET\nConnection: close\n\n"
		if status, got := raw(t, shared.api, text); got != nil || status < 400 {
			t.Errorf("%s is answered %d, and the upstream saw %+v", method, status, got)
		}
	}
	if status, got := get(t, shared.api, "/x?access_token="+shared.token); got != nil || status != http.StatusUnauthorized {
		t.Errorf("a token in the query is answered %d", status)
	}
	if status, got := get(t, shared.maybe, "/x", "Authorization: Bearer x.y.z"); got != nil || status != http.StatusUnauthorized {
		t.Errorf("a bad token is answered %d where none is needed", status)
	}
}

// The issuer is what the configuration says, whoever asks in whatever name (CVE-2023-36456 and others).
func TestIssuerComesFromNoHeader(t *testing.T) {
	t.Parallel()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+shared.issuer+"/.well-known/openid-configuration", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Server", "X-Host", "X-Original-Host"} {
		r.Header.Set(name, "evil.example")
	}
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Header.Set("Forwarded", "host=evil.example;proto=https")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || strings.Contains(string(body), "evil") || !strings.Contains(string(body), `"issuer":"http://`+shared.issuer+`"`) {
		t.Errorf("the metadata says %s (%v)", body, err)
	}
}

// Nothing that was presented is told to the log: neither what was good nor what was not.
func TestSecretsAreNotLogged(t *testing.T) {
	t.Parallel()
	const guess = "guess-0123456789-guess"
	get(t, shared.api, "/x", bearer())
	get(t, shared.api, "/x", "Authorization: Bearer "+guess)
	get(t, shared.maybe, "/x", "Cookie: gh_site_0000000000="+guess)
	body := "grant_type=authorization_code&client_id=machine&client_secret=" + guess + "&code=" + guess + "&code_verifier=" + guess
	raw(t, shared.issuer, fmt.Sprintf("POST /token HTTP/1.1\nHost: %s\nContent-Type: application/x-www-form-urlencoded\n"+
		"Content-Length: %d\nConnection: close\n\n%s", shared.issuer, len(body), body))
	for _, hidden := range []string{guess, shared.token, secret, "wonderland"} {
		if strings.Contains(shared.Log(), hidden) {
			t.Errorf("the log holds %q", hidden)
		}
	}
}

// CVE-2022-24797: what operators do is on the admin endpoint alone, and that listens to nobody's page.
func TestOperatorsEndpointsAreNotPublic(t *testing.T) {
	t.Parallel()
	for _, address := range []string{shared.issuer, shared.api, shared.maybe} {
		for _, target := range []string{"/gatehouse/users", "/gatehouse/keys", "/gatehouse/", "/config/", "/debug/pprof/", "/debug/vars", "/metrics", "/load"} {
			status, got := get(t, address, target)
			if got == nil && status < 400 || got != nil && address != shared.maybe {
				t.Errorf("%s%s is answered %d, and the upstream saw %+v", address, target, status, got)
			}
		}
	}
}
