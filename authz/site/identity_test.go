// SPDX-License-Identifier: Apache-2.0

package site_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/validation"
)

// spelling draws a spelling of a header name that some upstream takes for the same.
func spelling(t *rapid.T, name string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' {
			return rapid.SampledFrom([]rune{'-', '_', '.', '!', '~', '+', '|'}).Draw(t, "separator")
		}
		if rapid.Bool().Draw(t, "upper") {
			return []rune(strings.ToUpper(string(r)))[0]
		}
		return []rune(strings.ToLower(string(r)))[0]
	}, name)
}

func TestNoSpellingOfAnIdentityHeaderPasses(t *testing.T) {
	t.Parallel()
	claims := map[string]string{"X-Remote-User": "sub", "gatehouse-subject": "sub", "X-Absent": "absent"}
	headers := site.NewHeaders(claims)
	who := &validation.Principal{Subject: "usr_alice"}
	names := []string{"x-remote-user", "gatehouse-subject", "x-absent", "gatehouse-anything-else", "gatehouse-assertion"}
	rapid.Check(t, func(t *rapid.T) {
		header := http.Header{"Accept": {"text/html"}, "X-Remote-Users": {"kept"}}
		for range rapid.IntRange(1, 5).Draw(t, "headers") {
			name := spelling(t, rapid.SampledFrom(names).Draw(t, "name"))
			header[name] = append(header[name], "mallory", "mallory")
		}
		headers.Strip(header)
		headers.Set(header, who)
		want := http.Header{
			"Accept": {"text/html"}, "X-Remote-Users": {"kept"}, "X-Remote-User": {"usr_alice"}, "Gatehouse-Subject": {"usr_alice"},
		}
		if diff := cmp.Diff(want, header); diff != "" {
			t.Fatal(diff)
		}
	})
}

// RFC 9110 7.6.1: a proxy removes the fields that Connection names, also those the gate has set. What else stands there is
// the client's own business.
func TestConnectionNamesNoIdentityHeader(t *testing.T) {
	t.Parallel()
	headers := site.NewHeaders(map[string]string{"X-Remote-User": "sub"})
	cases := []struct {
		name       string
		have, want []string
	}{
		{"ours alone", []string{"Gatehouse-Subject"}, nil},
		{"ours among others", []string{"close, gatehouse-subject ,X-Hop"}, []string{"close, X-Hop"}},
		{"in several lines", []string{"keep-alive", "x_remote.user", "Upgrade"}, []string{"keep-alive", "Upgrade"}},
		{"the assertion", []string{"Gatehouse-Assertion,Upgrade"}, []string{"Upgrade"}},
		{"others", []string{"keep-alive, Upgrade"}, []string{"keep-alive, Upgrade"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{"Connection": c.have}
			headers.Strip(header)
			if diff := cmp.Diff(c.want, header["Connection"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// RFC 9112 7.1.2: trailers come after the body, announced or not, when the decision has long been made. None of ours goes on
// through a proxy.
func TestNoIdentityHeaderInTrailers(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 1)
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got <- r.Trailer
	}))
	t.Cleanup(upstream.Close)
	target, err := url.Parse(upstream.URL)
	must(t, err)
	headers := site.NewHeaders(map[string]string{"X-Remote-User": "sub"})
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(r.Context()) // as every server that adds to the context hands it on
		headers.Clean(r)
		out := *r // Caddy's proxy shares the trailer as well
		out.URL, out.RequestURI = target, ""
		answer, err := upstream.Client().Transport.RoundTrip(&out)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = answer.Body.Close()
	}))
	t.Cleanup(gate.Close)

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", gate.Listener.Addr().String())
	must(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Gatehouse-Name\r\n"+
		"Connection: close\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nGatehouse-Name: mallory\r\nx-remote.user: mallory\r\nX_Remote_User: mallory\r\n\r\n")
	must(t, err)
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(http.Header{"X-Sum": {"1"}}, <-got); diff != "" {
		t.Error(diff)
	}
}

