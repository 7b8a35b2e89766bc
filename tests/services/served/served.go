// SPDX-License-Identifier: Apache-2.0

package served

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

// Limits.
const (
	// MaxBody bounds a request, in bytes: more than any of the services takes, so that too large is told from broken.
	MaxBody = 1 << 20
	// keep is how many requests are kept.
	keep = 10_000
)

// Config says what a server is.
type Config struct {
	// Authority vouches for the server. Required.
	Authority *loopback.Authority
	// Now dates requests. Required.
	Now func() time.Time
	// Handler answers what no step of the script does. Required.
	Handler http.Handler
	// Inbox is served below [loopback.InboxPath], unscripted and unrecorded.
	Inbox *loopback.Inbox
}

// Step is what one request is answered instead of the usual.
type Step struct {
	Status int
	Header map[string]string
	Body   string
	// Done has the usual be done before, and its answer thrown away: a service that fails after it has accepted.
	Done bool
	// Stall leaves the request without an answer, Reset breaks its stream off, Cut ends it in the middle of the answer.
	Stall, Reset, Cut bool
}

// Request is one request as it came.
type Request struct {
	At       time.Time
	Protocol int // of HTTP: 1 or 2
	Method   string
	URI      string
	Host     string
	Header   http.Header
	Body     []byte
}

// Server answers on a port of its own. It is safe for concurrent use.
type Server struct {
	// URL is the base of the service.
	URL string
	// Script is what happens to the next requests.
	Script loopback.Script[Step]

	config Config
	server *http.Server
	ended  chan struct{}
	end    sync.Once
	group  sync.WaitGroup

	mu          sync.Mutex
	requests    []Request
	connections int
	open        map[net.Conn]struct{}
}

// Start listens and answers until [Server.Close].
func Start(c Config) (*Server, error) {
	if c.Authority == nil || c.Now == nil || c.Handler == nil {
		return nil, errors.New("an authority, a clock and a handler are required")
	}
	leaf, err := c.Authority.Server()
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	s := &Server{
		URL: "https://" + listener.Addr().String(), config: c, ended: make(chan struct{}), open: map[net.Conn]struct{}{},
	}
	s.server = &http.Server{
		Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0), ConnState: s.count,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: tls.VersionTLS12, Time: c.Now},
	}
	s.group.Go(func() { _ = s.server.ServeTLS(listener, "", "") }) // it ends with Close
	return s, nil
}

func (s *Server) count(conn net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.connections++
		s.open[conn] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		delete(s.open, conn)
	}
}

// Close hangs up and waits for what is under way. It may be called again.
func (s *Server) Close() error {
	s.end.Do(func() { close(s.ended) })
	err := s.server.Close()
	s.Hangup()
	s.group.Wait()
	return err
}

// Hangup closes all connections.
func (s *Server) Hangup() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		_ = conn.Close()
	}
}

// Requests returns the requests so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Connections returns how many connections were opened so far.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if s.config.Inbox != nil && strings.HasPrefix(r.URL.Path, loopback.InboxPath) {
		s.config.Inbox.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		http.Error(w, "too large, or broken off", http.StatusRequestEntityTooLarge)
		return
	}
	s.record(Request{
		At: s.config.Now(), Protocol: r.ProtoMajor, Method: r.Method, URI: r.RequestURI, Host: r.Host, Header: r.Header.Clone(), Body: body,
	})
	r.Body = io.NopCloser(bytes.NewReader(body))
	if step, ok := s.Script.Next(); ok {
		s.play(step, w, r)
		return
	}
	s.config.Handler.ServeHTTP(w, r)
}

func (s *Server) record(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) < keep {
		s.requests = append(s.requests, r)
	}
}

func (s *Server) play(step Step, w http.ResponseWriter, r *http.Request) {
	if step.Done {
		s.config.Handler.ServeHTTP(&unheard{header: http.Header{}}, r)
	}
	if step.Stall {
		select {
		case <-r.Context().Done():
		case <-s.ended:
		}
	}
	if step.Stall || step.Reset {
		panic(http.ErrAbortHandler) // how a handler of net/http breaks off
	}
	for name, value := range step.Header {
		w.Header().Set(name, value)
	}
	if step.Cut {
		w.Header().Set("Content-Length", strconv.Itoa(len(step.Body)+100))
	}
	w.WriteHeader(step.Status)
	_, _ = io.WriteString(w, step.Body) // who is gone hears nothing
	if step.Cut {
		_ = http.NewResponseController(w).Flush() // likewise
		panic(http.ErrAbortHandler)
	}
}

// unheard takes an answer that nobody gets.
type unheard struct{ header http.Header }

func (u *unheard) Header() http.Header         { return u.header }
func (u *unheard) Write(p []byte) (int, error) { return len(p), nil }
func (u *unheard) WriteHeader(int)             {}
