// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of processor time in /proc: USER_HZ, which Linux fixes at 100.
const tick = 10 * time.Millisecond

// build builds the program into a temporary folder.
func build() (program string, cleanup func(), err error) {
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return "", nil, err
	}
	cleanup = func() { _ = os.RemoveAll(dir) } // it is temporary anyway
	program = filepath.Join(dir, "gatehouse")
	out, err := exec.Command("go", "build", "-o", program, "github.com/gatehouse-id/gatehouse/cmd/gatehouse").CombinedOutput()
	if err != nil {
		cleanup()
		return "", nil, fmt.Errorf("building: %w\n%s", err, out)
	}
	return program, cleanup, nil
}

// server is a running program.
type server struct {
	cmd      *exec.Cmd
	dir      string
	issuer   string // host:port
	plain    string
	gate     string
	started  time.Duration
	upstream *httptest.Server
}

// start starts the program in a folder, on free ports, and waits until it answers.
func start(program, dir, extra string) (*server, error) {
	s := &server{dir: dir, upstream: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok")) // the client has gone
	}))}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	s.issuer, s.plain, s.gate = ports[0], ports[1], ports[2]
	config := fmt.Sprintf(caddyfile, filepath.Join(dir, "admin.sock"), s.issuer, filepath.Join(dir, "data"), extra,
		s.issuer, s.plain, s.upstream.Listener.Addr(), s.gate, s.upstream.Listener.Addr())
	if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(program, "run", "--config", "Caddyfile", "--adapter", "caddyfile")
	s.cmd.Dir = dir
	s.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	s.cmd.Stderr = log
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for time.Since(began) < 30*time.Second {
		if response, err := http.Get("http://" + s.issuer + "/jwks"); err == nil {
			_ = response.Body.Close() // it is not read
			if response.StatusCode == http.StatusOK {
				s.started = time.Since(began)
				return s, nil
			}
		}
		<-time.After(5 * time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name())
	s.stop()
	return nil, fmt.Errorf("the server does not answer:\n%s", text)
}

const caddyfile = `{
	admin unix/%s
	auto_https off
	log {
		level WARN
	}
	gatehouse {
		issuer http://%s
		storage badger %s
		scope read password
		default_scope read
		client machine {
			secret machine-secret-0123456789abcdefghijkl
			grants client_credentials
			scopes read
			introspect
			access_ttl 1h
		}
		client app {
			redirect_uri http://127.0.0.1/callback
			grants authorization_code refresh_token
			scopes openid read
			first_party
		}
		user bench {
			password correct-horse-battery
		}
		%s
	}
}
http://%s {
	authorization_server
}
http://%s {
	reverse_proxy %s
}
http://%s {
	protect read
	reverse_proxy %s
}
`

func freePorts(n int) ([]string, error) {
	var addresses []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, l.Addr().String())
		defer func() { _ = l.Close() }() // all are taken at once, so that none comes twice
	}
	return addresses, nil
}

// stop ends the program and waits for it.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	_ = s.cmd.Wait()
	s.upstream.Close()
}

// cpu returns the processor time the server has used so far.
func (s *server) cpu() (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, errors.New("/proc does not say what it should")
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick, err
}

// resident returns the server's resident memory in bytes.
func (s *server) resident() (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0, errors.New("/proc does not say what it should")
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
