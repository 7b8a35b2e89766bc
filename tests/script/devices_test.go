// SPDX-License-Identifier: Apache-2.0

package script_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// begins are the lines of docs/provisioning.md that build and start what the test has built and started.
var begins = regexp.MustCompile(`(?m)^(\./xcaddy\.sh build|go build -o walk/native .*|\./gatehouse run --config .*)\n`)

// devicesFolder is one in which everything is where docs/provisioning.md has it, with a running server.
func devicesFolder(t *testing.T) (*program.Program, *strings.Replacer) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gh") // short, since the path of a Unix socket must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // it is temporary anyway
	examples := filepath.Join(dir, "examples", "walkthroughs")
	for _, folder := range []string{examples, filepath.Join(dir, "walk")} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "walk", "native"), "../../examples/native").
		CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Symlink(filepath.Join(folder, "gatehouse"), filepath.Join(dir, "gatehouse")); err != nil {
		t.Fatal(err)
	}
	var here *strings.Replacer
	shown := func(name string) string {
		text, err := os.ReadFile(filepath.Join("../../examples/walkthroughs", name))
		if err != nil {
			t.Error(err)
		}
		written := here.Replace(string(text))
		if err := os.WriteFile(filepath.Join(examples, name), []byte(written), 0o600); err != nil {
			t.Error(err)
		}
		return written
	}
	p, err := program.Start(t.Context(), program.Config{
		Path: filepath.Join(folder, "gatehouse"), Dir: dir, Ports: 3, Host: "localhost", Ready: "/jwks",
		Caddyfile: func(at []string) string {
			var ports []string
			for i, page := range []string{"8080", "8081", "8082"} {
				ports = append(ports, page, strings.TrimPrefix(at[i], "localhost:"))
			}
			here = strings.NewReplacer(append(ports, "~/.local/share/", dir+"/", "\tauto_https off\n",
				"\tauto_https off\n\tadmin "+program.SocketIn(dir)+"\n\tdefault_bind 127.0.0.1\n\tlog {\n\t\toutput file walk/log\n\t}\n")...)
			shown("hook.py")
			return shown("devices.Caddyfile")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() }) // the story is over
	return p, here
}

// TestDevicesAsThePageHasThem types what docs/provisioning.md tells to type: a device gets its certificate within one call, in three modes
// and for three entities; copied tokens are worth nothing; what is taken out is refused from the next request on.
func TestDevicesAsThePageHasThem(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl", "jq", "openssl", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	commands, _ := section(t, "../../docs/provisioning.md", "## Try it")
	p, here := devicesFolder(t)
	script := "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n" + here.Replace(begins.ReplaceAllString(strings.Join(commands, ""), ""))
	ctx, cancel := context.WithTimeout(t.Context(), 2*program.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir, cmd.Env = p.Dir, p.Command(t.Context()).Env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\nof\n%s", err, out, script)
	}
	rest := string(out)
	const passes, refused, code = `: 200 OK\nhello`, `the server does not accept this device`, `This code is not good`
	for _, want := range []string{
		passes, `application +bank`, `TLS Web Client Authentication`, `URI:urn:gatehouse:application:bank:ins_`, `chain\.pem: OK`,
		`mode is none`, passes, `false`, code, passes, code, passes,
		passes, passes, refused, passes, passes, `ins_\w+ +(group money|device) +(bank|game)`, `ins_\w+ +(group money|device) +(bank|game)`,
		passes, `(?m)^200$`, passes, `(?m)^401$`, `(?m)^401$`, `(?m)^401$`, `(?m)^401$`, `error="invalid_token".*bound to another key`, `invalid_grant`,
		passes, `(?m)^200$`, `(?m)^401$`, `(?m)^200$`, `(?m)^200$`, `would be revoked`, `(?m)^revoked`, `(?m)^401$`,
		passes, `(?m)^200$`, `revoked +ins_`, `(?m)^401$`, refused,
	} {
		at := regexp.MustCompile(want).FindStringIndex(rest)
		if at == nil {
			t.Fatalf("nothing says %s after what came before:\n%s", want, out)
		}
		rest = rest[at[1]:]
	}
}
