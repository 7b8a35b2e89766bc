// SPDX-License-Identifier: Apache-2.0

package slapd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What every directory has.
const (
	// Suffix is the root of the tree.
	Suffix = "dc=example,dc=com"
	// Admin may read and write everything; AdminPassword is how.
	Admin, AdminPassword = "cn=admin," + Suffix, "admin-secret"
	// Host is the name in the certificate, next to the loopback addresses.
	Host = "directory.example.com"
)

const (
	binary  = "/usr/sbin/slapd"
	modules = "/usr/lib/ldap"
	schemas = "/etc/ldap/schema"
	// attempts bounds how often another port is tried: somebody else may take one between choosing and using it.
	attempts = 5
)

// Options describe a directory.
type Options struct {
	// LDIF is loaded beneath the suffix's own entry.
	LDIF string
	// Global and Database are lines for the configuration: before the database, and at its end.
	Global, Database string
}

// Server is a running directory.
type Server struct {
	// LDAP and LDAPS are its addresses.
	LDAP, LDAPS string
	// CA is the certificate, in PEM, that vouches for it, and CAFile a file with it.
	CA     []byte
	CAFile string

	dir   string
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has gone
	log   log
}

// Available reports whether there is a server on this machine, and skips the test when there is none.
func Available(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(binary); err != nil {
		t.Skipf("OpenLDAP is not installed (apt-get install slapd): %v", err)
	}
}

// Start starts a directory that ends with the test. It skips the test where the server is not installed.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	Available(t)
	s := &Server{dir: t.TempDir()}
	if err := s.prepare(o); err != nil {
		t.Fatal(err)
	}
	var err error
	for range attempts {
		if err = s.start(); err == nil {
			t.Cleanup(s.Stop)
			return s
		}
	}
	t.Fatalf("starting slapd: %v", err)
	return nil
}

// Stop ends the server and waits until it has gone. It may be called again.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGCONT) // one that was stopped hears nothing else
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	<-s.ended
	s.cmd = nil
}

// Signal sends the process a signal, such as SIGSTOP, which makes it a server that takes connections and never answers.
func (s *Server) Signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// Log returns what the server has written so far: every operation, without passwords.
func (s *Server) Log() string { return s.log.text() }

// prepare writes the configuration, the certificate and the database.
func (s *Server) prepare(o Options) error {
	if err := s.writeCertificate(); err != nil {
		return fmt.Errorf("making a certificate: %w", err)
	}
	if err := os.Mkdir(s.path("db"), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(s.path("slapd.conf"), []byte(s.config(o)), 0o600); err != nil {
		return err
	}
	root := "dn: " + Suffix + "\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n"
	if err := os.WriteFile(s.path("data.ldif"), []byte(root+o.LDIF), 0o600); err != nil {
		return err
	}
	load := exec.Command(binary, "-T", "add", "-f", s.path("slapd.conf"), "-l", s.path("data.ldif"))
	if out, err := load.CombinedOutput(); err != nil {
		return fmt.Errorf("loading the entries: %w\n%s", err, out)
	}
	return nil
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

func (s *Server) config(o Options) string {
	lines := []string{
		"modulepath " + modules, "moduleload back_mdb",
		"include " + schemas + "/core.schema", "include " + schemas + "/cosine.schema",
		"include " + schemas + "/inetorgperson.schema", "include " + schemas + "/nis.schema",
		"pidfile " + s.path("pid"), "argsfile " + s.path("args"),
		"TLSCertificateFile " + s.path("cert.pem"), "TLSCertificateKeyFile " + s.path("key.pem"),
		"threads 4",
		o.Global,
		"database mdb", "maxsize 10485760", "suffix " + Suffix, "directory " + s.path("db"),
		"rootdn " + Admin, "rootpw " + AdminPassword, "dbnosync",
		o.Database,
	}
	return strings.Join(lines, "\n") + "\n"
}

// start starts the process on free ports and waits until it listens.
func (s *Server) start() error {
	plain, err := freeAddress()
	if err != nil {
		return err
	}
	secure, err := freeAddress()
	if err != nil {
		return err
	}
	// Logging operations keeps it in the foreground, and it says when it is ready.
	cmd := exec.Command(binary, "-d", "stats,sync", "-f", s.path("slapd.conf"), "-h", "ldap://"+plain+" ldaps://"+secure)
	ready, ended := s.log.begin(), make(chan struct{})
	cmd.Stderr = &s.log
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(ended)
	}()
	select {
	case <-ready:
		err = listening(ended, plain, secure)
	case <-ended:
		err = errEnded
	}
	if err != nil {
		return fmt.Errorf("%w:\n%s", err, s.Log())
	}
	s.cmd, s.ended, s.LDAP, s.LDAPS = cmd, ended, "ldap://"+plain, "ldaps://"+secure
	return nil
}

var errEnded = errors.New("it ended before it was ready")

// listening waits until somebody listens at each address: the server says that it starts a little before that.
func listening(ended <-chan struct{}, addresses ...string) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for _, address := range addresses {
		for {
			if connection, err := new(net.Dialer).DialContext(context.Background(), "tcp", address); err == nil {
				_ = connection.Close()
				break
			}
			select {
			case <-ended:
				return errEnded
			case <-ticker.C:
			}
		}
	}
	return nil
}

// freeAddress returns a loopback address that nobody listens at.
func freeAddress() (string, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// log is what the server writes.
type log struct {
	mu    sync.Mutex
	said  bytes.Buffer
	ready chan struct{}
}

// begin returns a channel that is closed when the server says that it is ready.
func (l *log) begin() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said.Reset()
	l.ready = make(chan struct{})
	return l.ready
}

// Write keeps what was written.
func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.said.Write(p)
	if l.ready != nil && bytes.Contains(l.said.Bytes(), []byte("slapd starting")) {
		close(l.ready)
		l.ready = nil
	}
	return n, err
}

func (l *log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.String()
}