func TestClaimText(t *testing.T) {
	t.Parallel()
	who, err := validation.ReadPrincipal([]byte(`{"iss":"https://i","sub":"usr_1","aud":["a","b"],"exp":1800000000,"iat":1700000000,
		"client_id":"app","jti":"at_1","sid":"ses_1","scope":"openid a:b","acr":"gold","amr":["pwd","otp"],"auth_time":1700000000,
		"name":"A\u0000li\r\nce","roles":["x","y"],"vip":true,"n":7,
		"application":{"id":"bank","platform":"ios","version":"2.1"}}`))
	must(t, err)
	want := map[string]string{
		"iss": "https://i", "sub": "usr_1", "aud": "a b", "exp": "1800000000", "client_id": "app", "jti": "at_1", "sid": "ses_1",
		"scope": "openid a:b", "acr": "gold", "amr": "pwd otp", "auth_time": "1700000000", "name": "Alice", "roles": "x y",
		"vip": "true", "n": "7", "absent": "", "application": "bank", "application_platform": "ios", "application_version": "2.1",
	}
	for claim, text := range want {
		if got := site.ClaimText(who, claim); got != text {
			t.Errorf("%s is %q, want %q", claim, got, text)
		}
	}
	if got := site.ClaimText(&validation.Principal{}, "auth_time"); got != "" {
		t.Errorf("an unknown auth_time is %q", got)
	}
	for _, claim := range []string{"application", "application_platform", "application_version"} {
		if got := site.ClaimText(&validation.Principal{}, claim); got != "" {
			t.Errorf("an unknown %s is %q", claim, got)
		}
	}
}

func TestStripCookies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	jar, _ := f.login(t, "/")
	under, _ := f.begin(t, "/")
	r := request(http.MethodGet, "/", cookies(append(jar, under...)...))
	r.Header["Cookie"] = append(r.Header["Cookie"], "theme=dark; session=upstream", lastOf(jar).Name+"=again",
		"__Host-gatehouse-session=issuer; __Secure-gatehouse-browser=issuer; gatehouse-session-0123abcd=issuer; gh_site_00=neighbour")
	site.StripCookies(r)
	if diff := cmp.Diff([]string{"theme=dark; session=upstream"}, r.Header["Cookie"]); diff != "" {
		t.Error(diff)
	}
	r = request(http.MethodGet, "/", cookies(jar...))
	site.StripCookies(r)
	if _, left := r.Header["Cookie"]; left {
		t.Error("an empty Cookie header is left")
	}
}

// FuzzCookies feeds malformed cookies (CVE-2026-25748): whatever they hold, nobody is somebody.
func FuzzCookies(f *testing.F) {
	x := newFixture(f)
	for _, seed := range []string{"a=b", "__Host-gh_site_=x", ";;;=", "\x00", strings.Repeat("a=b;", 500)} {
		f.Add(seed)
	}
	rule := x.rule(withSession)
	f.Fuzz(func(t *testing.T, line string) {
		r := request(http.MethodGet, "/")
		r.Header["Cookie"] = []string{line, fmt.Sprintf("__Host-gh_site_%s=%s", "0000000000", line)}
		if d, _ := x.decide(r, rule); d.Err == nil || d.Principal != nil {
			t.Errorf("a request with the cookie %q passes", line)
		}
		site.StripCookies(r)
	})
}

func BenchmarkStripAndSet(b *testing.B) {
	headers := site.NewHeaders(site.DefaultHeaders())
	who := &validation.Principal{
		Issuer: issuer, Subject: "usr_alice", ClientID: "app", TokenID: "at_1", SessionID: "ses_1", ACR: "password",
		AMR: []string{"pwd"}, Scopes: validation.Scopes{"accounts:read"}, ExpiresAt: time.Unix(1, 0),
	}
	header := http.Header{"Accept": {"*/*"}, "User-Agent": {"curl"}, "Authorization": {"Bearer x"}, "Accept-Encoding": {"gzip"}}
	b.ReportAllocs()
	for b.Loop() {
		headers.Strip(header)
		headers.Set(header, who)
	}
}
