// SPDX-License-Identifier: Apache-2.0

package development_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/caddymodule/development"
)

// lax is a guest for development.
type lax struct{}

func (lax) DevelopmentOnly() string { return "login_module lax lets everybody in" }

// TestTrap4GuestsForDevelopmentStayOut of every configuration that does not say it is for development.
func TestTrap4GuestsForDevelopmentStayOut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		on     bool
		guests []any
		err    string
		log    string
	}{
		{"others, in production", false, []any{"form", 1}, "", ""},
		{"others, in development", true, []any{"form", 1}, "", ""},
		{"in production", false, []any{"form", lax{}}, `login_module lax lets everybody in: it works only with "development on"`, ""},
		{"in development", true, []any{"form", lax{}}, "", `realm=demo because="login_module lax lets everybody in"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			err := development.Admit(tt.on, "demo", slog.New(slog.NewTextHandler(&log, nil)), tt.guests...)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("Admit = %v, want %q", err, tt.err)
			}
			if (log.Len() == 0) != (tt.log == "") || !strings.Contains(log.String(), tt.log) {
				t.Errorf("the log says %q, want %q", log.String(), tt.log)
			}
			if tt.log != "" && !strings.Contains(log.String(), "level=WARN") {
				t.Errorf("the log says %q", log.String())
			}
		})
	}
}
