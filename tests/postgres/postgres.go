// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Users of the server. Both may do everything; the second has to know its password.
const (
	User     = "postgres"
	Careful  = "careful"
	Password = "a-secret-of-the-database"
)

// ready is how a server begins to say that it takes connections.
const ready = "database system is ready to accept" // connections, or read-only ones

// settings make a server small and forgetful, and reachable by its socket alone.
var settings = []string{
	"listen_addresses=", "fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=40",
	"autovacuum=off", "logging_collector=off", "log_destination=stderr", "lc_messages=C",
}

// Server is a running server.
type Server struct {
	dir, bin  string
	settings  []string // beside the usual ones
	identity  *syscall.SysProcAttr
	databases atomic.Int64

	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has gone
	log   log
}

// ErrMissing says that PostgreSQL is not installed.
var ErrMissing = errors.New("PostgreSQL is not installed (apt-get install postgresql)")

// Start starts a server that ends with the test. It skips the test where PostgreSQL is not installed.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := Open()
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// Open starts a server that several tests share, with settings of its own beside the usual ones, as "fsync=on". Its last user closes it.
// It returns [ErrMissing] where PostgreSQL is not installed.
func Open(own ...string) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	// The folder of a test is closed to the user that the server runs as.
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, settings: own}
	for _, step := range []func() error{s.becomeNobody, s.initialize, s.start, s.addCareful} {
		if err := step(); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// Close stops the server and removes what it had.
func (s *Server) Close() error { return errors.Join(s.stop(), os.RemoveAll(s.dir)) }

// binaries returns the folder of the newest server on this machine.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		version := func(path string) int {
			n, _ := strconv.Atoi(strings.Split(path, "/")[4])
			return n
		}
		newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(newest), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", ErrMissing
	}
	return filepath.Dir(path), nil
}

// becomeNobody chooses whom the server runs as: it refuses to run as root.
func (s *Server) becomeNobody() error {
	if os.Geteuid() != 0 {
		return nil
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		who, err = user.Lookup("nobody")
	}
	if err != nil {
		return fmt.Errorf("looking for a user without rights: %w", err)
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	if err != nil {
		return err
	}
	s.identity = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return os.Chown(s.dir, int(uid), int(gid))
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = s.dir, s.identity
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH")}
	return cmd
}

func (s *Server) initialize() error {
	out, err := s.command("initdb", "--pgdata=data", "--username="+User, "--auth=trust", "--no-locale", "--encoding=UTF8",
		"--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("making a cluster: %w\n%s", err, out)
	}
	access := "local all " + Careful + " scram-sha-256\nlocal all all trust\nlocal replication all trust\n"
	path := filepath.Join(s.dir, "data", "pg_hba.conf")
	return os.WriteFile(path, []byte(access), 0o600) // in place: it stays its owner's
}

// Restart starts a server that was stopped, and waits until it takes connections.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	must(t, s.start())
}

func (s *Server) start() error {
	args := []string{"-D", "data", "-k", s.dir}
	for _, setting := range slices.Concat(settings, s.settings) { // the last one counts
		args = append(args, "-c", setting)
	}
	cmd := s.command("postgres", args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.ended = cmd, make(chan struct{})
	listening := make(chan struct{})
	go s.watch(stderr, listening, s.ended)
	select {
	case <-listening:
		return nil
	case <-s.ended:
		s.cmd = nil
		return fmt.Errorf("PostgreSQL ended before it was ready:\n%s", s.Log())
	}
}

func (s *Server) addCareful() error {
	return s.exec(context.Background(), "postgres",
		fmt.Sprintf("CREATE ROLE %s SUPERUSER LOGIN PASSWORD '%s'", Careful, Password))
}

// watch reads what the server says until it ends.
func (s *Server) watch(stderr io.Reader, listening, ended chan struct{}) {
	said := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		s.log.add(lines.Text())
		if !said && strings.Contains(lines.Text(), ready) {
			said = true
			close(listening)
		}
	}
	_ = s.cmd.Wait() // how it ended is in its log
	close(ended)
}

// Stop ends the server and waits until it has gone; sessions are cut off. It may be called again.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	must(t, s.stop())
}

func (s *Server) stop() error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.ended
	s.cmd = nil
	return nil
}

// Log returns what the server has written so far.
func (s *Server) Log() string { return s.log.text() }

// Database makes a database of the test's own, runs the statements in it and returns how to connect.
func (s *Server) Database(t testing.TB, statements ...string) (dsn string) {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	s.Exec(t, "postgres", "CREATE DATABASE "+name)
	s.Exec(t, name, statements...)
	return s.DSN(name, User)
}

// DSN returns how a user connects to a database; [Careful] has to add the password.
func (s *Server) DSN(database, user string) string {
	return fmt.Sprintf("host=%s dbname=%s user=%s", s.dir, database, user)
}

// Exec runs statements in a database.
func (s *Server) Exec(t testing.TB, database string, statements ...string) {
	t.Helper()
	must(t, s.exec(t.Context(), database, statements...))
}

func (s *Server) exec(ctx context.Context, database string, statements ...string) (err error) {
	connection, err := pgx.Connect(ctx, s.DSN(database, User))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connection.Close(ctx)) }()
	for _, statement := range statements {
		if _, err := connection.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// log is what the server writes.
type log struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (l *log) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said.WriteString(line + "\n")
}

func (l *log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.String()
}
