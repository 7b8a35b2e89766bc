// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config says whom a proxy serves.
type Config struct {
	// User and Password are asked for where User is not empty (Basic, RFC 9110, section 11.7.1).
	User, Password string
}

// Proxy listens on a port of its own. It is safe for concurrent use.
type Proxy struct {
	// URL is its address, with user and password where it asks for them.
	URL *url.URL

	credentials string
	server      *http.Server
	cancel      context.CancelFunc
	group       sync.WaitGroup
	refusal     atomic.Int32
	carried     atomic.Int64

	mu    sync.Mutex
	asked []string
}

// Start listens and connects until [Proxy.Close].
func Start(c Config) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{URL: &url.URL{Scheme: "http", Host: listener.Addr().String()}, cancel: cancel}
	if c.User != "" {
		p.URL.User = url.UserPassword(c.User, c.Password)
		p.credentials = "Basic " + base64.StdEncoding.EncodeToString([]byte(c.User+":"+c.Password))
	}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return ctx }}
	p.group.Go(func() { _ = p.server.Serve(listener) }) // it ends with Close
	return p, nil
}

// Close hangs up everything that it carries.
func (p *Proxy) Close() error {
	p.cancel()
	err := p.server.Close()
	p.group.Wait()
	return err
}

// Refuse has the proxy answer with a status instead of connecting; zero has it connect again. Connections that it carries stay.
func (p *Proxy) Refuse(status int) { p.refusal.Store(int32(status)) } //nolint:gosec // three digits

// Asked returns the hosts that it was asked for, in their order.
func (p *Proxy) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// Carried returns how many bytes went either way.
func (p *Proxy) Carried() int64 { return p.carried.Load() }

// ServeHTTP answers CONNECT and nothing else.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, r.Host)
	p.mu.Unlock()
	if p.credentials != "" && r.Header.Get("Proxy-Authorization") != p.credentials {
		w.Header().Set("Proxy-Authenticate", `Basic realm="proxy"`)
		http.Error(w, "who are you?", http.StatusProxyAuthRequired)
		return
	}
	if status := p.refusal.Load(); status != 0 {
		http.Error(w, "no", int(status))
		return
	}
	p.connect(w, r)
}

func (p *Proxy) connect(w http.ResponseWriter, r *http.Request) {
	if at, err := netip.ParseAddrPort(r.Host); err != nil || !at.Addr().IsLoopback() {
		http.Error(w, "tests stay on this host", http.StatusForbidden)
		return
	}
	var dialer net.Dialer
	target, err := dialer.DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		http.Error(w, "nobody is there", http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = target.Close()
		return
	}
	stop := context.AfterFunc(r.Context(), func() { _ = client.Close(); _ = target.Close() })
	defer stop()
	p.group.Go(func() { p.carry(target, buffered); _ = target.Close() })
	p.carry(client, target)
	_ = client.Close()
}

// carry counts while it copies, so that what is on its way is counted too.
func (p *Proxy) carry(to io.Writer, from io.Reader) {
	_, _ = io.Copy(io.MultiWriter(to, counter{&p.carried}), from) // it ends when one side hangs up
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(data []byte) (int, error) {
	c.n.Add(int64(len(data)))
	return len(data), nil
}
