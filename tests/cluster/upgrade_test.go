// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"

	installed "github.com/gatehouse-id/gatehouse/authz/native/client/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/tests/faces"
	"github.com/gatehouse-id/gatehouse/tests/program"
)

// inTurn sends what is for the cluster to these nodes, one request after the other.
func (c *cluster) inTurn(nodes ...int) *http.Client {
	var sent atomic.Int64
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		node := nodes[int(sent.Add(1)-1)%len(nodes)]
		return new(net.Dialer).DialContext(ctx, network, c.nodes[node].Addresses[0])
	}
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}, Timeout: patience}
}

// people are those who use a cluster while its nodes are upgraded, with what they were given.
type people struct {
	*cluster
	tokens  []*answer        // of apps that refresh
	gone    *answer          // revoked
	spent   string           // a code that was redeemed
	app     *faces.App       // which has logged in
	phone   *device.Device   // of alice
	user    string           // who she is
	install installed.Folder // of a device with a certificate
}

// settle has people log in, register a phone and get a certificate, at the nodes in turn.
func (c *cluster) settle() *people {
	c.Helper()
	p := &people{cluster: c, install: installed.Folder(c.TempDir())}
	for i := range 4 {
		p.tokens = append(p.tokens, c.alice(i%2, "accounts:read payments:write"))
	}
	p.gone, p.user = c.alice(0, "accounts:read"), c.subject(p.tokens[0].Access)
	c.revoke(0, p.gone)
	p.app = c.appAt(c.inTurn(0, 1))
	p.app.Ask("scope", "openid offline_access accounts:read").Asks("password")
	p.spent = p.app.Answer(faces.ByPassword("alice", password)).Granted()
	c.redeem(1, p.spent)
	p.phone = c.phone(0, p.user)
	p.device(0, p.install)
	return p
}

func (c *cluster) revoke(node int, had *answer) {
	c.Helper()
	form := url.Values{"token": {had.Refresh}, "client_id": {"mobile"}}
	if got := c.send(http.MethodPost, c.at(node, "/revoke"), form, ""); got.Status != http.StatusOK {
		c.Errorf("revoking at node %d: %d %s", node, got.Status, got.Body)
	}
}

func (c *cluster) redeem(node int, code string) *answer {
	c.Helper()
	got := c.send(http.MethodPost, c.at(node, "/token"), redeeming(code), "")
	if got.Refresh == "" {
		c.Errorf("a code at node %d: %d %s", node, got.Status, got.Body)
	}
	return got
}

// code logs alice in, with the nodes in turn, and returns a code.
func (p *people) code(nodes ...int) string {
	p.Helper()
	a := p.appAt(p.inTurn(nodes...))
	a.Ask("scope", "openid offline_access accounts:read").Asks("password")
	return a.Answer(faces.ByPassword("alice", password)).Granted()
}

func (p *people) device(node int, folder installed.Folder) {
	p.Helper()
	if status, _, err := p.onDevice(node, folder); err != nil || status != http.StatusOK {
		p.Errorf("node %d answers a device: %d, %v", node, status, err)
	}
}

// goOn has everybody go on at one node with what another has given: nobody has to log in again.
func (p *people) goOn(node int) {
	p.Helper()
	for i, has := range p.tokens {
		if got := p.send(http.MethodGet, p.at(node, "/api"), nil, has.Access); got.Status != http.StatusOK {
			p.Errorf("node %d refuses the token of app %d: %d %s", node, i, got.Status, got.Body)
		}
		got := p.send(http.MethodPost, p.at(node, "/token"), refreshing(has.Refresh), "")
		if got.Refresh == "" {
			p.Fatalf("node %d has app %d begin again: %d %s", node, i, got.Status, got.Body)
		}
		p.tokens[i] = got
	}
	if got := p.send(http.MethodPost, p.at(node, "/token"), refreshing(p.gone.Refresh), ""); got.Error != "invalid_grant" {
		p.Errorf("node %d refreshes what was revoked: %d %s", node, got.Status, got.Body)
	}
	if got := p.send(http.MethodPost, p.at(node, "/token"), redeeming(p.spent), ""); got.Error != "invalid_grant" {
		p.Errorf("node %d redeems a code again: %d %s", node, got.Status, got.Body)
	}
	p.device(node, p.install)
}

