// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/gatehouse-id/gatehouse/tests/postgres"
)

// wire stands between a node and its database and counts the bytes that it carries.
type wire struct {
	// Dir is where the database seems to be.
	Dir string

	to             string
	listener       net.Listener
	sent, received atomic.Int64
	group          sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{} // guarded by mu
}

// socket is the name of the socket of a database in its folder.
const socket = ".s.PGSQL.5432"

// newWire puts a wire before the database in a folder.
func newWire(to string) (*wire, error) {
	dir, err := os.MkdirTemp("", "gw")
	if err != nil {
		return nil, err
	}
	w := &wire{Dir: dir, to: filepath.Join(to, socket), conns: map[net.Conn]struct{}{}}
	if w.listener, err = net.Listen("unix", filepath.Join(dir, socket)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	w.group.Go(w.serve)
	return w, nil
}

// dsn returns how to connect over the wire.
func (w *wire) dsn() string { return "host=" + w.Dir + " dbname=postgres user=" + postgres.User }

func (w *wire) serve() {
	for {
		from, err := w.listener.Accept()
		if err != nil {
			return // it was closed
		}
		to, err := net.Dial("unix", w.to)
		if err != nil {
			_ = from.Close() // who asks sees that nobody answers
			continue
		}
		w.hold(from, to)
		w.group.Go(func() { w.carry(to, from, &w.sent) })
		w.group.Go(func() { w.carry(from, to, &w.received) })
	}
}

func (w *wire) hold(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range conns {
		w.conns[conn] = struct{}{}
	}
}

// carry copies until either end hangs up, and then hangs up both.
func (w *wire) carry(to, from net.Conn, count *atomic.Int64) {
	_, _ = io.Copy(io.MultiWriter(counter{count}, to), from) // how it ended is for the ends
	_, _ = from.Close(), to.Close()
}

// counter counts what is written to it.
type counter struct{ n *atomic.Int64 }

// Write counts.
func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// close hangs up.
func (w *wire) close() error {
	err := w.listener.Close()
	w.mu.Lock()
	for conn := range w.conns {
		_ = conn.Close() // it may be closed already
	}
	w.mu.Unlock()
	w.group.Wait()
	return errors.Join(err, os.RemoveAll(w.Dir))
}
