// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	"github.com/gatehouse-id/gatehouse/tests/services/webhook"
)

const good = `{"id":"1","operation":"op_1","device":"dev_1","address":"phone 1","expires":"2126-11-22T12:00:00Z"}`

// keys returns a private key for Node, and the set that it belongs to.
func keys(t *testing.T) (private string, set []byte) {
	t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := jose.MarshalPrivate(key)
	if err != nil {
		t.Fatal(err)
	}
	var public map[string]any
	if err := json.Unmarshal(jwk, &public); err != nil {
		t.Fatal(err)
	}
	delete(public, "d")
	if set, err = json.Marshal(map[string]any{"keys": []any{map[string]string{"kty": "RSA"}, public}}); err != nil {
		t.Fatal(err)
	}
	return string(jwk), set
}

func start(t *testing.T, c webhook.Config) (s *webhook.Service, node func(private, body string, more ...string) string) {
	t.Helper()
	authority, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	c.Authority, c.Now = authority, time.Now
	if s, err = webhook.Start(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	program, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	roots := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(roots, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, func(private, body string, more ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), program, append([]string{"testdata/send.mjs", s.URL + "/push", private, body}, more...)...)
		command.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+roots)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
}

// Node signs with its own crypto; the service understands it, and nothing else.
func TestNodeSends(t *testing.T) {
	t.Parallel()
	private, set := keys(t)
	other, _ := keys(t)
	s, node := start(t, webhook.Config{Keys: set, Authorization: "Bearer t", Dead: []string{"dead"}})
	for _, tt := range []struct {
		name, private, body, typ, want string
	}{
		{"good", private, good, "gatehouse-push+jws", "204"},
		{"the same again", private, good, "gatehouse-push+jws", "204"},
		{"another's key", other, good, "gatehouse-push+jws", `403 {"reason":"signature"}`},
		{"another purpose", private, good, "gatehouse-callback+jws", `403 {"reason":"signature"}`},
		{"an unknown member", private, strings.Replace(good, "device", "x", 1), "gatehouse-push+jws", `400 {"reason":"malformed"}`},
		{"no operation", private, strings.Replace(good, "op_1", "", 1), "gatehouse-push+jws", `422 {"reason":"incomplete"}`},
		{"expired", private, strings.Replace(good, "2126", "2020", 1), "gatehouse-push+jws", `422 {"reason":"incomplete"}`},
		{"dead", private, strings.Replace(good, "phone 1", "dead", 1), "gatehouse-push+jws", `410 {"reason":"unregistered"}`},
	} {
		if got := node(tt.private, tt.body, tt.typ); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if n := s.Taken(); len(n) != 1 || n[0].Device != "dev_1" {
		t.Errorf("taken: %+v", n)
	}
	if n, ok := s.Inbox.Take(t.Context(), "phone 1"); !ok || n.Operation != "op_1" {
		t.Errorf("in the inbox: %+v", n)
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	private, _ := keys(t)
	_, node := start(t, webhook.Config{Authorization: "Bearer other"})
	if got := node(private, good); got != `401 {"reason":"unauthorized"}` {
		t.Errorf("node: %s", got)
	}
	if s, err := webhook.Start(webhook.Config{Keys: []byte(`{"keys":[]}`)}); err == nil || s != nil {
		t.Error("a set without keys verifies everything")
	}
}
