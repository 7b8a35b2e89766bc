// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestOneGateway: nodes that make their tables at the same moment are one issuer and one gate, whichever is asked.
func TestOneGateway(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	has := c.login()
	keys := c.send(http.MethodGet, c.at(0, "/jwks"), nil, "").Body
	for node := range c.nodes {
		if got := c.send(http.MethodGet, c.at(node, "/jwks"), nil, "").Body; got != keys {
			t.Errorf("node %d has other keys: %s", node, got)
		}
		if got := c.send(http.MethodGet, c.at(node, "/api"), nil, has.Access); got.Status != http.StatusOK || !strings.HasPrefix(got.Body, "hello ") {
			t.Errorf("node %d refuses the token: %d %s", node, got.Status, got.Body)
		}
	}
	for range 6 {
		if has = c.send(http.MethodPost, c.issuer+"/token", refreshing(has.Refresh), ""); has.Refresh == "" {
			t.Fatalf("the app has to begin again: %d %s", has.Status, has.Body)
		}
	}
	revoke := url.Values{"token": {has.Refresh}, "client_id": {"mobile"}}
	if got := c.send(http.MethodPost, c.at(0, "/revoke"), revoke, ""); got.Status != http.StatusOK {
		t.Fatalf("revoking: %d %s", got.Status, got.Body)
	}
	if got := c.send(http.MethodGet, c.at(0, "/api"), nil, has.Access); got.Status != http.StatusUnauthorized {
		t.Errorf("the node that has revoked lets the token pass: %d", got.Status)
	}
	for node := range c.nodes {
		if got := c.send(http.MethodPost, c.at(node, "/token"), refreshing(has.Refresh), ""); got.Error != "invalid_grant" {
			t.Errorf("node %d refreshes what was revoked: %d %s", node, got.Status, got.Body)
		}
		c.until("node "+strconv.Itoa(node)+" refuses the token", func() bool {
			return c.send(http.MethodGet, c.at(node, "/api"), nil, has.Access).Status == http.StatusUnauthorized
		})
	}
}

// atOnce sends a request a thousand times to two nodes, as many of them at the same moment as connections can be had, and returns the answers.
func (c *cluster) atOnce(path string, form url.Values) []*answer {
	c.Helper()
	const callers, times = 50, 20
	answers := make([]*answer, callers*times)
	var ready, group sync.WaitGroup
	ready.Add(1)
	for i := range callers {
		group.Go(func() {
			ready.Wait()
			for n := i; n < len(answers); n += callers {
				answers[n] = c.send(http.MethodPost, c.at(n%2, path), form, "")
			}
		})
	}
	ready.Done()
	group.Wait()
	return answers
}

// TestOneWinner: of a thousand who redeem a code at two nodes one has tokens; of a thousand who refresh with a token all have the same next one,
// within the grace, or none; and of those who rotate the keys at the same moment every one finds what the others have done.
func TestOneWinner(t *testing.T) {
	t.Parallel()
	c := start(t, 2)
	code := c.code()
	won, refused := 0, 0
	for _, got := range c.atOnce("/token", redeeming(code)) {
		switch {
		case got.Access != "":
			won++
		case got.Error == "invalid_grant":
			refused++
		default:
			t.Errorf("redeeming: %d %s", got.Status, got.Body)
		}
	}
	if won != 1 || refused != 999 {
		t.Errorf("%d have tokens, %d were refused", won, refused)
	}

	has := c.login()
	next := map[string]bool{}
	for _, got := range c.atOnce("/token", refreshing(has.Refresh)) {
		if got.Refresh == "" {
			t.Fatalf("refreshing: %d %s", got.Status, got.Body)
		}
		next[got.Refresh] = true
	}
	if len(next) != 1 || next[has.Refresh] {
		t.Errorf("%d tokens come after one", len(next))
	}
	for token := range next {
		has.Refresh = token
	}
	if got := c.send(http.MethodPost, c.at(1, "/token"), refreshing(has.Refresh), ""); got.Refresh == "" {
		t.Errorf("the one that came after is refused: %d %s", got.Status, got.Body)
	}
	c.rotates(has)
}

