// SPDX-License-Identifier: Apache-2.0

package script_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// folder holds the program, built once for all scripts.
var folder string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is temporary anyway
	if _, err := program.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "services"), "../services").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the services: %v\n%s", err, out)
		return 1
	}
	folder = dir
	return m.Run()
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true, ContinueOnError: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", folder+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("XDG_DATA_HOME", env.WorkDir)
			env.Setenv("XDG_CONFIG_HOME", env.WorkDir)
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"serve": serve, "token": token, "lines": lines, "within": within, "json": jsonValue, "await": await,
			"api": api, "typed": typed, "other": other, "services": services, "attested": attested,
		},
	})
}

const caddyfile = `{
	admin ADMIN
	auto_https off
	default_bind 127.0.0.1
	gatehouse {
		issuer http://SITE
		storage badger STORE
		scope accounts:read password
		default_scope accounts:read
		application bank {
			ios com.example.bankIOS
			android com.example.bankANDROID
			version 2.* active
			version 1.* active
			version 1.0 disabled {
				platform ios
			}
			enrollment
		}ATTESTED
		mobile {
			type sms_code {
				method sms
				message en "Your code: {code}"
			}
			type push_pin {
				method push_pin
				message en "Sign in"
				fallback sms_code 20s
			}
			sms http nowhere {
				url http://127.0.0.1:1/send
				bearer token-0123456789
				body ` + "`" + `{"to":"{to}","text":"{text}"}` + "`" + `
			}
			sms_limits {
				countries NL
			}SERVICES
		}
		client machine {
			secret machine-secret-0123456789-0123456789
			grants client_credentials
			scopes accounts:read
		}
		client portal {
			secret ` + portalSecret + `
			grants client_credentials
			scopes gatehouse:users gatehouse:devices gatehouse:operations
		}
		registration {
			application bank {
				redirect_uri com.example.bank:/callback
				grants authorization_code refresh_token
				scopes openid accounts:read
			}
		}
	}
}

http://SITE {
	log {
		output file access.log
	}
	authorization_server
}
`

// serve starts a server for the script, whose Caddyfile it leaves in the folder that the script works in. Its socket stands
// in a short folder of its own. It notifies phones by the services that run, if any do, and notes in $ACCESS what it was asked.
// $ATTESTED, where it is set, is more of its configuration.
//
//	serve
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: serve")
	}
	dir, err := os.MkdirTemp("", "gh")
	ts.Check(err)
	p, err := program.Start(context.Background(), program.Config{
		Path: filepath.Join(folder, "gatehouse"), Dir: dir, Ports: 1, Host: "localhost", Ready: "/jwks",
		Caddyfile: func(a []string) string {
			return strings.NewReplacer("ADMIN", program.SocketIn(dir), "STORE", filepath.Join(dir, "data"), "SITE", a[0],
				"IOS", ts.Getenv("IOS"), "ANDROID", ts.Getenv("ANDROID"), "SERVICES", ts.Getenv("SERVICES"), "ATTESTED", ts.Getenv("ATTESTED")).Replace(caddyfile)
		},
	})
	ts.Check(err)
	ts.Defer(func() {
		_ = p.Stop()          // the script is over
		_ = os.RemoveAll(dir) // it is temporary anyway
	})
	ts.Check(os.WriteFile(ts.MkAbs("Caddyfile"), []byte(p.Caddyfile(p.Addresses)), 0o600))
	ts.Setenv("ISSUER", "http://"+p.Addresses[0])
	ts.Setenv("SOCKET", p.Socket())
	ts.Setenv("ACCESS", filepath.Join(dir, "access.log"))
}

// token writes a token of the machine into a file.
//
//	token <file>
func token(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: token <file>")
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, ts.Getenv("ISSUER")+"/token",
		strings.NewReader(url.Values{"grant_type": {"client_credentials"}}.Encode()))
	ts.Check(err)
	r.SetBasicAuth("machine", "machine-secret-0123456789-0123456789")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer func() { _ = response.Body.Close() }() // it has been read
	body, err := io.ReadAll(response.Body)
	ts.Check(err)
	var got struct {
		Access string `json:"access_token"`
	}
	ts.Check(json.Unmarshal(body, &got))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(got.Access+"\n"), 0o600))
}

// lines writes a file of numbered lines, in each of which # is the number.
//
//	lines <file> <count> <line>
func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: lines <file> <count> <line>")
	}
	var count int
	_, err := fmt.Sscan(args[1], &count)
	ts.Check(err)
	var text strings.Builder
	for i := 1; i <= count; i++ {
		text.WriteString(strings.ReplaceAll(args[2], "#", fmt.Sprint(i)) + "\n")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text.String()), 0o600))
}

// within runs a command and reports how long it took, which must not be longer than said.
//
//	within <duration> <command> [<argument...>]
func within(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: within <duration> <command> [<argument...>]")
	}
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	began := time.Now()
	err = ts.Exec(args[1], args[2:]...)
	took := time.Since(began)
	ts.Logf("it took %v", took.Round(time.Millisecond))
	if err == nil && took > limit {
		ts.Fatalf("it took longer than %v", limit)
	}
}

// await repeats a command until a line of what it prints matches, for ten seconds at most.
//
//	await <regexp> <command> [<argument...>]
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await <regexp> <command> [<argument...>]")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for end := time.Now().Add(10 * time.Second); ; <-time.After(100 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("it never printed %q: %v", args[0], err)
		}
	}
}

// jsonValue compares a member of the JSON that the last command printed with a text, and can keep it in a variable.
//
//	json <path> <text>
//	json <path> -> <variable>
func jsonValue(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 && len(args) != 3 {
		ts.Fatalf("usage: json <path> <text>, or json <path> -> <variable>")
	}
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &value))
	for name := range strings.SplitSeq(args[0], ".") {
		switch inside := value.(type) {
		case map[string]any:
			value = inside[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(inside) {
				ts.Fatalf("there is no %s in the list of %d", name, len(inside))
			}
			value = inside[i]
		default:
			ts.Fatalf("there is no %s in %v", name, value)
		}
	}
	text := fmt.Sprint(value)
	if len(args) == 3 {
		ts.Setenv(args[2], text)
		return
	}
	if (text == args[1]) == neg {
		ts.Fatalf("%s is %s", args[0], text)
	}
}
