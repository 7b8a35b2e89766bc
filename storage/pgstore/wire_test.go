// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/binary"
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

// wire stands between a store and its server, on loopback, and does to what passes what a test tells it to.
type wire struct {
	t               testing.TB
	config          *pgx.ConnConfig
	network, server string
	listener        net.Listener
	pumps           sync.WaitGroup

	mu     sync.Mutex
	rule   func(*message) bool
	secret *tls.Config  // when set, the store has to speak TLS
	damage func([]byte) // of what is sent to the store, beneath TLS
	ends   map[net.Conn]struct{}
	closed bool
}

// message is one of the protocol. A rule may change what of it is sent on.
type message struct {
	answer bool   // of the server's
	kind   byte   // 0 is what a connection begins with
	sql    string // what a 'P', a 'B' or a 'Q' is about
	raw    []byte
}

// committed reports whether the server says that it has committed.
func (m *message) committed() bool {
	return m.answer && m.kind == 'C' && bytes.Equal(m.raw[5:], []byte("COMMIT\x00"))
}

// runs reports whether the store has a statement run that begins so.
func (m *message) runs(sql string) bool {
	return !m.answer && m.kind == 'B' && len(m.sql) >= len(sql) && m.sql[:len(sql)] == sql
}

// newWire returns a wire to the server of a DSN.
func newWire(t testing.TB, dsn string) *wire {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	must(t, err)
	w := &wire{t: t, config: config, ends: map[net.Conn]struct{}{}}
	w.network, w.server = pgconn.NetworkAddress(config.Host, config.Port)
	w.listener, err = net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w.pumps.Go(w.accept)
	t.Cleanup(func() {
		_ = w.listener.Close() // it may be gone already
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
		w.cut()
		w.pumps.Wait()
	})
	return w
}

// dsn returns how to connect over the wire.
func (w *wire) dsn(more string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d dbname=%s user=%s password='%s' %s", w.listener.Addr().(*net.TCPAddr).Port,
		cmp.Or(w.config.Database, w.config.User), w.config.User, w.config.Password, cmp.Or(more, "sslmode=disable"))
}

// set has a rule look at each message. It returns whether the message is sent on; where it is not, the connection is cut. A rule that
// waits holds up its connection, and no other.
func (w *wire) set(rule func(*message) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rule = rule
}

// cut ends all connections.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for end := range w.ends {
		_ = end.Close() // both of its pumps do so as well
	}
}

func (w *wire) accept() {
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

// keep notes an end, or closes it when the wire is gone.
func (w *wire) keep(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range conns {
		if w.closed {
			_ = conn.Close() // nobody is there any more
		}
		w.ends[conn] = struct{}{}
	}
}

func (w *wire) serve(store net.Conn) error {
	server, err := new(net.Dialer).DialContext(context.Background(), w.network, w.server)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	w.keep(store, server)
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
	for _, pump := range []struct {
		from, to net.Conn
		answer   bool
	}{{near, server, false}, {server, near, true}} {
		both.Go(func() {
			w.pump(pump.from, pump.to, pump.answer)
			_, _ = store.Close(), server.Close()
		})
	}
	both.Wait()
	return nil
}

// pump carries messages one way until one of the ends is gone or a rule says so.
func (w *wire) pump(from, to net.Conn, answer bool) {
	statements := map[string]string{}
	for first := !answer; ; first = false {
		m, err := receive(from, first)
		if err != nil {
			return
		}
		m.answer = answer
		m.about(statements)
		w.mu.Lock()
		rule := w.rule
		w.mu.Unlock()
		if rule != nil && !rule(m) {
			return
		}
		if _, err := to.Write(m.raw); err != nil {
			return
		}
	}
}

// receive reads a message. The first of a connection has no kind.
func receive(from io.Reader, first bool) (*message, error) {
	head := make([]byte, 5)
	if first {
		head = head[1:]
	}
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	m := &message{raw: head}
	if !first {
		m.kind = head[0]
	}
	body := make([]byte, binary.BigEndian.Uint32(head[len(head)-4:])-4)
	_, err := io.ReadFull(from, body)
	m.raw = append(m.raw, body...)
	return m, err
}

// about finds out which statement a message of the store's is about.
func (m *message) about(statements map[string]string) {
	if m.answer || m.kind == 0 {
		return
	}
	texts := bytes.SplitN(m.raw[5:], []byte{0}, 3)
	switch {
	case m.kind == 'Q':
		m.sql = string(texts[0])
	case m.kind == 'P':
		m.sql = string(texts[1])
		statements[string(texts[0])] = m.sql
	case m.kind == 'B':
		m.sql = statements[string(texts[1])]
	}
}

// damaged is the store's end of a wire, which damages what is sent to it.
type damaged struct {
	net.Conn
	w *wire
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
