// SPDX-License-Identifier: Apache-2.0

package smsgateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	"github.com/gatehouse-id/gatehouse/tests/services/smsgateway"
)

func start(t *testing.T, c smsgateway.Config) (s *smsgateway.Service, curl func(arguments ...string) string) {
	t.Helper()
	authority, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	c.Authority, c.Now = authority, time.Now
	if s, err = smsgateway.Start(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	program, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	roots := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(roots, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, func(arguments ...string) string {
		t.Helper()
		all := append([]string{"-sS", "--noproxy", "*", "--cacert", roots, "-w", " %{http_code}"}, arguments...)
		out, err := exec.CommandContext(t.Context(), program, all...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.ReplaceAll(string(out), "\n", "")
	}
}

func TestCurlSends(t *testing.T) {
	t.Parallel()
	s, curl := start(t, smsgateway.Config{User: "u", Password: "p", Bearer: "b", Key: "k", Bad: map[string]string{"+31600000001": "opted_out"}})
	body := `{"to":"+31612345678","from":"Example","text":"a \"quote\" & more\n","reference":"r1","ttl":300}`
	for _, tt := range []struct {
		name      string
		arguments []string
		want      string
	}{
		{"JSON", []string{"-u", "u:p", "--json", body, s.URL + "/json"}, "accepted\"}]} 202"},
		{"the same again", []string{"-u", "u:p", "--json", body, s.URL + "/json"}, "202"},
		{"a form", []string{"-H", "X-Api-Key: k", "--data-urlencode", "text=a & b", "-d", "to=0031612345678&ttl=1&reference=r2&from=", s.URL + "/form"}, "202"},
		{"an address", []string{"-H", "Authorization: Bearer b", "-G", "--data-urlencode", "text=ж", "-d", "to=31612345678&ttl=1", s.URL + "/get"}, "202"},
		{"nobody", []string{"--json", body, s.URL + "/json"}, "unauthorized\"}} 401"},
		{"a wrong password", []string{"-u", "u:x", "--json", body, s.URL + "/json"}, "401"},
		{"a wrong token", []string{"-H", "Authorization: Bearer x", "--json", body, s.URL + "/json"}, "401"},
		{"an unknown member", []string{"-u", "u:p", "--json", `{"to":"+31612345678","txt":"x","ttl":1}`, s.URL + "/json"}, "malformed\"}} 400"},
		{"no JSON", []string{"-u", "u:p", "-d", body, s.URL + "/json"}, "400"},
		{"a repeated parameter", []string{"-u", "u:p", "-d", "to=31612345678&text=a&text=b&ttl=1", s.URL + "/form"}, "400"},
		{"no number", []string{"-u", "u:p", "-d", "to=12&text=a&ttl=1", s.URL + "/form"}, "invalid_number\"}} 422"},
		{"a bad number", []string{"-u", "u:p", "-d", "to=31600000001&text=a&ttl=1", s.URL + "/form"}, "opted_out\"}} 422"},
		{"another path", []string{"-u", "u:p", "-d", "x", s.URL + "/"}, "404"},
	} {
		if got := curl(tt.arguments...); !strings.HasSuffix(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	m := s.Messages()
	if len(m) != 3 || m[0].Text != "a \"quote\" & more\n" || m[0].TTL != 300 || m[1].Text != "a & b" || m[1].To != "+31612345678" || m[2].Text != "ж" {
		t.Errorf("taken: %+v", m)
	}
	if n, ok := s.Inbox.Take(t.Context(), "+31612345678"); !ok || !strings.Contains(string(n.Payload), m[0].ID) {
		t.Errorf("in the inbox: %+v", n)
	}
}

// The signature is what openssl computes over the same text.
func TestOpensslSigns(t *testing.T) {
	t.Parallel()
	s, curl := start(t, smsgateway.Config{Secret: "s3cret"})
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	at, body := fmt.Sprint(time.Now().Unix()), "to=31612345678&text=a&ttl=1"
	command := exec.CommandContext(t.Context(), openssl, "dgst", "-sha256", "-hmac", "s3cret", "-r")
	command.Stdin = strings.NewReader(at + "." + body)
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	signature := "sha256=" + strings.Fields(string(out))[0]
	for _, tt := range [][3]string{{at, signature, "202"}, {at, signature[:len(signature)-1] + "_", "403"}, {"1", signature, "403"}, {"", "", "403"}} {
		if got := curl("-H", "X-Timestamp: "+tt[0], "-H", "X-Signature: "+tt[1], "-d", body, s.URL+"/form"); !strings.HasSuffix(got, tt[2]) {
			t.Errorf("%v: %s", tt, got)
		}
	}
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	s, _ := start(t, smsgateway.Config{Secret: "s3cret"})
	var got []string
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, string(body))
		if r.Header.Get("X-Signature") != s.Sign(r.Header.Get("X-Timestamp"), body) {
			w.WriteHeader(403)
		}
	}))
	t.Cleanup(receiver.Close)
	for _, tt := range []struct {
		c    smsgateway.Receipt
		want int
	}{{smsgateway.Receipt{To: receiver.URL, Body: "{}"}, 200}, {smsgateway.Receipt{To: receiver.URL, Body: "{}", Signature: "x"}, 403}} {
		if status, err := s.Call(t.Context(), tt.c); err != nil || status != tt.want {
			t.Errorf("%+v: %d, %v", tt.c, status, err)
		}
	}
	if len(got) != 2 || got[0] != "{}" {
		t.Errorf("told %v", got)
	}
}
