// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Wire stands between a store and its server, on loopback, and does to what passes what a test tells it to.
type Wire struct {
	t               testing.TB
	config          *pgx.ConnConfig
	network, server string
	listener        net.Listener
	pumps           sync.WaitGroup

	mu     sync.Mutex
	rule   func(*Message) bool
	trips  func(*Trip) bool
	secret *tls.Config  // when set, the store has to speak TLS
	damage func([]byte) // of what is sent to the store, beneath TLS
	ends   map[net.Conn]struct{}
	served int
	closed bool
}

// New returns a wire to the server of a DSN. It is gone with the test.
func New(t testing.TB, dsn string) *Wire {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	must(t, err)
	w := &Wire{t: t, config: config, ends: map[net.Conn]struct{}{}}
	w.network, w.server = pgconn.NetworkAddress(config.Host, config.Port)
	w.listener, err = net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w.pumps.Go(w.accept)
	t.Cleanup(func() {
		_ = w.listener.Close() // it may be gone already
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
		w.Cut()
		w.pumps.Wait()
	})
	return w
}

// DSN returns how to connect over the wire.
func (w *Wire) DSN(more string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d dbname=%s user=%s password='%s' %s", w.listener.Addr().(*net.TCPAddr).Port,
		cmp.Or(w.config.Database, w.config.User), w.config.User, w.config.Password, cmp.Or(more, "sslmode=disable"))
}

// Set has a rule look at each message. It returns whether the message is sent on; where it is not, the connection is cut. A rule that
// waits holds up its connection, and no other. None lets everything pass.
func (w *Wire) Set(rule func(*Message) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rule = rule
}

// SetTrips has a rule look at each half of a round trip, before any of it is sent on, as that of [Wire.Set] does at messages.
func (w *Wire) SetTrips(rule func(*Trip) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trips = rule
}

// Alter has what is sent to the store changed, beneath TLS.
func (w *Wire) Alter(damage func([]byte)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.damage = damage
}

// Cut ends all connections.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for end := range w.ends {
		_ = end.Close() // both of its pumps do so as well
	}
}

func (w *Wire) accept() {
	for {
		conn, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.pumps.Go(func() {
			if err := w.serve(conn); err != nil && !errors.Is(err, net.ErrClosed) {
				w.t.Logf("a connection over the wire: %v", err)
			}
		})
	}
}

// keep notes the ends of a connection, or closes them when the wire is gone. It returns the connection's number.
func (w *Wire) keep(conns ...net.Conn) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range conns {
		if w.closed {
			_ = conn.Close() // nobody is there any more
		}
		w.ends[conn] = struct{}{}
	}
	w.served++
	return w.served
}

func (w *Wire) serve(store net.Conn) error {
	server, err := new(net.Dialer).DialContext(context.Background(), w.network, w.server)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	number := w.keep(store, server)
	defer func() {
		_, _ = store.Close(), server.Close() // which ends the other pump
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.ends, store)
		delete(w.ends, server)
	}()
	near := store
	w.mu.Lock()
	secret := w.secret
	w.mu.Unlock()
	if secret != nil {
		request := make([]byte, 8)
		if _, err := io.ReadFull(store, request); err != nil {
			return nil
		}
		if _, err := store.Write([]byte("S")); err != nil {
			return nil
		}
		near = tls.Server(damaged{store, w}, secret)
	}
	var both sync.WaitGroup
	for _, p := range []*pump{
		{w: w, conn: number, from: near, to: server, statements: map[string]string{}},
		{w: w, conn: number, from: server, to: near, answer: true},
	} {
		both.Go(func() {
			p.run()
			_, _ = store.Close(), server.Close()
		})
	}
	both.Wait()
	return nil
}

// pump carries what passes one way.
type pump struct {
	w          *Wire
	conn       int
	from, to   io.ReadWriter
	answer     bool
	statements map[string]string
	trip       []*Message // that has not ended yet
}

// run ends when one of the ends is gone or a rule says so.
func (p *pump) run() {
	for first := !p.answer; ; first = false {
		m, err := receive(p.from, first)
		if err != nil {
			return
		}
		m.Answer = p.answer
		m.about(p.statements)
		p.w.mu.Lock()
		rule, trips := p.w.rule, p.w.trips
		p.w.mu.Unlock()
		if rule != nil && !rule(m) || !p.pass(m, trips) {
			return
		}
	}
}

// pass sends a message on: at once, or with the trip that it belongs to.
func (p *pump) pass(m *Message, trips func(*Trip) bool) bool {
	p.trip = append(p.trip, m)
	whole := m.ends()
	if trips != nil && !whole && m.more() {
		return true
	}
	ready := p.trip
	p.trip = nil
	if trip := (&Trip{Conn: p.conn, Answer: p.answer, Messages: ready}); trips != nil && whole && !trips(trip) {
		_, _ = p.to.Write(trip.Part) // there is nobody to be told
		return false
	}
	var all []byte
	for _, m := range ready {
		all = append(all, m.Raw...)
	}
	_, err := p.to.Write(all)
	return err == nil
}

// damaged is the store's end of a wire, which damages what is sent to it.
type damaged struct {
	net.Conn
	w *Wire
}

func (d damaged) Write(sent []byte) (int, error) {
	bytes := slices.Clone(sent)
	d.w.mu.Lock()
	if d.w.damage != nil {
		d.w.damage(bytes)
	}
	d.w.mu.Unlock()
	return d.Conn.Write(bytes)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
