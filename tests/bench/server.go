// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// tick is the unit of processor time in /proc: USER_HZ, which Linux fixes at 100.
const tick = 10 * time.Millisecond

// server is a running program between clients and an upstream of ours.
type server struct {
	*program.Program
	issuer, plain, gate string // host and port
	upstream            *httptest.Server
}

// keeping is where a server keeps what it has to remember: options of its configuration, and the variables that they name.
type keeping struct {
	options string
	env     []string
}

// embedded is the store in the folder of the server.
var embedded = keeping{options: "storage badger data"}

// start starts the program in a folder, with more options and routes of the gate than the usual.
func start(path, dir, extra, routes string) (*server, error) {
	return startOn(embedded, path, dir, extra, routes)
}

// startOn is start with another store than the embedded one.
func startOn(k keeping, path, dir, extra, routes string) (*server, error) {
	s := &server{upstream: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok")) // the client has gone
	}))}
	var err error
	s.Program, err = program.Start(context.Background(), program.Config{
		Path: path, Dir: dir, Ports: 3, Ready: "/jwks", Env: k.env,
		Caddyfile: func(a []string) string {
			s.issuer, s.plain, s.gate = a[0], a[1], a[2]
			up := s.upstream.Listener.Addr()
			return fmt.Sprintf(caddyfile, program.SocketIn(dir), s.issuer, k.options, extra, s.issuer, s.plain, up, s.gate, routes, up)
		},
	})
	return s, err
}

// stop ends the program and waits for it.
func (s *server) stop() {
	if err := s.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "bench: stopping the server:", err)
	}
	s.upstream.Close()
}

const caddyfile = `{
	admin %s
	auto_https off
	servers {
		protocols h1 h2c
	}
	log {
		level WARN
	}
	gatehouse {
		issuer http://%s
		%s
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
			redirect_uri ` + callback + `
			grants authorization_code refresh_token
			scopes openid read
			first_party
		}
		user bench {
			password ` + password + `
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
	%s
	protect read
	reverse_proxy %s
}
`

// cpu returns the processor time the server has used so far.
func (s *server) cpu() (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.Pid()))
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
