// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

func TestRestartKeepsEverybodyLoggedIn(t *testing.T) {
	t.Parallel()
	h := start(t, "", "")
	b := newBrowser(t)
	b.enter(h.web+"/", "alice")
	has := h.user(t, "bob", "openid offline_access accounts:read")
	machine := h.machine(t, "accounts:read")
	keys := send(t, http.MethodGet, h.issuer+"/jwks").Body
	if err := h.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := h.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.get(h.web + "/"); !got.reached() {
		t.Errorf("the browser has to log in again: %s", got.URL)
	}
	if got := b.get(h.nested + "/session"); !got.reached() {
		t.Errorf("the browser has to log in at the second site: %s", got.URL)
	}
	for name, token := range map[string]string{"user": has.Access, "machine": machine} {
		if got := send(t, http.MethodGet, h.all+"/", bearer(token)); got.Status != http.StatusOK {
			t.Errorf("the token of the %s is refused: %d", name, got.Status)
		}
	}
	if again := h.refresh(t, has.Refresh); again.Access == "" {
		t.Errorf("the app has to begin again: %s", again.Error)
	}
	if send(t, http.MethodGet, h.issuer+"/jwks").Body != keys {
		t.Error("the keys have changed")
	}
}

// app is an app that redeems codes and refreshes, and remembers what it was told.
type app struct {
	mu      sync.Mutex
	current string   // guarded by mu: the last refresh token that it was given
	spent   []string // guarded by mu: codes that were redeemed
}

// run refreshes until the server is gone.
func (a *app) run(ctx context.Context, h *house, done func()) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		a.mu.Lock()
		body := url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {a.current}}.Encode()
		a.mu.Unlock()
		_, answer, err := try(client, request(http.MethodPost, h.issuer+"/token", body, func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}))
		var got tokens
		if err != nil || json.Unmarshal([]byte(answer), &got) != nil || got.Refresh == "" {
			return
		}
		a.mu.Lock()
		a.current = got.Refresh
		a.mu.Unlock()
		done()
	}
}

// TestKill: what the server has acknowledged survives its death at any moment, and what was spent stays spent.
func TestKill(t *testing.T) {
	t.Parallel()
	h := start(t, "tokens {\n refresh_grace 2m\n}", "")
	const rounds, number = 2, 4
	for range rounds {
		var apps []*app
		for range number {
			code, verifier := newBrowser(t).code(h, "alice", "openid offline_access accounts:read")
			apps = append(apps, &app{current: h.redeem(t, code, verifier).Refresh, spent: []string{code, verifier}})
		}
		var working sync.WaitGroup
		answered := make(chan struct{}, 1000)
		for _, a := range apps {
			working.Go(func() {
				a.run(t.Context(), h, func() {
					select {
					case answered <- struct{}{}:
					default:
					}
				})
			})
		}
		for range 10 * number {
			<-answered
		}
		if err := h.Kill(); err != nil {
			t.Fatal(err)
		}
		working.Wait()
		if err := h.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, a := range apps {
			if got := h.refresh(t, a.current); got.Access == "" {
				t.Errorf("app %d was given a token that does not work: %s", i, got.Error)
			}
			if got := h.redeem(t, a.spent[0], a.spent[1]); got.Error != "invalid_grant" {
				t.Errorf("app %d redeems its code a second time: %+v", i, got)
			}
		}
	}
}

// TestStoreOfAnotherProcess: two servers never share a folder, and the second says who has it.
func TestStoreOfAnotherProcess(t *testing.T) {
	t.Parallel()
	h := start(t, "", "")
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	data := h.path("data")
	second, err := program.Start(t.Context(), program.Config{
		Path: binary, Dir: dir, Ports: 1, Host: "localhost", Ready: "/jwks",
		Caddyfile: func(addresses []string) string {
			return "{\n admin off\n auto_https off\n default_bind 127.0.0.1\n gatehouse {\n issuer http://" + addresses[0] + "\n storage badger " + data +
				"\n }\n}\nhttp://" + addresses[0] + " {\n authorization_server\n}\n"
		},
	})
	if err == nil {
		_ = second.Stop() // the test has failed already
		t.Fatal("two servers share a store")
	}
	resolved, err2 := filepath.EvalSymlinks(data)
	if err2 != nil {
		t.Fatal(err2)
	}
	for _, part := range []string{resolved, strconv.Itoa(h.Pid())} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %s: %v", part, err)
		}
	}
	if h.machine(t, "accounts:read") == "" {
		t.Error("the first server suffers from the second")
	}
}
