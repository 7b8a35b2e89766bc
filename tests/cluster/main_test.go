// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/tests/faces"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
	"github.com/gatehouse-id/gatehouse/tests/program"
)

const (
	password      = "wonderland-2026"
	machineSecret = "machine-secret-0123456789-0123456789"
	sealKey       = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

// patience is how long a test waits for what has to come. None measures by it.
const patience = 60 * time.Second

// binary is the program, built once for all tests.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is temporary anyway
	if binary, err = program.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// cluster is a database, the nodes on it and what stands before them.
type cluster struct {
	*testing.T
	database *postgres.Server
	dsn      string
	balancer *balancer
	issuer   string
	options  string // of the store
	users    string // beside alice
	key      string // that seals
	nodes    []*program.Program
	client   *http.Client
	keys     *device.SoftStore // of a phone
}

// start starts so many nodes at once, on an empty database.
func start(t *testing.T, nodes int) *cluster {
	t.Helper()
	return startWith(t, nodes, "")
}

// startWith is start with more options of the store, and more users.
func startWith(t *testing.T, nodes int, options string, users ...string) *cluster {
	t.Helper()
	c := &cluster{T: t, database: postgres.Start(t), balancer: newBalancer(t), options: options, key: sealKey}
	for _, user := range users {
		c.users += "user " + user + " {\n password " + password + "\n}\n"
	}
	c.dsn = c.database.Database(t)
	c.issuer = "http://localhost:" + c.balancer.port()
	c.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	c.nodes = make([]*program.Program, nodes)
	began := make(chan error)
	for i := range nodes {
		go func() {
			var err error
			c.nodes[i], err = c.node()
			began <- err
		}()
	}
	for range nodes {
		if err := <-began; err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	for _, node := range c.nodes {
		c.balancer.add(node.Addresses[0])
	}
	return c
}

// node starts one.
func (c *cluster) node() (*program.Program, error) { return c.nodeOf(caddyfile) }

// nodeOf starts a node of another configuration.
func (c *cluster) nodeOf(caddyfile string) (*program.Program, error) {
	return c.nodeWith(caddyfile, func(*program.Config) {})
}

// nodeWith starts a node that differs from the others, in a short folder since the path of a Unix socket must be short.
func (c *cluster) nodeWith(caddyfile string, change func(*program.Config)) (*program.Program, error) {
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		return nil, err
	}
	config := program.Config{
		Path: binary, Dir: dir, Ports: 1, Host: "localhost", Ready: "/jwks",
		Env: []string{"GATEHOUSE_DSN=" + c.dsn, "GATEHOUSE_SEAL_KEY=" + c.key},
		Caddyfile: func(addresses []string) string {
			return strings.NewReplacer("ADMIN", program.SocketIn(dir), "ISSUER", c.issuer, "NODE", "http://"+addresses[0], "OPTIONS", c.options, "USERS", c.users).Replace(caddyfile)
		},
	}
	change(&config)
	node, err := program.Start(c.Context(), config)
	c.Cleanup(func() {
		if node != nil {
			_ = node.Stop() // it may have been killed
		}
		_ = os.RemoveAll(filepath.Clean(dir)) // it is temporary anyway
	})
	return node, err
}

// join has a node take its part.
func (c *cluster) join(node *program.Program, err error) {
	c.Helper()
	must(c, err)
	c.nodes = append(c.nodes, node)
	c.balancer.add(node.Addresses[0])
}

const caddyfile = `{
	admin ADMIN
	auto_https off
	default_bind 127.0.0.1
	gatehouse {
		issuer ISSUER
		storage postgres {env.GATEHOUSE_DSN} {
			connections 8
			time_out 3s
			wait 2s
			OPTIONS
		}
		seal_key {env.GATEHOUSE_SEAL_KEY}
		realm password {
			authenticator form
			login_module identity_store
			max_age 8h
			audit
		}
		scope accounts:read password
		default_scope accounts:read
		client mobile {
			native
			grants authorization_code refresh_token
			scopes openid offline_access accounts:read
			first_party
			access_ttl 1h
		}
		client machine {
			secret ` + machineSecret + `
			grants client_credentials
			scopes accounts:read
			access_ttl 1h
		}
		user alice {
			password ` + password + `
		}
		USERS
	}
}

NODE {
	authorization_server
	handle /api* {
		protect accounts:read
		respond "hello {http.auth.user.id}"
	}
}
`

// answer is what a node said.
type answer struct {
	Status  int         `json:"-"`
	Header  http.Header `json:"-"`
	Body    string      `json:"-"`
	Access  string      `json:"access_token"`
	Refresh string      `json:"refresh_token"`
	Error   string      `json:"error"`
	Code    string      `json:"authorization_code"`
	Session string      `json:"auth_session"`
}

// send sends a request to whichever node is next, or to one of them. One that gets no answer has status 0.
func (c *cluster) send(method, address string, form url.Values, token string) *answer {
	request, err := http.NewRequestWithContext(c.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		c.Error(err)
		return &answer{}
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return answerTo(c.client, request)
}

func answerTo(client *http.Client, request *http.Request) *answer {
	response, err := client.Do(request)
	if err != nil {
		return &answer{Body: err.Error()}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return &answer{Body: err.Error()}
	}
	a := &answer{Status: response.StatusCode, Header: response.Header, Body: string(body)}
	_ = json.Unmarshal(body, a) // not every answer is JSON
	return a
}

// at is the address of a path at one node.
func (c *cluster) at(node int, path string) string {
	return "http://" + c.nodes[node].Addresses[0] + path
}

// app is one that logs in by itself, each of its requests at another node.
func (c *cluster) app() *faces.App { return c.appAt(c.client) }

// appAt is one whose requests go where a client sends them.
func (c *cluster) appAt(client *http.Client) *faces.App {
	return faces.AppOf(c, c.server(client), c.issuer+"/authorize-challenge")
}

// browser is one that was never here.
func (c *cluster) browser() *faces.Browser { return faces.BrowserOf(c, c.server(c.client), c.issuer) }

// server answers as the cluster does that a client asks.
func (c *cluster) server(client *http.Client) http.Handler {
	to, err := url.Parse(c.issuer)
	must(c, err)
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: client.Transport}
}

// through sends what is for the cluster to one of its nodes, as a balancer may.
func (c *cluster) through(node int) *http.Client {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, c.nodes[node].Addresses[0])
	}
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}, Timeout: patience}
}

// code logs alice in and returns a code.
func (c *cluster) code() string {
	c.Helper()
	a := c.app()
	a.Ask("scope", "openid offline_access accounts:read").Asks("password")
	return a.Answer(faces.ByPassword("alice", password)).Granted()
}

func redeeming(code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"mobile"}, "code": {code}, "code_verifier": {faces.Verifier},
	}
}

func refreshing(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {"mobile"}, "refresh_token": {token}}
}

// login logs alice in and returns her tokens.
func (c *cluster) login() *answer {
	c.Helper()
	got := c.send(http.MethodPost, c.issuer+"/token", redeeming(c.code()), "")
	if got.Access == "" || got.Refresh == "" {
		c.Fatalf("no tokens: %d %s", got.Status, got.Body)
	}
	return got
}

// until waits for what has to come.
func (c *cluster) until(what string, is func() bool) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	for !is() {
		select {
		case <-ctx.Done():
			c.Fatalf("waiting until %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
