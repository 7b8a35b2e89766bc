// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// pooler is where Debian installs PgBouncer.
const pooler = "/usr/sbin/pgbouncer"

// Pooler starts a PgBouncer before the server, which lends out connections for as long as mode says: "session", "transaction" or
// "statement". It ends with the test. It returns how to connect to a database over it, and skips the test where PgBouncer is not installed.
func (s *Server) Pooler(t testing.TB, mode, database string) (dsn string) {
	t.Helper()
	if _, err := os.Stat(pooler); err != nil {
		t.Skip("PgBouncer is not installed (apt-get install pgbouncer)")
	}
	dir, err := os.MkdirTemp(s.dir, "p")
	must(t, err)
	config := fmt.Sprintf("[databases]\n* = host=%s\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = %s\nauth_type = trust\nauth_file = %s/users\n"+
		"pool_mode = %s\ndefault_pool_size = 30\nmax_client_conn = 200\n", s.dir, dir, dir, mode)
	must(t, os.WriteFile(filepath.Join(dir, "users"), []byte(`"`+User+`" ""`+"\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "ini"), []byte(config), 0o600))
	if s.identity != nil {
		for _, path := range []string{dir, filepath.Join(dir, "users"), filepath.Join(dir, "ini")} {
			must(t, os.Chown(path, int(s.identity.Credential.Uid), int(s.identity.Credential.Gid)))
		}
	}
	s.runPooler(t, filepath.Join(dir, "ini"))
	return fmt.Sprintf("host=%s port=6432 dbname=%s user=%s", dir, database, User)
}

// runPooler returns once PgBouncer takes connections.
func (s *Server) runPooler(t testing.TB, config string) {
	t.Helper()
	cmd := s.command("postgres", config)
	cmd.Path, cmd.Args[0] = pooler, pooler
	stderr, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	up, ended := make(chan struct{}), make(chan struct{})
	var said log
	go func() {
		defer close(ended)
		for lines, begun := bufio.NewScanner(stderr), false; lines.Scan(); {
			if said.add(lines.Text()); !begun && strings.Contains(lines.Text(), "process up") {
				begun = true
				close(up)
			}
		}
		_ = cmd.Wait() // how it ended is in what it said
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
		<-ended
	})
	select {
	case <-up:
	case <-ended:
		t.Fatalf("PgBouncer ended:\n%s", said.text())
	}
}
