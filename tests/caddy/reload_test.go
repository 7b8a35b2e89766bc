// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// gateTraffic are clients of every face: a token at the gate, a browser session, the token endpoint and the keys.
func (h *house) gateTraffic(t *testing.T, b *browser) *traffic {
	t.Helper()
	token := h.machine(t, "accounts:read")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.web+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	var cookies []string
	for _, c := range b.client.Jar.Cookies(r.URL) {
		cookies = append(cookies, c.String())
	}
	fields := func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }
	return begin(t, http.StatusOK, map[string]func() (*http.Request, error){
		"gate":    request(http.MethodGet, h.all+"/", "", bearer(token)),
		"session": request(http.MethodGet, h.web+"/", "", header("Cookie", strings.Join(cookies, "; "))),
		"token": request(http.MethodPost, h.issuer+"/token", "grant_type=client_credentials&scope=accounts:read", fields,
			basic("machine", machineSecret)),
		"keys": request(http.MethodGet, h.issuer+"/jwks", ""),
	})
}

// TestReloadUnderLoad: whether a configuration is taken or refused, and at whatever stage, nobody is turned away by the one
// that runs, and nobody has to log in again.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	h := start(t, "", "")
	b := newBrowser(t)
	b.enter(h.web+"/", "alice")
	code, verifier := b.code(h, "alice", "openid offline_access accounts:read")
	has := h.redeem(t, code, verifier)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }() // nobody connects
	good := h.current()
	with := func(options string) string {
		return strings.Replace(good, "default_scope", options+"\n\t\tdefault_scope", 1)
	}
	clients := h.gateTraffic(t, b)
	clients.wait(t, 50)
	for range 2 {
		for _, c := range []struct{ name, caddyfile, problem string }{
			{name: "the same", caddyfile: good + "# once more\n"},
			{name: "an option changed", caddyfile: with("sessions {\n idle 6h\n}\n tokens {\n access 7m\n}")},
			{name: "a client more", caddyfile: with("client another {\n redirect_uri https://a.example.com/\n}")},
			{name: "bad syntax", caddyfile: good + "}\n", problem: "'}'"},
			{name: "an unknown option", caddyfile: with("colour blue"), problem: "unknown option"},
			{name: "nothing that can be provisioned", caddyfile: with("user_identity nobody"), problem: "nobody"},
			{name: "a rule that cannot be provisioned", caddyfile: strings.Replace(good, "protect /private*", "protect /private* {\n issuer http://x.example.com\n}", 1),
				problem: "x.example.com"},
			{name: "a port that is taken", caddyfile: good + "\nhttp://" + taken.Addr().String() + " {\n respond no\n}\n", problem: "address already in use"},
			{name: "logins that cannot end", problem: "no login can end",
				caddyfile: good + "\n" + h.url(siteSpare) + " {\n handle /app* {\n protect {\n session on\n }\n }\n}\n"},
			{name: "another seal key", caddyfile: with("seal_key MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="), problem: "the key that seals the store"},
			{name: "a store that cannot be opened", caddyfile: strings.Replace(good, "badger data", "badger Caddyfile", 1), problem: "Caddyfile"},
		} {
			got := h.load(t, "text/caddyfile", c.caddyfile)
			if (got.Status == http.StatusOK) != (c.problem == "") || !strings.Contains(got.Body, c.problem) {
				t.Errorf("%s: %d %s", c.name, got.Status, got.Body)
			}
			clients.wait(t, 20)
		}
	}
	h.reload(t, good)
	clients.wait(t, 50)
	clients.end(t)
	if got := b.get(h.web + "/"); !got.reached() {
		t.Errorf("the browser has to log in again: %s", got.URL)
	}
	if again := h.refresh(t, has.Refresh); again.Access == "" {
		t.Errorf("the app has to begin again: %s", again.Error)
	}
}

// TestReloadLeaksNothing: after any number of reloads, good and bad ones, one configuration holds the store, and there are
// no more goroutines than after the first.
func TestReloadLeaksNothing(t *testing.T) {
	t.Parallel()
	h := start(t, "", "")
	good := h.current()
	decided := func() float64 { return h.metric(t, "gatehouse_gate_decisions_total", `"passed"`) }
	hits := func() float64 { return h.metric(t, "gatehouse_validation_cache_hits_total", "") }
	token := h.machine(t, "accounts:read")
	for range 5 {
		send(t, http.MethodGet, h.all+"/", bearer(token))
	}
	before, hit := decided(), hits()
	if before < 5 || hit < 4 {
		t.Errorf("%v decisions and %v hits are counted", before, hit)
	}
	h.reload(t, good+"# 0\n")
	first := h.metric(t, "go_goroutines", "")
	for i := range 6 {
		h.reload(t, good+strings.Repeat("#", i+2)+"\n")
		h.load(t, "text/caddyfile", strings.Replace(good, "default_scope", "user_identity nobody\n\t\tdefault_scope", 1))
	}
	if now := decided(); now < before {
		t.Errorf("decisions went from %v to %v", before, now)
	}
	if now := hits(); now < hit {
		t.Errorf("hits went from %v to %v", hit, now)
	}
	if holders := h.metric(t, "gatehouse_store_holders", ""); holders != 1 {
		t.Errorf("%v configurations hold the store", holders)
	}
	var now float64
	if !eventually(t, func() bool { now = h.metric(t, "go_goroutines", ""); return now <= first+3 }) {
		t.Errorf("goroutines went from %v to %v", first, now)
	}
}

