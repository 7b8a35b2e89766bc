// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"fmt"
	"os"
	"testing"
)

// Standby starts a server that follows this one and takes no writes before it is promoted. It ends with the test.
func (s *Server) Standby(t testing.TB) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "pg")
	must(t, err)
	other := &Server{dir: dir, bin: s.bin}
	t.Cleanup(func() { must(t, other.Close()) })
	must(t, other.becomeNobody())
	out, err := other.command("pg_basebackup", "--pgdata=data", "--write-recovery-conf", "--no-sync", "--checkpoint=fast",
		"--host="+s.dir, "--username="+User).CombinedOutput()
	if err != nil {
		t.Fatal(fmt.Errorf("copying a server: %w\n%s", err, out))
	}
	must(t, other.start())
	return other
}

// Promote has a standby take writes. It returns once it does.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	s.Exec(t, "postgres", "SELECT pg_promote()")
}

// ReadOnly has all sessions take writes no more, or again, unless they say otherwise.
func (s *Server) ReadOnly(t testing.TB, is bool) {
	t.Helper()
	s.Exec(t, "postgres", fmt.Sprintf("ALTER SYSTEM SET default_transaction_read_only = %t", is), "SELECT pg_reload_conf()")
}

// Dir returns the folder with the server's socket.
func (s *Server) Dir() string { return s.dir }
