// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// lasting is an upstream of which every answer lasts: a WebSocket that says everything once more, and events for ever.
func lasting(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			websocket.Server{Handler: func(c *websocket.Conn) { _, _ = io.Copy(c, c) }}.ServeHTTP(w, r)
			return
		}
		if r.URL.Path == "/plain" {
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: here\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done() // nothing more happens, so nothing is written
	}))
	t.Cleanup(s.Close)
	return s
}

// held is a connection through the gate that lasts.
type held struct {
	kind string
	// alive reports whether it still is: that takes a word there and back where words go both ways.
	alive func() bool
	over  chan error
}

func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// connect opens a WebSocket.
func connect(t *testing.T, site string, header ...string) held {
	t.Helper()
	config, err := websocket.NewConfig("ws"+strings.TrimPrefix(site, "http"), originOf(site))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		config.Header.Set(header[i], header[i+1])
	}
	c, err := websocket.DialConfig(config)
	if err != nil {
		t.Fatalf("opening a WebSocket: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	h := held{kind: "WebSocket", over: make(chan error, 1)}
	words := make(chan string, 1)
	go func() {
		for {
			var word string
			if err := websocket.Message.Receive(c, &word); err != nil {
				close(words)
				h.over <- err
				return
			}
			words <- word
		}
	}()
	h.alive = func() bool {
		if websocket.Message.Send(c, "hello") != nil {
			return false
		}
		return <-words == "hello"
	}
	return h
}

// follow reads server-sent events.
func follow(t *testing.T, site string, header ...string) held {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, site, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	read := bufio.NewReader(response.Body)
	if line, err := read.ReadString('\n'); line != "data: here\n" {
		t.Fatalf("%d: %q, %v", response.StatusCode, line, err)
	}
	h := held{kind: "server-sent events", over: make(chan error, 1)}
	go func() {
		_, err := io.Copy(io.Discard, read)
		h.over <- err
	}()
	h.alive = func() bool { return len(h.over) == 0 }
	return h
}

// soon is how long a connection may take to end. The promise is a second; the machine that tests may be busy.
const soon = 10 * time.Second

func (h held) ends(t *testing.T) {
	t.Helper()
	select {
	case err := <-h.over:
		if err == nil {
			t.Errorf("%s: the answer looks complete", h.kind)
		}
	case <-time.After(soon):
		t.Errorf("%s: it goes on", h.kind)
	}
}

// seated logs a browser in at a site and returns the cookies that it then has there.
func seated(t *testing.T, site, user string) string {
	t.Helper()
	b := newBrowser(t)
	if page := b.enter(site+"/plain", user); page.Status != http.StatusOK {
		t.Fatalf("the browser ends at %s with %d", page.URL, page.Status)
	}
	address, err := url.Parse(site)
	if err != nil {
		t.Fatal(err)
	}
	var cookies []string
	for _, c := range b.client.Jar.Cookies(address) {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	return strings.Join(cookies, "; ")
}

// TestWhatLastsEndsWithWhatLetItThrough: through a real proxy to a real WebSocket and to server-sent events, by token and by
// session, whatever ends them ends the connection, and nobody else's.
func TestWhatLastsEndsWithWhatLetItThrough(t *testing.T) {
	t.Parallel()
	up := lasting(t).Listener.Addr().String()
	h := start(t, phones+`client brief {
			secret `+machineSecret+`
			grants client_credentials
			scopes accounts:read
			access_ttl 2s
		}`, `SPARE {
	protect /kept/* {
		streams keep
	}
	protect /revoked/* {
		streams revoked
	}
	protect {
		session on
	}
	reverse_proxy `+up+`
}`)
	site := h.url(siteSpare)
	both := func(t *testing.T, path, token string) []held {
		return []held{connect(t, site+path, "Authorization", "Bearer "+token), follow(t, site+path, "Authorization", "Bearer "+token)}
	}
	untouched := both(t, "", h.machine(t, "accounts:read"))
	cases := []struct {
		name string
		end  func(t *testing.T, user string, has tokens)
		// undo lets the next case begin.
		undo func(t *testing.T)
		// session tells that what rests on the browser's session ends as well.
		session bool
	}{
		{name: "access token revoked", end: func(t *testing.T, _ string, has tokens) {
			send(t, http.MethodPost, h.issuer+"/revoke", form("client_id", "phone", "token", has.Access))
		}},
		{name: "version switched off", end: func(t *testing.T, _ string, _ tokens) {
			h.gatehouse(t, "", "app", "set", "bank", "1.*", "disabled")
		}, undo: func(t *testing.T) { h.gatehouse(t, "", "app", "unset", "bank", "1.*") }},
		{name: "user locked", session: true, end: func(t *testing.T, user string, _ tokens) {
			h.gatehouse(t, "", "user", "lock", user)
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { // one after the other: they end each other's
			has, cookies := h.tokensOf(t, "1.0"), seated(t, site, "alice")
			byToken := append(both(t, "", has.Access), both(t, "/revoked/", has.Access)...)
			kept := both(t, "/kept/", has.Access)
			bySession := []held{connect(t, site, "Cookie", cookies), follow(t, site, "Cookie", cookies)}
			for _, one := range slices.Concat(byToken, kept, bySession) {
				if !one.alive() {
					t.Fatalf("%s: it is over before anything ended it", one.kind)
				}
			}
			c.end(t, "alice", has)
			if c.undo != nil {
				defer c.undo(t)
			}
			for _, one := range byToken {
				one.ends(t)
			}
			for _, one := range bySession {
				if c.session {
					one.ends(t)
				} else if !one.alive() {
					t.Errorf("%s: the session's ended with what it does not rest on", one.kind)
				}
			}
			for _, one := range kept {
				if !one.alive() {
					t.Errorf("%s: what is to be kept ended", one.kind)
				}
			}
		})
	}
	t.Run("the token's own end", func(t *testing.T) {
		got := send(t, http.MethodPost, h.issuer+"/token", basic("brief", machineSecret), form("grant_type", "client_credentials"))
		var has tokens
		if err := json.Unmarshal([]byte(got.Body), &has); err != nil || has.Access == "" {
			t.Fatal(got.Body)
		}
		longer := both(t, "/revoked/", has.Access)
		for _, one := range both(t, "", has.Access) {
			one.ends(t)
		}
		for _, one := range longer {
			if !one.alive() {
				t.Errorf("%s: it ended although nothing was revoked", one.kind)
			}
		}
	})
	for _, one := range untouched {
		if !one.alive() {
			t.Errorf("%s: a bystander's ended", one.kind)
		}
	}
}
