// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

const issuer = "https://auth.example.com"

var start = time.Unix(1_767_225_600, 0).UTC() // 2026-01-01

var drawn sync.Map

// testKey is drawn once per name.
func testKey(tb testing.TB, name string) jose.PrivateKey {
	tb.Helper()
	draw, _ := drawn.LoadOrStore(name, sync.OnceValues(func() (jose.PrivateKey, error) { return jose.GenerateKey(jose.ES256) }))
	k, err := draw.(func() (jose.PrivateKey, error))()
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func jwks(tb testing.TB, keys ...jose.PrivateKey) []byte {
	tb.Helper()
	var public []jose.PublicKey
	for _, k := range keys {
		public = append(public, k.Public())
	}
	data, err := jose.MarshalSet(public)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// clock is a clock that stands still until it is told.
type clock struct{ now atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.now.Store(start.UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.now.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.now.Add(int64(d)) }

// server is an issuer whose every answer is in the test's hands. Its client reaches it under every subdomain of
// example.com.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]http.HandlerFunc
	seen    []string // by the server
	sent    []string // by the client, whether or not anything was there
}

// client reaches the server and notes every address that it is sent to.
func (s *server) client() *http.Client {
	c := *s.Client()
	c.Transport = recording{s, c.Transport}
	return &c
}

type recording struct {
	*server
	http.RoundTripper
}

// RoundTrip notes the address before anything is dialed.
func (r recording) RoundTrip(request *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.sent = append(r.sent, request.URL.String())
	r.mu.Unlock()
	return r.RoundTripper.RoundTrip(request)
}

func newServer(tb testing.TB) *server {
	tb.Helper()
	s := &server{answers: map[string]http.HandlerFunc{}}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Host+r.URL.RequestURI())
		answer := s.answers[r.URL.Path]
		s.mu.Unlock()
		if answer == nil {
			http.NotFound(w, r)
			return
		}
		answer(w, r)
	}))
	tb.Cleanup(s.Close)
	return s
}

// on sets what a path answers.
func (s *server) on(path string, answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path] = answer
}

// requests returns how many requests came in, and forgets them.
func (s *server) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.seen)
	s.seen = nil
	return n
}

// addresses returns where the client sent requests.
func (s *server) addresses() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.sent...)
}

func body(data []byte, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		_, _ = w.Write(data)
	}
}

func object(tb testing.TB, v any, header ...string) http.HandlerFunc {
	tb.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return body(data, header...)
}

// answering answers with a status and a body that does not go with it.
func answering(code int, answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(code)
		answer(w, r)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}
