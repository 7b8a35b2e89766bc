// SPDX-License-Identifier: Apache-2.0

package script_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// built is the program, built once.
var built string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gatehouse-script-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }() // it is temporary anyway
		if built, err = program.Build(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

const caddyfile = `{
	admin %s
	auto_https off
	gatehouse {
		issuer http://%s
		storage badger data
		scope read password
		default_scope read
		client machine {
			secret machine-secret-0123456789abcdefghijkl
			grants client_credentials
			scopes read
		}
	}
}
http://%s {
	authorization_server
	@public path /public*
	protect @public {
		off
	}
	protect
	respond "hello {http.auth.user.id}"
}
`

// server is the server beside a script.
type server struct{ *program.Program }

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			s := new(server)
			env.Values["server"] = s
			env.Defer(func() {
				if s.Program != nil {
					_ = s.Stop() // the script is over
				}
			})
			env.Setenv("PATH", filepath.Dir(built)+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("ADMIN", program.SocketIn(env.WorkDir))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": start, "token": token, "get": get, "people": people,
		},
	})
}

// start starts the server.
func start(ts *testscript.TestScript, _ bool, _ []string) {
	s := ts.Value("server").(*server)
	dir := ts.Getenv("WORK")
	var err error
	s.Program, err = program.Start(context.Background(), program.Config{
		Path: built, Dir: dir, Ports: 1, Ready: "/jwks",
		Caddyfile: func(a []string) string { return fmt.Sprintf(caddyfile, program.SocketIn(dir), a[0], a[0]) },
	})
	ts.Check(err)
}

// token writes an access token of the machine client to a file.
func token(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value("server").(*server)
	form := url.Values{"grant_type": {"client_credentials"}}
	request, err := http.NewRequest(http.MethodPost, "http://"+s.Addresses[0]+"/token", strings.NewReader(form.Encode()))
	ts.Check(err)
	request.SetBasicAuth("machine", "machine-secret-0123456789abcdefghijkl")
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body := send(ts, request, http.StatusOK)
	_, rest, _ := strings.Cut(body, `"access_token":"`)
	raw, _, _ := strings.Cut(rest, `"`)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(raw+"\n"), 0o600))
}

// get asks for the protected page with a token and expects a status: get FILE STATUS.
func get(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value("server").(*server)
	request, err := http.NewRequest(http.MethodGet, "http://"+s.Addresses[0]+"/page", nil)
	ts.Check(err)
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(args[0])))
	var status int
	_, err = fmt.Sscan(args[1], &status)
	ts.Check(err)
	send(ts, request, status)
}

func send(ts *testscript.TestScript, request *http.Request, status int) string {
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	body, err := io.ReadAll(response.Body)
	ts.Check(errors.Join(err, response.Body.Close()))
	if response.StatusCode != status {
		ts.Fatalf("%s answers %d, want %d: %s", request.URL, response.StatusCode, status, body)
	}
	return string(body)
}

// people writes an import of many users without passwords, with bad lines among them: people FILE N.
func people(ts *testscript.TestScript, _ bool, args []string) {
	var n int
	_, err := fmt.Sscan(args[1], &n)
	ts.Check(err)
	var b strings.Builder
	for i := 1; i <= n; i++ {
		if i%1000 == 0 {
			b.WriteString("this is no object\n")
			continue
		}
		fmt.Fprintf(&b, `{"login":"user%d","attributes":{"name":"User %d"}}`+"\n", i, i)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o600))
}
