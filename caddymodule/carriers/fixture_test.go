// SPDX-License-Identifier: Apache-2.0

package carriers_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	_ "github.com/gatehouse-id/gatehouse/caddymodule/carriers"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

const number = "+31612345678"

// write writes a file and returns its path.
func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// parse reads the Caddyfile of a guest and returns the JSON that it adapts to.
func parse(t *testing.T, id, text string) (string, error) {
	t.Helper()
	d := caddyfile.NewTestDispenser(text)
	d.Next()
	module, err := caddyfile.UnmarshalModule(d, id)
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(module)
	if err != nil {
		t.Fatal(err)
	}
	return string(data), nil
}

// provision reads the Caddyfile of a guest and provisions it. It is cleaned up with the test.
func provision(t *testing.T, id, text string) (any, error) {
	t.Helper()
	data, err := parse(t, id, text)
	if err != nil {
		return nil, err
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	return ctx.LoadModuleByID(id, json.RawMessage(data))
}

// guest is a guest that is ready, and prints nothing but what stands in its configuration.
func guest[T any](t *testing.T, id, text string, secrets ...string) T {
	t.Helper()
	module, err := provision(t, id, text)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(module)
	if err != nil {
		t.Fatal(err)
	}
	if adapted, _ := parse(t, id, text); adapted != string(data) {
		t.Errorf("once it is provisioned it is\n%s, and not\n%s", data, adapted)
	}
	for _, secret := range secrets {
		if strings.Contains(string(data), secret) {
			t.Errorf("%s holds a secret", data)
		}
	}
	ready, ok := module.(T)
	if !ok {
		t.Fatalf("%T is of another kind", module)
	}
	return ready
}

func authority(t *testing.T) (a *loopback.Authority, caFile string) {
	t.Helper()
	a, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a, write(t, "ca.pem", a.PEM())
}

// closing ends a service with the test.
func closing[S interface{ Close() error }](t *testing.T, start func() (S, error)) S {
	t.Helper()
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func notification(address string) push.Message {
	return push.Message{
		ID: "6f1c2a90-7f0e-4b1d-9a55-0123456789ab", Operation: "op_Ab3-9", Device: "dev_1", Address: address, App: "com.example.bank",
		Expires: time.Now().Add(time.Minute), StoredAt: time.Now().Add(-time.Hour),
	}
}

func text() sms.Message {
	return sms.Message{ID: "msg_1", To: number, Text: "Your code: 739154", Expires: time.Now().Add(5 * time.Minute)}
}
