// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/tests/program"
)

// cibaCaddyfile is an issuer with a client that asks people on their phones.
const cibaCaddyfile = `{
	admin %s
	auto_https off
	gatehouse {
		issuer http://%s
		storage badger data
		realm phone {
			authenticator mobile push_pin
			max_age 5m
		}
		user_identity phone
		scope transfers phone
		application pocket {
			android com.example.pocket
			enrollment
		}
		mobile {
			type push_pin {
				method push_pin
				message en "Sign in"
			}
		}
		client portal {
			secret portal-secret-0123456789-0123456789
			grants client_credentials
			scopes gatehouse:users gatehouse:operations
		}
		client desk {
			name "Example desk"
			secret desk-secret-0123456789-0123456789
			scopes openid transfers
			first_party
			introspect
			backchannel poll
		}
	}
}
http://%s {
	authorization_server
}
`

const cibaPIN = "493817"

// portal calls the API for back ends.
func portal(t *testing.T, issuer, path, body string) (answer map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/api/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("portal", "portal-secret-0123456789-0123456789")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", rand.Text())
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }() // it was read
	if err := json.NewDecoder(got.Body).Decode(&answer); err != nil || got.StatusCode >= 300 {
		t.Fatalf("%s: %d %v, %v", path, got.StatusCode, answer, err)
	}
	return answer
}

// cibaPhone registers a phone for a new user.
func cibaPhone(t *testing.T, issuer, ref string) (user string, phone *device.Device) {
	t.Helper()
	user, _ = portal(t, issuer, "users", `{"external_ref":"`+ref+`"}`)["id"].(string)
	qr, _ := portal(t, issuer, "operations/registration", `{"user_id":"`+user+`","application":"pocket"}`)["qr"].(string)
	invitation, err := envelope.ParseInvitation(qr)
	if err != nil {
		t.Fatal(err)
	}
	keys := new(device.SoftStore)
	phone, err = device.Enrol(t.Context(), device.Config{
		Client: http.DefaultClient, Keystore: keys, Vault: keys, Now: time.Now, Save: func(context.Context, device.State) error { return nil },
	}, device.Enrolment{Invitation: invitation, Application: "pocket", Version: "1.0", Platform: "android", Name: "Phone", PIN: cibaPIN})
	if err != nil {
		t.Fatal(err)
	}
	portal(t, issuer, "operations/"+invitation.Operation+"/confirm", `{"digits":"`+phone.State().Digits+`"}`)
	return user, phone
}

// cibaSays is a line of the client's.
type cibaSays struct {
	Endpoint  string   `json:"endpoint"`
	Modes     []string `json:"modes"`
	Number    string   `json:"number"`
	Interval  int      `json:"interval"`
	ExpiresIn int      `json:"expiresIn"`
	ID        string   `json:"id"`
	Subject   string   `json:"sub"`
	Level     string   `json:"acr"`
	Audience  string   `json:"aud"`
	Scope     string   `json:"scope"`
	Type      string   `json:"type"`
	Active    bool     `json:"active"`
	Error     string   `json:"error"`
}

// npmInstall gets the libraries of a folder, or skips the test and says why it cannot.
func npmInstall(t *testing.T, folder string) {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund")
	install.Dir = folder
	out, err := install.CombinedOutput()
	if err == nil {
		return
	}
	for _, reason := range []string{"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "network"} {
		if bytes.Contains(out, []byte(reason)) {
			t.Skipf("npm cannot be reached: %s", reason)
		}
	}
	t.Fatalf("npm ci: %v\n%s", err, out)
}

// TestCIBAWithOpenIDClient: a client of others finds the endpoint, asks, polls at the interval, and verifies what it gets; a refusal
// reaches it under the name of the specification.
func TestCIBAWithOpenIDClient(t *testing.T) {
	t.Parallel()
	npmInstall(t, "ciba")
	dir := t.TempDir()
	p, err := program.Start(t.Context(), program.Config{
		Path: built, Dir: dir, Ports: 1, Ready: "/jwks",
		Caddyfile: func(a []string) string { return fmt.Sprintf(cibaCaddyfile, program.SocketIn(dir), a[0], a[0]) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() }) // the test is over
	issuer := "http://" + p.Addresses[0]
	user, phone := cibaPhone(t, issuer, "4711")
	for _, tt := range []struct {
		name   string
		answer func(device.Question, string) error
		want   cibaSays
	}{
		{"approved", func(q device.Question, number string) error {
			return phone.Approve(t.Context(), q, device.Approval{Number: number, Proof: device.Proof{PIN: cibaPIN}})
		}, cibaSays{Subject: user, Level: "phone", Audience: "desk", Scope: "openid transfers", Type: "bearer", Active: true}},
		{"denied", func(q device.Question, _ string) error {
			return phone.Deny(t.Context(), q, envelope.Denied)
		}, cibaSays{Error: "access_denied"}},
	} {
		client := exec.CommandContext(t.Context(), "node", "client.mjs", issuer, "desk", "desk-secret-0123456789-0123456789", "4711")
		client.Dir = "ciba"
		said := new(strings.Builder)
		client.Stderr = said
		out, err := client.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		says := func() (s cibaSays) {
			t.Helper()
			if !lines.Scan() || json.Unmarshal(lines.Bytes(), &s) != nil {
				t.Fatalf("%s: the client says %q, %s", tt.name, lines.Text(), said)
			}
			return s
		}
		asked := says()
		if asked.Endpoint != issuer+"/bc-authorize" || len(asked.Modes) != 3 || len(asked.Number) != 2 || asked.Interval != 5 || asked.ID == "" {
			t.Errorf("%s: it was told %+v", tt.name, asked)
		}
		question := cibaQuestion(t, phone)
		if err := tt.answer(question, asked.Number); err != nil {
			t.Fatal(err)
		}
		got := says()
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: it got %+v", tt.name, got)
		}
		if err := client.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", tt.name, err, said)
		}
	}
}

// cibaQuestion is the question that waits on a phone.
func cibaQuestion(t *testing.T, phone *device.Device) device.Question {
	t.Helper()
	for t.Context().Err() == nil {
		open, err := phone.Pending(t.Context(), 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if len(open) == 0 {
			continue
		}
		question, err := phone.Fetch(t.Context(), open[0].Operation)
		if err != nil {
			t.Fatal(err)
		}
		return question
	}
	t.Fatal("the phone is asked nothing")
	return device.Question{}
}
