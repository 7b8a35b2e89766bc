// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestHowSoonTheOthersKnow measures how long after a revocation was acknowledged by one node each of the others refuses the token. What is
// asserted is that they do; the figures are printed (go test -v).
func TestHowSoonTheOthersKnow(t *testing.T) {
	for _, test := range []struct {
		name, options string
		revocations   int
	}{
		{"with notices", "", 200},
		{"without", "notices off", 60},
	} {
		t.Run(test.name, func(t *testing.T) { // one after the other: they would measure each other
			c := startWith(t, 3, test.options)
			clients := []*http.Client{{Transport: new(http.Transport)}, {Transport: new(http.Transport)}, {Transport: new(http.Transport)}}
			var took []time.Duration
			for range test.revocations {
				took = append(took, c.revoked(clients)...)
			}
			slices.Sort(took)
			at := func(percent int) time.Duration { return took[(len(took)-1)*percent/100].Round(100 * time.Microsecond) }
			t.Logf("%d revocations, seen by two other nodes %s: p50 %s, p90 %s, p99 %s, longest %s",
				test.revocations, test.name, at(50), at(90), at(99), at(100))
		})
	}
}

// revoked has the first node revoke a token, and returns how soon each of the others refused it.
func (c *cluster) revoked(clients []*http.Client) []time.Duration {
	c.Helper()
	machine := url.Values{"grant_type": {"client_credentials"}, "client_id": {"machine"}, "client_secret": {machineSecret}}
	token := c.send(http.MethodPost, c.at(0, "/token"), machine, "").Access
	for node := range clients {
		if got := c.passes(clients[node], node, token); !got {
			c.Fatalf("node %d refuses a token that is good", node)
		}
	}
	revoke := url.Values{"token": {token}, "client_id": {"machine"}, "client_secret": {machineSecret}}
	if got := c.send(http.MethodPost, c.at(0, "/revoke"), revoke, ""); got.Status != http.StatusOK {
		c.Fatalf("revoking: %d %s", got.Status, got.Body)
	}
	began := time.Now()
	took := make([]time.Duration, len(clients)-1)
	var group sync.WaitGroup
	for i := range took {
		group.Go(func() {
			pause := time.NewTicker(2 * time.Millisecond) // so that who measures leaves something to what is measured
			defer pause.Stop()
			for ; c.passes(clients[i+1], i+1, token); <-pause.C {
				if took[i] = time.Since(began); took[i] > patience {
					c.Errorf("node %d goes on accepting what was revoked", i+1)
					return
				}
			}
			took[i] = time.Since(began)
		})
	}
	group.Wait()
	return took
}

// passes reports whether a node lets a token pass.
func (c *cluster) passes(client *http.Client, node int, token string) bool {
	request, err := http.NewRequestWithContext(c.Context(), http.MethodGet, c.at(node, "/api"), nil)
	if err != nil {
		c.Error(err)
		return false
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(request)
	if err != nil {
		c.Error(err)
		return false
	}
	_, _ = io.Copy(io.Discard, response.Body) // so that the connection is used again
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// leading is what a node logs that has become the one to do what one does for all.
const leading = "this node does what one does for all"

// leader returns the node that does what one does for all, among those that may.
func (c *cluster) leader(among ...int) (leader int) {
	c.Helper()
	c.until("somebody leads", func() bool {
		i := slices.IndexFunc(among, func(node int) bool { return strings.Contains(c.nodes[node].Log(), leading) })
		if i >= 0 {
			leader = among[i]
		}
		return i >= 0
	})
	return leader
}

// TestTheLeaderIsKilled: another node takes its place, and the one that comes back is one among the others. How long it took is printed.
func TestTheLeaderIsKilled(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	first := c.leader(0, 1, 2)
	others := slices.DeleteFunc([]int{0, 1, 2}, func(node int) bool { return node == first })
	for _, node := range others {
		if strings.Contains(c.nodes[node].Log(), leading) {
			t.Fatalf("nodes %d and %d lead", first, node)
		}
	}
	must(t, c.nodes[first].Kill())
	began := time.Now()
	second := c.leader(others...)
	t.Logf("node %d was killed with kill -9, node %d leads after %s", first, second, time.Since(began).Round(10*time.Millisecond))
	must(t, c.nodes[first].Restart(t.Context()))
	must(t, c.nodes[second].Stop())
	began = time.Now()
	third := c.leader(slices.DeleteFunc([]int{0, 1, 2}, func(node int) bool { return node == second })...)
	t.Logf("node %d was stopped, node %d leads after %s", second, third, time.Since(began).Round(10*time.Millisecond))
}
