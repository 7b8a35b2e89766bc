// SPDX-License-Identifier: Apache-2.0

package custom_test

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

const example = "../../examples/custom-realm"

// TestPage: what the page shows is what is built, file by file.
func TestPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/custom-realms.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, fence := range map[string]string{"go.mod": "text", "realm.go": "go", "caddyfile.go": "go", "Caddyfile": "Caddyfile"} {
		content, err := os.ReadFile(filepath.Join(example, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "```"+fence+"\n"+string(content)+"```\n") {
			t.Errorf("docs/custom-realms.md does not show %s as it is", name)
		}
	}
}

// build has the script build the program with the example in it, by Go alone.
func build(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "../../xcaddy.sh", append([]string{"build"}, args...)...)
	cmd.Env = append(os.Environ(), "XCADDY=", "BUILD_FLAGS=", "GOPROXY=off", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, with, want string
	}{
		{"no folder", "example.com/custom-realm=./nowhere", "there is no such folder"},
		{"no module in it", "example.com/custom-realm=.", "there is no go.mod in it"},
		{"no name", "=../..", "needs a module"},
		{"no place", "example.com/custom-realm", "without xcaddy it needs a folder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			output, err := build(t, "--with", c.with, filepath.Join(t.TempDir(), "program"))
			if err == nil || !strings.Contains(output, c.want) {
				t.Errorf("got %v, %q; want %q", err, output, c.want)
			}
		})
	}
}

// TestLogin builds the example, offline, and logs an employee in.
func TestLogin(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "gh") // short, for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "staff")
	if output, err := build(t, "--with", "example.com/custom-realm="+example, path); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	caddyfile, err := os.ReadFile(filepath.Join(example, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := program.Start(t.Context(), program.Config{
		Path: path, Dir: dir, Ports: 2, Host: "localhost", Ready: "/jwks", Env: []string{"MAGIC_WORD=xyzzy"},
		Caddyfile: func(a []string) string {
			options := fmt.Sprintf("{\n\tadmin %s\n\tauto_https off\n\tdefault_bind 127.0.0.1", program.SocketIn(dir))
			text := strings.NewReplacer("localhost:8080", a[0], "localhost:8081", a[1]).Replace(string(caddyfile))
			return options + strings.TrimPrefix(text, "{")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	b := newBrowser(t)
	b.get("http://" + p.Addresses[1] + "/")
	if !strings.Contains(b.page, "Employee number") {
		t.Fatalf("the realm does not ask:\n%s", b.page)
	}
	b.answer("4711", "sesame")
	if strings.Contains(b.page, "Hello") {
		t.Fatal("a wrong word lets somebody in")
	}
	b.answer("4711", "xyzzy")
	if b.page != "Hello Employee 4711" {
		t.Fatalf("the employee does not get in:\n%s", b.page)
	}
	users, err := p.Command(t.Context(), "user", "list").CombinedOutput()
	if err != nil || strings.Count(string(users), "usr_") != 1 {
		t.Errorf("the employee is no user: %v\n%s", err, users)
	}
}

// browser follows redirects and keeps cookies.
type browser struct {
	t      *testing.T
	client *http.Client
	at     *url.URL
	page   string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, client: &http.Client{Jar: jar}}
}

func (b *browser) get(address string) {
	b.t.Helper()
	b.send(http.MethodGet, address, nil)
}

func (b *browser) send(method, address string, form url.Values) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.at.Scheme+"://"+b.at.Host)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	response, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.at, b.page = response.Request.URL, string(body)
}

var (
	inputs = regexp.MustCompile(`<input[^>]*>`)
	named  = regexp.MustCompile(` name="([^"]*)"`)
	valued = regexp.MustCompile(` value="([^"]*)"`)
	action = regexp.MustCompile(`<form[^>]* action="([^"]*)"`)
)

// answer fills in the form of the page, with its hidden fields, and sends it.
func (b *browser) answer(number, word string) {
	b.t.Helper()
	form := url.Values{}
	for _, input := range inputs.FindAllString(b.page, -1) {
		if name := named.FindStringSubmatch(input); name != nil {
			value := valued.FindStringSubmatch(input + ` value=""`)
			form.Set(html.UnescapeString(name[1]), html.UnescapeString(value[1]))
		}
	}
	form.Set("number", number)
	form.Set("word", word)
	to := b.at
	if found := action.FindStringSubmatch(b.page); found != nil {
		var err error
		if to, err = b.at.Parse(html.UnescapeString(found[1])); err != nil {
			b.t.Fatal(err)
		}
	}
	b.send(http.MethodPost, to.String(), form)
}
