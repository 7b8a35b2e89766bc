// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/adapterauth"
	"github.com/gatehouse-id/gatehouse/authz/realm/identitystore"
	"github.com/gatehouse-id/gatehouse/internal/callout"
)

const adapterToken = "token-of-the-adapter-0123456789"

// backEnd is the example, running.
type backEnd struct {
	url   string
	lines chan string // of its log
}

// Write takes what the program logs, a line at a time.
func (b *backEnd) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		b.lines <- line
	}
	return len(p), nil
}

// find waits for a line of the log.
func (b *backEnd) find(t *testing.T, pattern string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		select {
		case line := <-b.lines:
			if found := regexp.MustCompile(pattern).FindStringSubmatch(line); found != nil {
				return found[1]
			}
		case <-ctx.Done():
			t.Fatalf("the back end has not logged %s", pattern)
		}
	}
}

func startBackEnd(t *testing.T, path string) *backEnd {
	t.Helper()
	b := &backEnd{lines: make(chan string, 1000)}
	cmd := exec.CommandContext(t.Context(), path)
	cmd.Env = append(os.Environ(), "ADAPTER_LISTEN=127.0.0.1:0", "ADAPTER_TOKEN="+adapterToken)
	cmd.Stderr = b
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended with the test
		_ = cmd.Wait()         // how it ended is of no interest
	})
	b.url = b.find(t, "listening on (http://.*)\n")
	return b
}

// partners are the back ends of worlds, one for each: a back end has one code for each person.
type partners struct {
	t       *testing.T
	program string
	token   string

	mu sync.Mutex
	of map[*world]*backEnd // guarded by mu
}

func newPartners(t *testing.T, token string) *partners {
	t.Helper()
	path := filepath.Join(t.TempDir(), "adapter")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/gatehouse-id/gatehouse/examples/adapter").CombinedOutput()
	if err != nil {
		t.Fatalf("building the example: %v\n%s", err, out)
	}
	return &partners{t: t, program: path, token: token, of: map[*world]*backEnd{}}
}

func (p *partners) backEnd(w *world) *backEnd {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of[w] == nil {
		p.of[w] = startBackEnd(p.t, p.program)
	}
	return p.of[w]
}

// realm adds a realm that the back end decides about. Two nodes ask it, each with a client of its own.
func (p *partners) realm(w *world, c *realm.Config) {
	t, b := p.t, p.backEnd(w)
	client, err := callout.New(callout.Config{URL: b.url, Header: http.Header{"Authorization": {"Bearer " + p.token}}})
	must(t, err)
	t.Cleanup(client.Close)
	auth, err := adapterauth.New(adapterauth.Config{Backend: client})
	must(t, err)
	c.Realms = append(c.Realms, &realm.Realm{Name: "partner", Authenticator: auth, LoginModule: auth, MaxAge: time.Hour, Audit: true})
	c.Scopes["partners"] = []string{"partner"}
	c.Identity, c.Linker = append(c.Identity, "partner"), &identitystore.Linker{Users: w.users}
}

// atPartner is the address at which somebody comes to the back end's first question.
func atPartner() string { return authorize("app", "scope", "openid", "acr_values", "partner") }

func wantPage(t *testing.T, p page, status int, says ...string) {
	t.Helper()
	for _, text := range says {
		if p.status != status || !strings.Contains(p.body, text) {
			t.Fatalf("at %s with status %d, want %d and %q:\n%s", p.url, p.status, status, text, p.body)
		}
	}
}

// TestABackEndThatAsks takes people through the example's two questions, over nodes in turn, in a browser and in an app.
func TestABackEndThatAsks(t *testing.T) {
	p := newPartners(t, adapterToken)
	each(t, func(t *testing.T, w *world) {
		t.Run("browser", func(t *testing.T) { w.byAdapter(t, p.backEnd(w)) })
		t.Run("app", func(t *testing.T) { w.byAdapterInAnApp(t, p.backEnd(w)) })
	}, p.realm)
}

