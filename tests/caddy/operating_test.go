// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// eventually tries until something holds, for as long as a busy machine may need.
func eventually(t *testing.T, holds func() bool) bool {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-ticker.C {
		if holds() {
			return true
		}
	}
	return false
}

func TestAccessLogSaysWhoWasAsking(t *testing.T) {
	t.Parallel()
	h := common(t)
	token := h.user(t, "alice", "openid accounts:read").Access
	subject := send(t, http.MethodGet, h.api+"/private/logged", bearer(token)).heard(t).Header.Get("Gatehouse-Subject")
	var entry struct {
		Request  struct{ URI string }
		Status   int
		ClientID string `json:"client_id"`
		Subject  string `json:"sub"`
		ACR      string `json:"acr"`
	}
	var lines string
	found := eventually(t, func() bool {
		content, err := os.ReadFile(h.path("access.log"))
		if err != nil {
			return false
		}
		lines = string(content)
		for line := range strings.Lines(lines) {
			if err := json.Unmarshal([]byte(line), &entry); err == nil && entry.Request.URI == "/private/logged" {
				return true
			}
		}
		return false
	})
	if !found || entry.ClientID != "app" || entry.Subject != subject || entry.ACR != "password" {
		t.Errorf("the access log has %+v", entry)
	}
	if strings.Contains(lines, token) {
		t.Error("the access log holds a token")
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	h := common(t)
	token := h.machine(t, "accounts:read")
	send(t, http.MethodGet, h.all+"/", bearer(token))
	send(t, http.MethodGet, h.all+"/", bearer(token))
	send(t, http.MethodGet, h.all+"/", bearer("x.y.z"))
	newBrowser(t).enter(h.web+"/", "bob")
	for _, m := range []struct{ name, labels string }{
		{"gatehouse_gate_decisions_total", `outcome="passed"`}, {"gatehouse_gate_decisions_total", `outcome="refused"`},
		{"gatehouse_gate_decisions_total", `outcome="redirected"`}, {"gatehouse_token_requests_total", "client_credentials"},
		{"gatehouse_endpoint_requests_total", `endpoint="token"`}, {"gatehouse_realm_attempts_total", `realm="password"`},
		{"gatehouse_store_transaction_seconds_count", ""}, {"gatehouse_validation_cache_hits_total", ""},
		{"gatehouse_validation_cache_misses_total", ""}, {"gatehouse_validation_cache_entries", ""}, {"gatehouse_validation_cache_bytes", ""},
		{"gatehouse_store_holders", ""},
	} {
		if h.metric(t, m.name, m.labels) < 1 {
			t.Errorf("%s{%s} counts nothing", m.name, m.labels)
		}
	}
	text := sendWith(t, h.admin(), http.MethodGet, "http://127.0.0.1/metrics").Body
	for _, name := range []string{"gatehouse_argon2_in_flight", "gatehouse_argon2_queued", "gatehouse_revocations"} {
		if !strings.Contains(text, name+" ") {
			t.Errorf("there is no %s", name)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "gatehouse_") && (strings.Contains(line, "usr_") || strings.Contains(line, "alice") || strings.Contains(line, "/private")) {
			t.Errorf("a label names a user or a path: %s", line)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	h := common(t)
	got := sendWith(t, h.admin(), http.MethodGet, "http://127.0.0.1/gatehouse/health")
	if got.Status != http.StatusOK || !strings.Contains(got.Body, `"status":"ok"`) || !strings.Contains(got.Body, h.issuer) {
		t.Errorf("health is %d %s", got.Status, got.Body)
	}
}

// TestAdminAPIGivesNoSecretAway: whatever is asked for, no answer holds what proves anything.
func TestAdminAPIGivesNoSecretAway(t *testing.T) {
	t.Parallel()
	h := common(t)
	token := h.user(t, "alice", "openid accounts:read")
	for _, path := range []string{"health", "users", "users/alice", "keys", "sessions", "audit?limit=1000", "audit/export", "audit/verify", "outbox",
		"sessions?user=alice"} {
		got := sendWith(t, h.admin(), http.MethodGet, "http://127.0.0.1/gatehouse/"+path)
		if got.Status != http.StatusOK {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
		for _, secret := range []string{"$argon2", password, machineSecret, "PRIVATE", `"d":`, token.Access, token.Refresh, "_hash"} {
			if strings.Contains(got.Body, secret) {
				t.Errorf("%s: the answer holds %.20q", path, secret)
			}
		}
	}
}

// TestAdminAPIRefuses what it cannot use, in words, and never with a 500.
func TestAdminAPIRefuses(t *testing.T) {
	t.Parallel()
	h := common(t)
	cases := []struct {
		name, method, path, body string
		status                   int
	}{
		{"unknown user", http.MethodGet, "users/nobody", "", 404},
		{"unknown path", http.MethodGet, "nothing", "", 404},
		{"wrong method", http.MethodDelete, "users", "", 405},
		{"no JSON", http.MethodPost, "users", "{", 400},
		{"unknown member", http.MethodPost, "users", `{"login":"x","pasword":"y"}`, 400},
		{"no login", http.MethodPost, "users", `{"password":"` + password + `"}`, 400},
		{"taken login", http.MethodPost, "users", `{"login":"ALICE","password":"` + password + `"}`, 409},
		// Little larger than is read, so that all of it is on its way before the server hangs up.
		{"large body", http.MethodPost, "users", `{"login":"` + strings.Repeat("a", 64<<10) + `"}`, 400},
		{"unknown status", http.MethodPost, "users/alice/status", `{"status":"asleep"}`, 400},
		{"unknown session", http.MethodDelete, "sessions/ses_nothing", "", 404},
		{"bad time", http.MethodGet, "audit?since=yesterday", "", 400},
		{"bad time of an export", http.MethodGet, "audit/export?until=now", "", 400},
		{"bad name", http.MethodGet, "audit?name=*a", "", 400},
		{"bad limit", http.MethodGet, "audit?limit=all", "", 400},
		{"bad limit of users", http.MethodGet, "users?limit=0", "", 400},
		{"bad limit of sessions", http.MethodGet, "sessions?limit=-1", "", 400},
		{"bad limit of letters", http.MethodGet, "outbox?limit=x", "", 400},
		{"long id", http.MethodGet, "audit?device=" + strings.Repeat("d", 500), "", 400},
		{"bad head", http.MethodGet, "audit/verify?head=1", "", 400},
		{"unknown letter", http.MethodPost, "outbox/resend", `{"ref":"1.x"}`, 404},
		{"no letter", http.MethodPost, "outbox/discard", `{}`, 400},
		{"long letter", http.MethodPost, "outbox/discard", `{"ref":"` + strings.Repeat("a", 600) + `"}`, 400},
		{"two documents", http.MethodPost, "keys/rotate", `{}{}`, 400},
	}
	for _, c := range cases {
		got := sendWith(t, h.admin(), c.method, "http://127.0.0.1/gatehouse/"+c.path, func(r *http.Request) {
			if c.body != "" {
				setBody(r, "application/json", c.body)
			}
		})
		if got.Status != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.name, got.Status, c.status, got.Body)
		}
	}
}
