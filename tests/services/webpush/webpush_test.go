// SPDX-License-Identifier: Apache-2.0

package webpush_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	"github.com/gatehouse-id/gatehouse/tests/services/webpush"
)

func start(t *testing.T, c webpush.Config) (*webpush.Service, string) {
	t.Helper()
	authority, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	c.Authority, c.Now = authority, time.Now
	s, err := webpush.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	roots := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(roots, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, roots
}

func run(t *testing.T, roots, program string, arguments ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skip(program + " is not installed")
	}
	command := exec.CommandContext(t.Context(), path, arguments...)
	command.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+roots)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func subscribe(t *testing.T, s *webpush.Service, key string) *webpush.Subscription {
	t.Helper()
	sub, err := s.Subscribe(key)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

// Node encrypts and signs with its own crypto; the service understands it.
func TestNodeSends(t *testing.T) {
	t.Parallel()
	s, roots := start(t, webpush.Config{MaxTTL: 30 * time.Second})
	sub := subscribe(t, s, "")
	if got := run(t, roots, "node", "testdata/send.mjs", sub.JSON, `{"op":"op_1"}`); got != "201" {
		t.Fatalf("node: %s", got)
	}
	m := s.Messages()
	if len(m) != 1 || string(m[0].Payload) != `{"op":"op_1"}` || m[0].Padding != 2 || m[0].TTL != 30*time.Second || m[0].Urgency != "high" {
		t.Errorf("accepted: %+v", m)
	}
	for _, address := range []string{sub.JSON, sub.Endpoint} {
		if n, ok := s.Inbox.Take(t.Context(), address); !ok || n.Operation != "op_1" || n.Service != "webpush" {
			t.Errorf("in the inbox of %s: %+v", address, n)
		}
	}
	if got := run(t, roots, "node", "testdata/send.mjs", sub.JSON, "no JSON"); got != "201" {
		t.Errorf("node: %s", got)
	}
	for _, tt := range []struct {
		name, address string
		contact       string
		want          string
	}{
		{"nobody's endpoint", strings.Replace(sub.JSON, "/push/", "/push/x", 1), "mailto:ops@example.com", `404 {"reason":"NotFound"}`},
		{"no contact", sub.JSON, "ops", `403 {"reason":"BadJwtToken"}`},
		{"a contact with a name", sub.JSON, "mailto:Ops <ops@example.com>", `403 {"reason":"BadJwtToken"}`},
		{"another's auth", strings.Replace(sub.JSON, `"auth":"`, `"auth":"AAAA`, 1), "mailto:ops@example.com", `400 {"reason":"BadEncryption"}`},
		{"bound to another key", subscribe(t, s, "BP4z").JSON, "mailto:ops@example.com", `403 {"reason":"VapidPkHashMismatch"}`},
	} {
		if got := run(t, roots, "node", "testdata/send.mjs", tt.address, "x", tt.contact); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	s.Unsubscribe(sub)
	if got := run(t, roots, "node", "testdata/send.mjs", sub.JSON, "x"); got != `410 {"reason":"Unregistered"}` {
		t.Errorf("after the end: %s", got)
	}
}

// A simulated phone needs nothing but HTTP.
func TestCurlSubscribes(t *testing.T) {
	t.Parallel()
	s, roots := start(t, webpush.Config{})
	address := run(t, roots, "curl", "-sS", "--noproxy", "*", "--cacert", roots, "-X", "POST", s.URL+"/subscribe")
	var sub struct {
		Endpoint string
		Keys     struct{ P256dh, Auth string }
	}
	if err := json.Unmarshal([]byte(address), &sub); err != nil || !strings.HasPrefix(sub.Endpoint, s.URL+"/push/") || len(sub.Keys.P256dh) != 87 || len(sub.Keys.Auth) != 22 {
		t.Fatalf("subscribed: %s, %v", address, err)
	}
	if got := run(t, roots, "node", "testdata/send.mjs", address, `{"op":"op_2"}`); got != "201" {
		t.Errorf("node: %s", got)
	}
	got := run(t, roots, "curl", "-sS", "--noproxy", "*", "--cacert", roots, s.URL+"/inbox/"+url.PathEscape(address))
	if !strings.Contains(got, `"operation":"op_2"`) {
		t.Errorf("the inbox says %s", got)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s, roots := start(t, webpush.Config{})
	sub := subscribe(t, s, "")
	got := run(t, roots, "curl", "-sS", "--noproxy", "*", "--cacert", roots, "-w", "%{http_code}", "-d", "hello", sub.Endpoint)
	if !strings.Contains(got, "BadJwtToken") || !strings.HasSuffix(got, "403") {
		t.Errorf("without a token: %s", got)
	}
	got = run(t, roots, "curl", "-sS", "--noproxy", "*", "--cacert", roots, "-w", "%{http_code}", "-d", "hello", "-H", "Authorization: vapid t=a.b.c, k=BP4z", sub.Endpoint)
	if !strings.HasSuffix(got, "403") || len(s.Messages()) != 0 {
		t.Errorf("with something for a token: %s", got)
	}
}

// A good request, with one thing changed.
func TestReplays(t *testing.T) {
	t.Parallel()
	s, roots := start(t, webpush.Config{})
	sub := subscribe(t, s, "")
	if got := run(t, roots, "node", "testdata/send.mjs", sub.JSON, "x"); got != "201" {
		t.Fatalf("node: %s", got)
	}
	good := s.Requests()[0]
	pem, err := os.ReadFile(roots)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	for _, tt := range []struct {
		name   string
		change func(h http.Header, body []byte) []byte
		want   int
		reason string
	}{
		{"nothing", func(_ http.Header, b []byte) []byte { return b }, 201, ""},
		{"no TTL", func(h http.Header, b []byte) []byte { h.Del("TTL"); return b }, 400, "MissingTTL"},
		{"a negative TTL", func(h http.Header, b []byte) []byte { h.Set("TTL", "-1"); return b }, 400, "MissingTTL"},
		{"another urgency", func(h http.Header, b []byte) []byte { h.Set("Urgency", "max"); return b }, 400, "BadUrgency"},
		{"a long topic", func(h http.Header, b []byte) []byte { h.Set("Topic", strings.Repeat("x", 33)); return b }, 400, "BadWebPushTopic"},
		{"an older encoding", func(h http.Header, b []byte) []byte { h.Set("Content-Encoding", "aesgcm"); return b }, 415, "BadContentEncoding"},
		{"no token", func(h http.Header, b []byte) []byte { h.Del("Authorization"); return b }, 403, "BadJwtToken"},
		{"a token with another signature", func(h http.Header, b []byte) []byte {
			h.Set("Authorization", strings.Replace(h.Get("Authorization"), ", k=", "A, k=", 1))
			return b
		}, 403, "BadJwtToken"},
		{"too much", func(_ http.Header, b []byte) []byte { return append(b, make([]byte, 4097-len(b))...) }, 413, "PayloadTooLarge"},
		{"one bit", func(_ http.Header, b []byte) []byte { b[len(b)-1] ^= 1; return b }, 400, "BadEncryption"},
		{"another salt", func(_ http.Header, b []byte) []byte { b[0] ^= 1; return b }, 400, "BadEncryption"},
		{"a point off the curve", func(_ http.Header, b []byte) []byte { b[85] ^= 1; return b }, 400, "BadEncryption"},
		{"small records", func(_ http.Header, b []byte) []byte { b[18], b[19] = 0, 18; return b }, 400, "BadEncryption"},
		{"nearly nothing", func(_ http.Header, b []byte) []byte { return b[:90] }, 400, "BadEncryption"},
	} {
		header := good.Header.Clone()
		body := tt.change(header, bytes.Clone(good.Body))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, sub.Endpoint, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		response, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != tt.want || !strings.Contains(string(said), tt.reason) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, response.StatusCode, said, tt.want, tt.reason)
		}
	}
}

// A phone with keys of its own gets what was sent, as it was sent; the service sees no more of it than its frame.
func TestPhonesWithKeysOfTheirOwn(t *testing.T) {
	t.Parallel()
	s, roots := start(t, webpush.Config{})
	got := run(t, roots, "curl", "-sS", "--noproxy", "*", "--cacert", roots, "-X", "POST", s.URL+"/endpoint")
	var made struct{ Endpoint string }
	if err := json.Unmarshal([]byte(got), &made); err != nil || !strings.HasPrefix(made.Endpoint, s.URL+"/push/") {
		t.Fatalf("the service answers %s", got)
	}
	keys := `"keys":{"p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4","auth":"BTBZMqHH6r4Tts7J_aSIgg"}`
	if got := run(t, roots, "node", "testdata/send.mjs", `{"endpoint":"`+made.Endpoint+`",`+keys+`}`, `{"op":"op_1"}`); got != "201" {
		t.Fatalf("node: %s", got)
	}
	m := s.Messages()
	if len(m) != 1 || m[0].Payload != nil || len(m[0].Sealed) < 86 {
		t.Fatalf("accepted: %+v", m)
	}
	n, ok := s.Inbox.Take(t.Context(), made.Endpoint)
	var sealed string
	if err := json.Unmarshal(n.Payload, &sealed); !ok || err != nil || n.Operation != "" || n.Headers["content-encoding"] != "aes128gcm" {
		t.Fatalf("in the inbox: %+v", n)
	}
	if body, err := base64.RawURLEncoding.DecodeString(sealed); err != nil || !bytes.Equal(body, m[0].Sealed) || bytes.Contains(body, []byte("op_1")) {
		t.Errorf("in the inbox: %s", sealed)
	}
}