// rotates has both nodes rotate their keys again and again at the same moment: they sign with one key afterwards, which both publish.
func (c *cluster) rotates(has *answer) {
	c.Helper()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			node := c.nodes[i%2]
			said, err := node.Command(c.Context(), "keys", "rotate", "--force", "--address", node.Socket()).CombinedOutput()
			if err != nil && !strings.Contains(string(said), "conflict") {
				c.Errorf("node %d rotates: %v %s", i%2, err, said)
			}
		})
	}
	group.Wait()
	type key struct{ KID, Alg, State string }
	var lists [2][]key
	c.until("both nodes have the same keys", func() bool {
		for i, node := range c.nodes {
			listed, err := node.Command(c.Context(), "keys", "list", "--json", "--address", node.Socket()).Output()
			must(c, err)
			lists[i] = nil
			must(c, json.Unmarshal(listed, &lists[i]))
		}
		return slices.Equal(lists[0], lists[1])
	})
	active := map[string]int{}
	for _, k := range lists[0] {
		if k.State == "active" {
			active[k.Alg]++
		}
	}
	if len(active) != 2 || active["ES256"] != 1 || active["RS256"] != 1 {
		c.Errorf("active keys: %v", active)
	}
	for node := range c.nodes {
		if got := c.send(http.MethodGet, c.at(node, "/api"), nil, has.Access); got.Status != http.StatusOK {
			c.Errorf("node %d refuses what was signed before: %d %s", node, got.Status, got.Body)
		}
	}
}

// TestAKilledNode: what a node has acknowledged before it was killed stands, and nobody waits for it.
func TestAKilledNode(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	apps := make([]*answer, 6)
	for i := range apps {
		apps[i] = c.login()
	}
	stop := make(chan struct{})
	var began, group sync.WaitGroup
	began.Add(len(apps))
	for i := range apps {
		group.Go(func() {
			begin := sync.OnceFunc(began.Done)
			defer begin()
			for last := false; !last; {
				select {
				case <-stop:
					last = true
				default:
				}
				// A connection to the node that dies is cut: the app asks again with what it has, as apps do.
				if got := c.send(http.MethodPost, c.issuer+"/token", refreshing(apps[i].Refresh), ""); got.Refresh != "" {
					apps[i] = got
				} else if got.Status != 0 {
					t.Errorf("app %d: %d %s", i, got.Status, got.Body)
					return
				}
				begin()
			}
		})
	}
	began.Wait()
	must(t, c.nodes[1].Kill())
	for range 3 {
		c.login()
	}
	must(t, c.nodes[1].Restart(t.Context()))
	close(stop)
	group.Wait()
	for i, app := range apps {
		for node := range c.nodes {
			if got := c.send(http.MethodGet, c.at(node, "/api"), nil, app.Access); got.Status != http.StatusOK {
				t.Errorf("node %d refuses app %d: %d %s", node, i, got.Status, got.Body)
			}
		}
	}
}

// TestTheDatabaseIsRestarted: while there is no database the gate goes on, whatever has to write says when to come again, and nobody has
// to do anything when it is back.
func TestTheDatabaseIsRestarted(t *testing.T) {
	t.Parallel()
	c := start(t, 2)
	has := c.login()
	c.database.Stop(t)
	machine := url.Values{"grant_type": {"client_credentials"}, "client_id": {"machine"}, "client_secret": {machineSecret}}
	for node := range c.nodes {
		if got := c.send(http.MethodGet, c.at(node, "/api"), nil, has.Access); got.Status != http.StatusOK {
			t.Errorf("node %d refuses a token that it can judge: %d %s", node, got.Status, got.Body)
		}
		got := c.send(http.MethodPost, c.at(node, "/token"), refreshing(has.Refresh), "")
		if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || strings.Contains(got.Body, "pg") {
			t.Errorf("node %d: %d %v %s", node, got.Status, got.Header, got.Body)
		}
		c.until(fmt.Sprintf("node %d says that it is unwell", node), func() bool { return !c.well(node) })
	}
	c.database.Restart(t)
	for node := range c.nodes {
		c.until(fmt.Sprintf("node %d is well", node), func() bool { return c.well(node) })
		if got := c.send(http.MethodPost, c.at(node, "/token"), machine, ""); got.Access == "" {
			t.Errorf("node %d issues nothing: %d %s", node, got.Status, got.Body)
		}
	}
	if again := c.send(http.MethodPost, c.issuer+"/token", refreshing(has.Refresh), ""); again.Refresh == "" {
		t.Errorf("the app has to begin again: %d %s", again.Status, again.Body)
	}
}

// well asks a node how it is.
func (c *cluster) well(node int) bool {
	return c.nodes[node].Command(c.Context(), "health", "--address", c.nodes[node].Socket()).Run() == nil
}

// TestOneSealKey: a node with another key, or none, does not start.
func TestOneSealKey(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	must(t, c.nodes[0].Stop())
	for _, key := range []string{"", "seal_key AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="} {
		with := c.nodes[0].Caddyfile
		c.nodes[0].Caddyfile = func(addresses []string) string {
			return strings.Replace(with(addresses), "seal_key {env.GATEHOUSE_SEAL_KEY}", key, 1)
		}
		err := c.nodes[0].Restart(t.Context())
		if err == nil || !strings.Contains(err.Error(), "seal") {
			t.Errorf("with %q it says: %v", key, err)
		}
		c.nodes[0].Caddyfile = with
	}
}