// TestRemovedAndAddedAgain: a configuration without us closes the store, and the next one with us goes on where the last
// one ended.
func TestRemovedAndAddedAgain(t *testing.T) {
	t.Parallel()
	h := start(t, "", "")
	b := newBrowser(t)
	b.enter(h.web+"/", "alice")
	token := h.machine(t, "accounts:read")
	admin := "{\n admin " + h.Socket() + "\n auto_https off\n metrics\n}\n"
	for range 2 {
		h.reload(t, admin+h.url(siteSpare)+" {\n respond gone\n}\n")
		if holders := h.metric(t, "gatehouse_store_holders", ""); holders != 0 {
			t.Errorf("%v configurations hold the store that nobody uses", holders)
		}
		if got := sendWith(t, h.admin(), http.MethodGet, "http://127.0.0.1/gatehouse/health"); got.Status != http.StatusServiceUnavailable {
			t.Errorf("health is %d %s", got.Status, got.Body)
		}
		h.reload(t, h.current())
		if got := b.get(h.web + "/"); !got.reached() {
			t.Errorf("the browser has to log in again: %s", got.URL)
		}
		if got := send(t, http.MethodGet, h.all+"/", bearer(token)); got.Status != http.StatusOK {
			t.Errorf("the token is refused: %d", got.Status)
		}
	}
}

// TestValidateBesideTheServer: looking at a configuration opens nothing, whether it is good or bad.
func TestValidateBesideTheServer(t *testing.T) {
	t.Parallel()
	h := start(t, "", "")
	before := h.listing(t)
	for _, args := range [][]string{
		{"validate", "--config", "Caddyfile", "--adapter", "caddyfile"}, {"config", "check"}, {"adapt", "--config", "Caddyfile", "--validate"},
	} {
		if out, err := h.Command(t.Context(), args...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	if err := os.WriteFile(h.path("Bad"), []byte(strings.Replace(h.current(), "default_scope", "user_identity nobody\n\t\tdefault_scope", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := h.Command(t.Context(), "validate", "--config", "Bad", "--adapter", "caddyfile").CombinedOutput(); err == nil {
		t.Errorf("a bad configuration is good:\n%s", out)
	}
	if after := h.listing(t); after != before {
		t.Errorf("the store was %s and is %s", before, after)
	}
	if h.user(t, "alice", "openid accounts:read").Access == "" {
		t.Error("the server does not go on")
	}
	// Beside a folder that does not exist yet, nothing appears.
	elsewhere := strings.Replace(h.current(), "badger data", "badger elsewhere/data", 1)
	if err := os.WriteFile(h.path("Fresh"), []byte(elsewhere), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := h.Command(t.Context(), "validate", "--config", "Fresh", "--adapter", "caddyfile").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat(h.path("elsewhere")); !os.IsNotExist(err) {
		t.Errorf("validating has made a folder: %v", err)
	}
}

// listing names the files of the store.
func (h *house) listing(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir(h.path("data"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// TestCaddyReload: the command that operators use.
func TestCaddyReload(t *testing.T) {
	t.Parallel()
	h := start(t, "", "")
	if err := h.Write(strings.Replace(h.current(), "client app {", "client fresh {\n secret fresh-secret-0123456789-0123456789\n grants client_credentials\n scopes accounts:read\n}\nclient app {", 1)); err != nil {
		t.Fatal(err)
	}
	reload := func() *exec.Cmd {
		return h.Command(t.Context(), "reload", "--config", "Caddyfile", "--adapter", "caddyfile", "--address", h.Socket())
	}
	if out, err := reload().CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := h.token(t, basic("fresh", "fresh-secret-0123456789-0123456789"), form("grant_type", "client_credentials"))
	if got.Access == "" {
		t.Errorf("the new client gets no token: %s", got.Error)
	}
	if err := h.Write("{\n gatehouse {\n isuer x\n }\n}\n"); err != nil {
		t.Fatal(err)
	}
	if out, err := reload().CombinedOutput(); err == nil || !strings.Contains(string(out), "Caddyfile:3") {
		t.Errorf("the mistake is not told: %v\n%s", err, out)
	}
}