func (w *world) byAdapter(t *testing.T, back *backEnd) {
	var subject string
	for range 2 { // the second time it is the same user
		b := w.browser(t)
		name := b.get(atPartner())
		wantPage(t, name, http.StatusOK, `name="user"`)
		code := b.submit(name, "user", "bob")
		wantPage(t, code, http.StatusOK, `name="code"`, `role="status">We sent you a code.`)
		right := back.find(t, "the code of bob is ([0-9]{6})\n")
		wantPage(t, b.get(code.url.String()+"?req="+hidden.FindStringSubmatch(code.body)[2]), http.StatusOK, "We sent you a code.")
		wrong := b.submit(code, "code", "x")
		wantPage(t, wrong, http.StatusOK, `role="alert">That is not the code.`)
		late := b.submit(code, "code", right) // answers the question of before
		wantPage(t, late, http.StatusOK, "sent this already", `name="code"`)
		p := b.submit(late, "code", right)
		if p.url.Query().Get("code") == "" {
			t.Fatalf("no code at %s:\n%s", p.url, p.body)
		}
		tokens := w.redeem(t, "app", p)
		info := w.call(t, issuer+"/userinfo", tokens.text("access_token"))
		if sub := info.text("sub"); !strings.HasPrefix(sub, "usr_") || subject != "" && sub != subject {
			t.Errorf("somebody is %q, and was %q", sub, subject)
		}
		subject = info.text("sub")
		found := w.nodes[0].server.Inspect(t.Context(), tokens.text("access_token"))
		if found.Claims["acr"] != "partner" {
			t.Errorf("the token says %v", found.Claims)
		}
	}
}

func (w *world) byAdapterInAnApp(t *testing.T, back *backEnd) {
	p := w.phone(t)
	// answer returns an answer, and those that go back as they came.
	answer := func(a answer, name, value string) map[string]map[string]string {
		t.Helper()
		given := map[string]string{name: value}
		all, _ := a.body["challenges"].(map[string]any)
		one, _ := all["partner"].(map[string]any)
		fields, _ := one["fields"].([]any)
		for _, field := range fields {
			f, _ := field.(map[string]any)
			if f["type"] == "hidden" {
				given[f["name"].(string)], _ = f["value"].(string)
			}
		}
		return map[string]map[string]string{"partner": given}
	}
	name := p.ask("", "scope", "openid", "acr_values", "partner")
	code := p.give(answer(name, "user", "bob"))
	right := back.find(t, "the code of bob is ([0-9]{6})\n")
	again := p.give(answer(code, "code", "x"))
	done := p.give(answer(again, "code", right))
	if done.status != http.StatusOK || done.text("authorization_code") == "" {
		t.Fatalf("no code: %d %v", done.status, done.body)
	}
	p.redeem(done.text("authorization_code"))
}

// TestTriesAtABackEnd: the back end counts, and whoever has tried too often waits.
func TestTriesAtABackEnd(t *testing.T) {
	partners := newPartners(t, adapterToken)
	each(t, func(t *testing.T, w *world) {
		for _, user := range []string{"alice", "nobody"} {
			browser := w.browser(t)
			p := browser.submit(browser.get(atPartner()), "user", user)
			for range 2 {
				p = browser.submit(p, "code", "x")
				wantPage(t, p, http.StatusOK, "That is not the code.")
			}
			p = browser.submit(p, "code", "x")
			wantPage(t, p, http.StatusTooManyRequests, "Too many attempts", `name="user"`)
		}
	}, partners.realm)
}

// TestABackEndThatDoesNotKnowUs: without the right secret it says nothing, and nobody gets in.
func TestABackEndThatDoesNotKnowUs(t *testing.T) {
	partners := newPartners(t, "another token")
	each(t, func(t *testing.T, w *world) {
		p := w.browser(t).get(atPartner())
		if p.status < http.StatusInternalServerError || strings.Contains(p.body, "form") || strings.Contains(p.body, partners.backEnd(w).url) {
			t.Errorf("status %d:\n%s", p.status, p.body)
		}
	}, partners.realm)
}
