// SPDX-License-Identifier: Apache-2.0

package script_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// fence finds the blocks of a page, by what they are written in.
var fence = regexp.MustCompile("(?ms)^```(sh|caddyfile)\n(.*?)^```")

// section returns the commands and the Caddyfile that stand below a heading, up to the next one.
func section(t *testing.T, page, heading string) (commands []string, caddyfile string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no %q", page, heading)
	}
	after, _, _ = strings.Cut(after, "\n## ")
	for _, block := range fence.FindAllStringSubmatch(after, -1) {
		if block[1] == "sh" {
			commands = append(commands, block[2])
		} else {
			caddyfile = block[2]
		}
	}
	return commands, caddyfile
}

// person makes of the commands of a page what a person makes of them: a PIN is typed where the phone asks for it, and in the
// place of the digits that the page shows are those that the phone shows.
func person(commands []string) string {
	return "set -euo pipefail\n" + strings.NewReplacer(
		`{"digits": "123456"}`, `{"digits": "'"$(jq -r .state.digits phone.json)"'"}`,
		"gatehouse device enroll", "gatehouse device enroll < pin",
		"gatehouse device approve", "gatehouse device approve < answers",
		"jq '{id, number}' operation.json", "jq '{id, number}' operation.json\n"+
			`{ jq -r .number operation.json; cat pin; } > answers`,
	).Replace(strings.Join(commands, ""))
}

// demo is the whole of "gatehouse demo", twice: it leaves nothing behind that is in its way.
const demo = "set -euo pipefail\n" + oneDemo + oneDemo

const oneDemo = "gatehouse demo --issuer http://localhost:8080 --api http://localhost:8082\n"

// watched has the phone answer by "device watch", from before the page waits for the answer until its end.
func watched(script string) string {
	const waits = "OPERATION=$API"
	before, after, _ := strings.Cut(script, waits)
	return before + "{ echo approve; cat answers; } > said\ngatehouse device watch < said &\ntrap 'kill %1' EXIT\n" + waits + after
}

// TestStories types what pages tell to type, and it does what they say.
func TestStories(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	api, apiCaddyfile := section(t, "../../docs/api.md", "## Try it")
	readme, _ := section(t, "../../README.md", "## A phone in five minutes")
	if len(readme) == 0 || strings.TrimSpace(readme[0]) != "./xcaddy.sh run" {
		t.Fatalf("the README begins with %q", readme)
	}
	example, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, story := range []struct {
		name, script, caddyfile string
		want                    []string
	}{
		{name: "docs/api.md", script: watched(person(api)), caddyfile: apiCaddyfile, want: []string{
			`"confirmed": ?true`, "Pay Ann", `Amount +10\.00 EUR`, "Approved", `"state": "approved"`, `"method": "pin"`, `^"redeemed"$`,
		}},
		{name: "README.md", script: person(readme[1:]), caddyfile: string(example), want: []string{
			`"confirmed": ?true`, `Pay Bob \(`, "Approved", `^"redeemed"$`, "verified +authorisation", `10\.00 EUR`,
		}},
		{name: "gatehouse demo", script: demo, caddyfile: string(example), want: []string{
			"^Pay 500 EUR to Bob$", `app +← 401 Unauthorized`, `app +← 403 Forbidden`, `app +← 200 OK`, "shown +Pay 500 EUR to Bob",
			"verified +without the server", "The phone says good-bye",
		}},
	} {
		t.Run(story.name, func(t *testing.T) {
			t.Parallel()
			tell(t, story.script, story.caddyfile, story.want)
		})
	}
}

// tell runs a script beside a server of its own. The pages' ports are those of the server.
func tell(t *testing.T, script, caddyfile string, want []string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gh") // short, since the path of a Unix socket must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // it is temporary anyway
	ports := func(addresses []string) *strings.Replacer {
		var pairs []string
		for i, address := range addresses {
			pairs = append(pairs, fmt.Sprintf("localhost:%d", 8080+i), address)
		}
		return strings.NewReplacer(pairs...)
	}
	p, err := program.Start(t.Context(), program.Config{
		Path: filepath.Join(folder, "gatehouse"), Dir: dir, Ports: 5, Host: "localhost", Ready: "/jwks",
		Env: []string{"PORTAL_SECRET=" + portalSecret, "PATH=" + folder + string(os.PathListSeparator) + os.Getenv("PATH")},
		Caddyfile: func(addresses []string) string {
			return strings.Replace(ports(addresses).Replace(caddyfile), "{\n",
				"{\n\tadmin "+program.SocketIn(dir)+"\n\tdefault_bind 127.0.0.1\n", 1)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() }) // the story is over
	if err := os.Symlink(filepath.Join(folder, "gatehouse"), filepath.Join(dir, "gatehouse")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pin"), []byte("258046\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", ports(p.Addresses).Replace(script))
	cmd.Dir, cmd.Env = dir, p.Command(t.Context()).Env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\nof\n%s", err, out, script)
	}
	for _, text := range want {
		if !regexp.MustCompile("(?m)" + text).Match(out) {
			t.Errorf("nothing says %s:\n%s", text, out)
		}
	}
}
