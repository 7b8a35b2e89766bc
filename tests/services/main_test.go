// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/apns"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/fcm"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

// launch runs the command and returns what it has printed.
func launch(t *testing.T, dir, only string) string {
	t.Helper()
	read, write := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		err := run(ctx, dir, only, write)
		_ = write.CloseWithError(err)
		done <- err
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	printed := make([]byte, 64<<10)
	n, err := read.Read(printed)
	if err != nil {
		t.Fatal(err)
	}
	return string(printed[:n])
}

// value returns what stands behind a word of the printed Caddyfile.
func value(t *testing.T, printed, word string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^\s*` + word + ` "?([^"\n]+)"?$`).FindStringSubmatch(printed)
	if found == nil {
		t.Fatalf("%s is not printed:\n%s", word, printed)
	}
	return found[1]
}

func file(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWhatIsPrintedWorks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	printed := launch(t, dir, "")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(file(t, filepath.Join(dir, "ca.pem")))
	key, err := apns.ParseKey(file(t, value(t, printed, "key_file")))
	if err != nil {
		t.Fatal(err)
	}
	apple, err := apns.New(apns.Config{
		Key: key, TeamID: value(t, printed, "team_id"), KeyID: value(t, printed, "key_id"), Roots: roots, Now: time.Now,
		BaseURL: value(t, printed, "endpoint"), SandboxURL: value(t, printed, "sandbox_endpoint"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(apple.Close)
	account, err := fcm.ParseServiceAccountFor(file(t, value(t, printed, "service_account_file")), value(t, printed, "token_host"))
	if err != nil {
		t.Fatal(err)
	}
	address := value(t, printed[strings.Index(printed, "token_host"):], "endpoint")
	google, err := fcm.New(fcm.Config{Account: account, BaseURL: address, Roots: roots, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(google.Close)
	m := push.Message{
		ID: "6f1c2a90-7f0e-4b1d-9a55-0123456789ab", Operation: "op_1", Address: strings.Repeat("ab", 32), App: "com.example.bank",
		Expires: time.Now().Add(time.Minute),
	}
	client := &http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}}
	for _, way := range []struct {
		sender  push.Sender
		sandbox bool
		base    string
	}{
		{apple, false, value(t, printed, "endpoint")},
		{apple, true, value(t, printed, "sandbox_endpoint")},
		{google, false, address},
	} {
		m.Sandbox = way.sandbox
		if err := way.sender.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if n := next(t, client, way.base+loopback.InboxPath+m.Address); n.Operation != "op_1" {
			t.Errorf("%s: the phone was told %+v", way.base, n)
		}
	}
}

func TestServicesAreChosen(t *testing.T) {
	t.Parallel()
	printed := launch(t, t.TempDir(), "proxy,fcm")
	if !strings.Contains(printed, "# Proxy: http://127.0.0.1:") || !strings.Contains(printed, "fcm {") || strings.Contains(printed, "apns {") {
		t.Errorf("printed:\n%s", printed)
	}
	for name, err := range map[string]error{
		"an unknown service": run(t.Context(), t.TempDir(), "fax", io.Discard), "no folder": run(t.Context(), "", "", io.Discard),
	} {
		if err == nil {
			t.Errorf("%s: it runs", name)
		}
	}
}

// TestWhatIsWrittenIsPrinted: what a Caddyfile imports is what was printed, and a shell that reads the addresses has them all.
func TestWhatIsWrittenIsPrinted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	printed := launch(t, dir, "")
	if block := string(file(t, filepath.Join(dir, "mobile.caddyfile"))); !strings.HasSuffix(printed, "\n\n"+block) || !strings.HasPrefix(block, "push apple {\n") {
		t.Errorf("written:\n%s\nprinted:\n%s", block, printed)
	}
	env := exec.CommandContext(t.Context(), "sh", "-c", `. "$1/env" && printf '%s\n' "$SERVICES_CA" "$APPLE_INBOX" "$APPLE_SANDBOX_INBOX" "$GOOGLE_INBOX" `+
		`"$BROWSERS_INBOX" "$BROWSERS_SUBSCRIBE" "$OWN_INBOX" "$TWILIO_INBOX" "$SMS_INBOX"`, "sh", dir)
	out, err := env.Output()
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		if line == "" || !strings.Contains(printed, ": "+line+"\n") {
			t.Errorf("the variable %d is %q, which is not printed", i, line)
		}
	}
}

func TestCredentialsAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	launch(t, dir, "")
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 4 {
		t.Fatalf("%d files: %v", len(entries), err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", e.Name(), info.Mode(), err)
		}
	}
}

func next(t *testing.T, client *http.Client, address string) (n loopback.Notice) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&n); err != nil {
		t.Fatalf("%d: %v", response.StatusCode, err)
	}
	return n
}
