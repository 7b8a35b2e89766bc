// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

const (
	clientID     = "machine"
	clientSecret = "machine-secret-0123456789abcdefghijkl"
	examples     = "../../examples/resource-servers"
)

// caddyfile is an issuer with tokens for an API elsewhere.
const caddyfile = `{
	admin %s
	auto_https off
	gatehouse {
		issuer http://%s
		storage badger data
		audience https://api.example.com
		scope accounts:read password
		scope other password
		scope accounts:read:all password
		client machine {
			secret machine-secret-0123456789abcdefghijkl
			grants client_credentials
			scopes accounts:read other accounts:read:all
			introspect
		}
		client elsewhere {
			secret machine-secret-0123456789abcdefghijkl
			grants client_credentials
			scopes accounts:read
			audience https://other.example.com
		}
	}
}
http://%s {
	authorization_server
}
`

// gatehouse is a running issuer.
type gatehouse struct{ url string }

// start starts an issuer for a test.
func start(t *testing.T) *gatehouse {
	t.Helper()
	dir := t.TempDir()
	p, err := program.Start(t.Context(), program.Config{
		Path: built, Dir: dir, Ports: 1, Ready: "/jwks",
		Caddyfile: func(a []string) string { return fmt.Sprintf(caddyfile, program.SocketIn(dir), a[0], a[0]) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &gatehouse{url: "http://" + p.Addresses[0]}
}

func (g *gatehouse) post(t *testing.T, path, client string, form url.Values, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(client, clientSecret)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s (%v)", path, response.StatusCode, body, err)
	}
	if into != nil {
		if err := json.Unmarshal(body, into); err != nil {
			t.Fatal(err)
		}
	}
}

func (g *gatehouse) token(t *testing.T, client, scope string) string {
	t.Helper()
	var answer struct {
		Token string `json:"access_token"`
	}
	g.post(t, "/token", client, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}, &answer)
	return answer.Token
}

// resource is how an example is started.
type resource struct {
	name    string
	needs   []string // what has to be installed, and how
	prepare []string // a command that is run first, in the folder
	command []string
	dir     string
	env     []string
	// asks tells that it asks the issuer about each token, and so notices a revocation.
	asks bool
}

func resources(t *testing.T) []resource {
	t.Helper()
	apache, err := filepath.Abs(filepath.Join(examples, "apache"))
	if err != nil {
		t.Fatal(err)
	}
	run, err := os.MkdirTemp("/tmp", "gatehouse-apache-") // Apache's own user has to get there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	if err := os.Chmod(run, 0o755); err != nil {
		t.Fatal(err)
	}
	secret := []string{"CLIENT_ID=" + clientID, "CLIENT_SECRET=" + clientSecret}
	program := filepath.Join(t.TempDir(), "go-resource")
	build := []string{"go", "build", "-o", program, "."}
	return []resource{
		{name: "go, by keys", prepare: build, command: []string{program}, dir: "go"},
		{name: "go, by introspection", prepare: build, command: []string{program}, dir: "go", env: append(secret, "REMEMBER=0s"), asks: true},
		{name: "node", needs: []string{"node", "npm"}, prepare: []string{"npm", "ci", "--no-audit", "--no-fund"},
			command: []string{"node", "server.mjs"}, dir: "node"},
		{name: "apache", needs: []string{"apache2"}, dir: "apache", env: append(secret, "EXAMPLE="+apache, "RUN="+run),
			command: []string{"apache2", "-X", "-d", "/usr/lib/apache2", "-f", filepath.Join(apache, "httpd.conf")}, asks: true},
	}
}

// lines keeps what a process says.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write adds to what was said.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve starts the example on a free port and returns its address.
func (r *resource) serve(t *testing.T, issuer string) string {
	t.Helper()
	if r.prepare != nil {
		prepare := exec.CommandContext(t.Context(), r.prepare[0], r.prepare[1:]...)
		prepare.Dir = filepath.Join(examples, r.dir)
		if out, err := prepare.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", r.prepare, err, out)
		}
	}
	address := free(t)
	c := exec.Command(r.command[0], r.command[1:]...)
	c.Dir = filepath.Join(examples, r.dir)
	said := new(lines)
	c.Stdout, c.Stderr = said, said
	c.Env = append(append(os.Environ(), r.env...), "ISSUER="+issuer, "AUDIENCE=https://api.example.com", "LISTEN="+address)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its own children go with it
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), program.Patience)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel() // nobody is left to wait for
		_ = c.Wait()
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // it has ended, if not
		<-ended
	})
	if err := answers(ctx, address); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return address
}

func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// answers waits until somebody listens at an address.
func answers(ctx context.Context, address string) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", address, err)
		case <-ticker.C:
		}
	}
}

// ask sends a request with an Authorization header, unless that is empty.
func ask(t *testing.T, address, authorization string) (status int, challenge, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/accounts", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := bufio.NewReader(response.Body).ReadString('\n')
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header.Get("WWW-Authenticate"), text
}

// An API outside of the gateway is as safe as one behind it, whatever it is written in.
func TestResourceServers(t *testing.T) {
	t.Parallel()
	g := start(t)
	good := g.token(t, clientID, "accounts:read")
	cases := []struct {
		name, authorization string
		status              []int
	}{
		{"no token", "", []int{401}},
		{"a good token", "Bearer " + good, []int{200}},
		{"a good token with more", "Bearer " + g.token(t, clientID, "other accounts:read"), []int{200}},
		{"garbage", "Bearer garbage", []int{401}},
		{"a changed signature", "Bearer " + good[:len(good)-4] + "AAAA", []int{401}},
		{"a token for somebody else", "Bearer " + g.token(t, "elsewhere", "accounts:read"), []int{401, 403}},
		{"a token with another scope", "Bearer " + g.token(t, clientID, "other"), []int{403}},
		{"a token with a scope that begins alike", "Bearer " + g.token(t, clientID, "accounts:read:all"), []int{403}},
		{"a token after the wrong scheme", "Basic " + good, []int{401}},
	}
	for _, server := range resources(t) {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			for _, tool := range server.needs {
				if _, err := exec.LookPath(tool); err != nil {
					t.Skipf("%s is not installed", tool)
				}
			}
			if _, err := os.Stat("/usr/lib/apache2/modules/mod_oauth2.so"); err != nil && server.name == "apache" {
				t.Skip("mod_oauth2 is not installed")
			}
			address := server.serve(t, g.url)
			for _, tt := range cases {
				status, challenge, body := ask(t, address, tt.authorization)
				if !contains(tt.status, status) {
					t.Errorf("%s: status %d, want %d: %s", tt.name, status, tt.status, body)
				}
				if status == http.StatusUnauthorized && !strings.HasPrefix(challenge, "Bearer") {
					t.Errorf("%s: WWW-Authenticate is %q", tt.name, challenge)
				}
				if status == http.StatusOK != strings.Contains(body, "the accounts") {
					t.Errorf("%s: status %d with %q", tt.name, status, body)
				}
			}
			if !server.asks {
				return
			}
			mine := g.token(t, clientID, "accounts:read")
			if status, _, body := ask(t, address, "Bearer "+mine); status != http.StatusOK {
				t.Errorf("before its revocation: %d %s", status, body)
			}
			g.post(t, "/revoke", clientID, url.Values{"token": {mine}}, nil)
			if status, _, body := ask(t, address, "Bearer "+mine); status != http.StatusUnauthorized {
				t.Errorf("after its revocation: %d %s", status, body)
			}
		})
	}
}

func contains(all []int, one int) bool {
	for _, n := range all {
		if n == one {
			return true
		}
	}
	return false
}
