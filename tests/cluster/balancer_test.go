// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// balancer sends each connection to the next node that takes it.
type balancer struct {
	listener net.Listener
	mu       sync.Mutex
	nodes    []string // guarded by mu
	next     int      // guarded by mu
	open     sync.WaitGroup
}

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	b := &balancer{listener: listener}
	b.open.Go(b.accept)
	t.Cleanup(func() {
		must(t, listener.Close())
		b.open.Wait()
	})
	return b
}

// port is what callers connect to.
func (b *balancer) port() string {
	_, port, _ := net.SplitHostPort(b.listener.Addr().String()) // which a listener has
	return port
}

func (b *balancer) add(node string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nodes = append(b.nodes, node)
}

// only has these nodes and no others.
func (b *balancer) only(nodes ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nodes = nodes
}

func (b *balancer) accept() {
	for {
		from, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.open.Go(func() { b.carry(from) })
	}
}

// choose connects to the next node that is there, each time from another address: what one address may begin is bounded, and callers are many.
func (b *balancer) choose() (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.nodes {
		b.next++
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+b.next%250))}}
		if to, err := from.Dial("tcp", b.nodes[b.next%len(b.nodes)]); err == nil {
			return to, nil
		}
	}
	return nil, errors.New("no node is there")
}

func (b *balancer) carry(from net.Conn) {
	defer from.Close()
	to, err := b.choose()
	if err != nil {
		return
	}
	defer to.Close()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			_, _ = io.Copy(way[1], way[0]) // however it ends, the other way is told
			if c, ok := way[1].(*net.TCPConn); ok {
				_ = c.CloseWrite()
			}
		})
	}
	both.Wait()
}