// across has what is begun at one node end at another.
func (p *people) across(from, to int) {
	p.Helper()
	p.redeem(from, p.code(from, to)) // a login
	p.redeem(to, p.code(from))       // a code
	a := p.appAt(p.inTurn(from, to, to))
	a.Ask("scope", "openid offline_access accounts:read").Asks("password")
	a.Answer(faces.ByPassword("alice", password)).Granted()
	p.redeem(to, a.Ask("scope", "openid offline_access accounts:read").Granted()) // a session

	gone := p.redeem(from, p.code(from))
	p.revoke(from, gone)
	if got := p.send(http.MethodPost, p.at(to, "/token"), refreshing(gone.Refresh), ""); got.Error != "invalid_grant" {
		p.Errorf("node %d refreshes what node %d has revoked: %d %s", to, from, got.Status, got.Body)
	}
	p.until("the other node refuses what was revoked", func() bool {
		return p.send(http.MethodGet, p.at(to, "/api"), nil, gone.Access).Status == http.StatusUnauthorized
	})

	p.held(from, p.to(to), p.tokens[0].Access) // a question
	folder := installed.Folder(p.TempDir())
	p.device(from, folder) // a certificate
	p.device(to, folder)
	p.rotate(from, to)
}

// to is the phone, as it speaks to one node.
func (p *people) to(node int) *device.Device {
	p.Helper()
	phone, err := device.Open(p.Context(), p.phoneAt(node), p.phone.State())
	must(p, err)
	return phone
}

// rotate has one node sign with the next key, and wants its tokens accepted by another.
func (p *people) rotate(from, to int) {
	p.Helper()
	keys := p.nodes[from].Command(p.Context(), "keys", "rotate", "--force", "--address", p.nodes[from].Socket())
	if said, err := keys.CombinedOutput(); err != nil {
		p.Fatalf("rotating: %v: %s", err, said)
	}
	for _, way := range [][2]int{{from, to}, {to, from}} {
		machine := url.Values{"grant_type": {"client_credentials"}, "client_id": {"machine"}, "client_secret": {machineSecret}}
		token := p.send(http.MethodPost, p.at(way[0], "/token"), machine, "").Access
		if got := p.send(http.MethodGet, p.at(way[1], "/api"), nil, token); got.Status != http.StatusOK {
			p.Errorf("node %d refuses what node %d has signed: %d %s", way[1], way[0], got.Status, got.Body)
		}
	}
}

// change has a node run another program, while the others go on.
func (c *cluster) change(node int, program string) {
	c.Helper()
	must(c, c.nodes[node].Stop())
	c.nodes[node].Path = program
	must(c, c.nodes[node].Restart(c.Context()))
}

// TestRollingUpgrade: nodes of the build before and of this one run side by side on one database. Each is upgraded while the other goes on;
// what one has written the other reads, both ways; nobody has to log in again, and nothing fails. The way back is the same.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	old := formerProgram(t)
	c := startWith(t, 0, "", "bob", "carol")
	for range 2 {
		c.join(c.nodeWith(withPhones, func(p *program.Config) { p.Path = old }))
	}
	p := c.settle()
	l := &callers{cluster: c, stop: make(chan struct{})}
	phases := []string{"both are of the build before", "one is upgraded", "both are upgraded", "one goes back"}
	phase := func(i int) {
		if i > 0 {
			l.enough(phases[i-1], 20)
		}
		l.enter(phases[i])
	}
	phase(0)
	for _, user := range []string{"bob", "carol"} {
		l.group.Go(func() { l.live(user) })
	}
	held := p.code(0, 1)
	phase(1)
	c.change(0, binary)
	p.tokens = append(p.tokens, p.redeem(0, held))
	for _, way := range [][2]int{{0, 1}, {1, 0}} {
		p.goOn(way[0])
		p.across(way[0], way[1])
	}
	p.goOn(0) // with what the former node has written over what the other had
	phase(2)
	c.change(1, binary)
	for node := range c.nodes {
		p.goOn(node)
	}
	phase(3)
	c.change(0, old)
	p.goOn(0)
	p.across(0, 1)
	p.goOn(1)
	l.enough(phases[3], 20)
	l.end(phases...)
	c.change(0, binary)
	p.goOn(0)
	p.inOrder()
}
