// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
)

// ways are ways to write a path: PATH stands for what is protected, and OPEN for what is not.
var ways = []string{
	"PATH", "PATH/", "PATH?", "PATH?OPEN", "PATH?x=/../OPEN", "PATH#OPEN", "PATH%23OPEN", "PATH%3fOPEN", "PATH%3FOPEN", "PATH;OPEN", "PATH;x=y/a",
	"PATH%3bOPEN", "PATH/..", "PATH/../OPEN", "PATH/..%2fOPEN", "PATH/..%2FOPEN", "PATH/%2e%2e/OPEN", "PATH/%2e%2e%2fOPEN", "PATH/.%2e/OPEN",
	"PATH/..;/OPEN", "PATH/..;x/OPEN", "PATH/..%00/OPEN", "PATH/..%5cOPEN", `PATH/..\OPEN`, `PATH\..\OPEN`, "PATH%5c..%5cOPEN",
	"OPEN/../PATH", "OPEN/..PATH", "OPEN/%2e%2e/PATH", "OPEN/%2e%2ePATH", "OPEN/..%2fPATH", "OPEN%2f..PATH", "OPEN/..;PATH", "OPEN/..;/PATH",
	"OPEN/;/..PATH", `OPEN\..PATH`, "OPEN%5c..PATH", "OPEN/%252e%252ePATH", "OPEN/%252e%252e%252fPATH", "OPEN/%c0%ae%c0%aePATH", "OPEN/..%c0%afPATH",
	"/PATH", "//PATH", "/./PATH", "/.PATH", "/%2ePATH", "/;PATH", "/;x=y/PATH", "/%2fPATH", "/%5cPATH", `/\PATH`, "/%00PATH", "/%0aPATH", "/%20PATH",
	"PATH%00", "PATH%0a", "PATH%20", "PATH.", "PATH%2e", "PATH/.", "PATH/%2e", "PATH//", "PATH/;", "PATH%ff", "PATH..;/", "/%70rivate", "/privat%65",
	"/PRIVATE", "/Private", "/%50RIVATE", "/privat%c4%b1", "/priv%61te%2f", "OPEN", "OPEN/", "OPEN//a", "OPEN%2fa", "OPEN;a", "OPEN/a.b",
	"http://localhostPATH", "http://localhost/OPEN/..PATH", "*", "PATH%", "PATH%zz", "PATH%u002f", "OPEN/%u002e%u002ePATH",
}

// TestPathsAreJudgedAsTheyAreForwarded: the path that was judged is the path that the upstream gets, or there is none
// (GHSA-p224-6x5r-fjpm, GHSA-7rh7-c77v-6434 and their kin). However an upstream reads its path, without a token it never
// reads the protected one.
func TestPathsAreJudgedAsTheyAreForwarded(t *testing.T) {
	t.Parallel()
	h := common(t)
	sites := []struct{ address, secret, open string }{
		{h.api, "/private", "/elsewhere"}, {h.api, "/private", "/health"}, {h.api, "/payments", "/open"}, {h.all, "/accounts", "/health"},
		{h.nested, "/outer", "/elsewhere"}, {h.nested, "/outer/inner", "/off"},
	}
	for _, site := range sites {
		for _, way := range ways {
			target := strings.NewReplacer("PATH", site.secret, "OPEN", site.open, "http://localhost", site.address).Replace(way)
			got, err := raw(site.address, "GET "+target+" HTTP/1.1\r\nHost: "+strings.TrimPrefix(site.address, "http://")+"\r\nConnection: close\r\n\r\n")
			if err != nil {
				t.Fatalf("%q: %v", target, err)
			}
			if !got.reached() {
				if got.Status != http.StatusBadRequest && got.Status != http.StatusUnauthorized && got.Status != http.StatusForbidden {
					t.Errorf("%q at %s: status %d", target, site.address, got.Status)
				}
				continue
			}
			uri := got.heard(t).URI
			for _, read := range readings(uri) {
				if read == site.secret || strings.HasPrefix(read, site.secret+"/") {
					t.Errorf("%q at %s reaches the upstream as %q, which may be read as %q", target, site.address, uri, read)
					break
				}
			}
			if sent, _, _ := strings.Cut(strings.TrimPrefix(target, site.address), "#"); uri != sent && uri+"?" != sent {
				t.Errorf("%q at %s is forwarded as %q", target, site.address, uri)
			}
		}
	}
}

// readings are what upstreams of different makes may take a path for.
func readings(uri string) []string {
	seen, _, _ := strings.Cut(uri, "?")
	all := []string{seen}
	for range 3 {
		decoded, err := url.PathUnescape(seen)
		if err != nil {
			break
		}
		seen = decoded
		for _, form := range []string{seen, strings.ReplaceAll(seen, `\`, "/"), parameterless(seen), beforeZero(seen)} {
			all = append(all, form, path.Clean(form), strings.ToLower(path.Clean(form)), strings.TrimRight(path.Clean(form), ". "))
		}
	}
	return all
}

// parameterless drops the parameters of every segment (RFC 3986 3.3), as servlet containers do.
func parameterless(text string) string {
	segments := strings.Split(text, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return strings.Join(segments, "/")
}

func beforeZero(text string) string {
	before, _, _ := strings.Cut(text, "\x00")
	return before
}

// TestLenientPaths: where an application needs encoded slashes they pass, and dot segments do not.
func TestLenientPaths(t *testing.T) {
	t.Parallel()
	h := common(t)
	token := h.machine(t, "accounts:read")
	for target, status := range map[string]int{
		"/lenient/a%2Fb": 200, "/lenient/a//b": 200, "/lenient/a;b=c": 200, "/lenient/..%2fprivate": 400, "/lenient/%2e%2e/private": 400,
		"/private/a%2Fb": 400, "/private/a//b": 400, "/private/a;b": 400,
	} {
		got, err := raw(h.api, "GET "+target+" HTTP/1.1\r\nHost: "+strings.TrimPrefix(h.api, "http://")+
			"\r\nConnection: close\r\nAuthorization: Bearer "+token+"\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		if got.Status != status {
			t.Errorf("%s: status %d, want %d", target, got.Status, status)
		}
		if status == http.StatusOK && got.heard(t).URI != target {
			t.Errorf("%s is forwarded as %s", target, got.heard(t).URI)
		}
	}
}
