// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// raw sends a request exactly as it is written, which no client library would, and returns the answer.
func raw(address, request string) (*answer, error) {
	to, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	connection, err := net.Dial("tcp", to.Host)
	if err != nil {
		return nil, err
	}
	defer func() { _ = connection.Close() }() // the answer has been read
	if _, err := io.WriteString(connection, request); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	body, err := io.ReadAll(response.Body)
	return &answer{Status: response.StatusCode, Header: response.Header, Body: string(body), URL: to}, err
}

// spelling draws a spelling of a header name that some upstream takes for the same (CVE-2025-64484).
func spelling(t *rapid.T, name string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' {
			return rapid.SampledFrom([]rune("-_.!~")).Draw(t, "separator")
		}
		if rapid.Bool().Draw(t, "upper") {
			return []rune(strings.ToUpper(string(r)))[0]
		}
		return []rune(strings.ToLower(string(r)))[0]
	}, name)
}

// identity returns, by their folded names, the fields of a request that an upstream could believe.
func identity(header http.Header) map[string]string {
	found := map[string]string{}
	for name, values := range header {
		folded := strings.ToLower(strings.NewReplacer("_", "-", ".", "-", "!", "-", "~", "-").Replace(name))
		if strings.HasPrefix(folded, "gatehouse-") || strings.HasPrefix(folded, "x-remote-") {
			found[folded] += strings.Join(values, ",") + found[folded]
		}
	}
	return found
}

// TestClientsCannotNameThemselves: whatever a client calls itself, and however it spells it, on a protected site the
// upstream hears what the gate says and nothing else: on every kind of rule, and where there is none.
func TestClientsCannotNameThemselves(t *testing.T) {
	t.Parallel()
	h := common(t)
	token := h.machine(t, "accounts:read payments:write")
	routes := map[string]string{ // by what is sent with the request
		h.api + "/private": token, h.api + "/payments": token, h.api + "/remote": token, h.api + "/open": "", h.api + "/health": "",
		h.api + "/elsewhere": "", h.all + "/health": "", h.all + "/": token, h.nested + "/outer/inner": token, h.nested + "/off": "",
		h.nested + "/elsewhere": "", h.issuer + "/site": token,
	}
	for address, token := range routes {
		to, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		credential := ""
		if token != "" {
			credential = "Authorization: Bearer " + token + "\r\n"
		}
		plain := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s", to.Path, to.Host, credential)
		t.Run(strings.TrimPrefix(address, "http://localhost:"), func(t *testing.T) {
			honest, err := raw(address, plain+"\r\n")
			if err != nil {
				t.Fatal(err)
			}
			want := identity(honest.heard(t).Header)
			delete(want, "gatehouse-assertion") // it is signed anew each time
			rapid.Check(t, func(r *rapid.T) {
				request := plain
				for range rapid.IntRange(1, 4).Draw(r, "headers") {
					name := rapid.SampledFrom([]string{
						"Gatehouse-Subject", "Gatehouse-Scope", "Gatehouse-Assertion", "Gatehouse-Whatever", "X-Remote-User", "X-Remote-Nothing",
					}).Draw(r, "name")
					for range rapid.IntRange(1, 2).Draw(r, "times") {
						request += spelling(r, name) + ": mallory\r\n"
					}
				}
				lied, err := raw(address, request+"\r\n")
				if err != nil {
					r.Fatal(err)
				}
				if lied.Status == http.StatusBadRequest && !lied.reached() {
					return // what is no name of a header never gets as far as a rule
				}
				got := identity(lied.heard(t).Header)
				delete(got, "gatehouse-assertion")
				if diff := cmp.Diff(want, got); diff != "" {
					r.Fatalf("%q:\n%s", request, diff)
				}
			})
		})
	}
}

// TestTrailersCannotNameClients: what comes after the body is a header to some upstreams.
func TestTrailersCannotNameClients(t *testing.T) {
	t.Parallel()
	h := common(t)
	for _, path := range []string{"/health", "/elsewhere", "/open"} {
		got, err := raw(h.api, "POST "+path+" HTTP/1.1\r\nHost: "+strings.TrimPrefix(h.api, "http://")+"\r\nConnection: close\r\n"+
			"Transfer-Encoding: chunked\r\nTrailer: Gatehouse-Subject, X-Honest\r\n\r\n5\r\nhello\r\n0\r\n"+
			"Gatehouse-Subject: mallory\r\nGatehouse-Scope: everything\r\nX-Honest: yes\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		heard := got.heard(t)
		if found := identity(heard.Trailer); len(found) > 0 {
			t.Errorf("%s: the upstream hears %v in the trailer", path, found)
		}
	}
}

// TestRequestWithoutAClaimHasNoHeader (GHSA-7r4p-vjf4-gxv4): a claim that the token lacks leaves its header absent.
func TestRequestWithoutAClaimHasNoHeader(t *testing.T) {
	t.Parallel()
	h := common(t)
	heard := send(t, http.MethodGet, h.api+"/private", bearer(h.machine(t, "accounts:read")),
		header("Gatehouse-Name", "mallory"), header("Gatehouse-Session", "mallory")).heard(t)
	for _, name := range []string{"Gatehouse-Name", "Gatehouse-Session", "Gatehouse-Acr"} {
		if values, there := heard.Header[name]; there {
			t.Errorf("%s is %q", name, values)
		}
	}
}
