// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/services/proxy"
)

func start(t *testing.T, c proxy.Config) *proxy.Proxy {
	t.Helper()
	p, err := proxy.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// curl goes through the proxy to a TLS server, and returns the status of the proxy's answer and what the server said.
func curl(t *testing.T, through, address string) (status, said string) {
	t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	out, _ := exec.CommandContext(t.Context(), path, "-sSk", "--max-time", "20", "--proxytunnel", "--noproxy", "", "--proxy", through,
		"-w", "\n%{http_connect}", address).Output()
	lines := strings.Split(string(out), "\n")
	return lines[len(lines)-1], strings.Join(lines[:len(lines)-1], "\n")
}

func TestItCarriesCountsAndRefuses(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	t.Cleanup(server.Close)
	p := start(t, proxy.Config{})
	if status, said := curl(t, p.URL.String(), server.URL); status != "200" || said != "here" {
		t.Errorf("through the proxy: %s %q", status, said)
	}
	if p.Carried() == 0 {
		t.Error("it counted nothing")
	}
	p.Refuse(http.StatusForbidden)
	if status, said := curl(t, p.URL.String(), server.URL); status != "403" || said != "" {
		t.Errorf("a proxy that refuses: %s %q", status, said)
	}
	p.Refuse(0)
	if status, _ := curl(t, p.URL.String(), "https://127.0.0.1:1"); status != "502" {
		t.Errorf("nobody there: %s", status)
	}
	if status, _ := curl(t, p.URL.String(), "https://192.0.2.1"); status != "403" {
		t.Errorf("another host: %s", status)
	}
	host := strings.TrimPrefix(server.URL, "https://")
	if asked := p.Asked(); !slices.Equal(asked, []string{host, host, "127.0.0.1:1", "192.0.2.1:443"}) {
		t.Errorf("asked = %q", asked)
	}
}

func TestItAsksForAPassword(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	t.Cleanup(server.Close)
	p := start(t, proxy.Config{User: "us", Password: "pass word"})
	if status, said := curl(t, p.URL.String(), server.URL); status != "200" || said != "here" {
		t.Errorf("with the password: %s %q", status, said)
	}
	if status, _ := curl(t, "http://"+p.URL.Host, server.URL); status != "407" {
		t.Errorf("without: %s", status)
	}
}

func TestItIsNoServer(t *testing.T) {
	t.Parallel()
	p := start(t, proxy.Config{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET = %d", response.StatusCode)
	}
}
