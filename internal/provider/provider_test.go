// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/provider"
)

// service is a server with HTTP/2 that counts its connections.
type service struct {
	*httptest.Server
	connections atomic.Int32
	closed      chan struct{} // one for each connection that is over, as far as it holds
	roots       *x509.CertPool
}

func serve(t *testing.T, handler http.HandlerFunc) *service {
	t.Helper()
	s := &service{Server: httptest.NewUnstartedServer(handler), roots: x509.NewCertPool(), closed: make(chan struct{}, 100)}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that hang up are what is tested
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
		if state == http.StateClosed {
			select {
			case s.closed <- struct{}{}:
			default:
			}
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	s.roots.AddCert(s.Certificate())
	return s
}

func client(t *testing.T, c provider.Config) *provider.Client {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = time.Minute // a busy machine is no failure
	}
	made, err := provider.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return made
}

func get(t *testing.T, c *provider.Client, address string) (int, string, error) {
	t.Helper()
	return getWithin(t.Context(), c, address)
}

func getWithin(ctx context.Context, c *provider.Client, address string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := c.HTTP().Do(r)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), errors.Join(err, response.Body.Close())
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	const good = "https://push.example.com"
	for _, tt := range []struct {
		name   string
		config provider.Config
	}{
		{"no address", provider.Config{}},
		{"no host", provider.Config{URL: "https://"}},
		{"plain http", provider.Config{URL: "http://secret.example.com"}},
		{"user information", provider.Config{URL: "https://secret@push.example.com"}},
		{"a query", provider.Config{URL: good + "/?secret"}},
		{"an empty query", provider.Config{URL: good + "?"}},
		{"a fragment", provider.Config{URL: good + "#secret"}},
		{"a slash at the end", provider.Config{URL: good + "/"}},
		{"no URL", provider.Config{URL: "https://secret%zz"}},
		{"a proxy that is none", provider.Config{URL: good, Proxy: &url.URL{Scheme: "socks5", Host: "secret"}}},
		{"a proxy without host", provider.Config{URL: good, Proxy: &url.URL{Scheme: "http"}}},
		{"a proxy with a path", provider.Config{URL: good, Proxy: &url.URL{Scheme: "http", Host: "p", Path: "/secret"}}},
		{"a negative time-out", provider.Config{URL: good, Timeout: -1}},
		{"too many places", provider.Config{URL: good, Places: provider.MaxPlaces + 1}},
		{"a negative number of places", provider.Config{URL: good, Places: -1}},
		{"answers of negative size", provider.Config{URL: good, MaxAnswer: -1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := provider.New(tt.config)
			if err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("New = %v, want an error that repeats nothing", err)
			}
		})
	}
	for _, address := range []string{good, "https://push.example.com:2197", "http://127.0.0.1:1", "http://[::1]:1/v1"} {
		if err := provider.CheckURL(address); err != nil {
			t.Errorf("CheckURL(%q) = %v", address, err)
		}
	}
}

func TestAnAnswerIsReadUpToTheAgreedSize(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, strings.Repeat("x", 100))
	})
	c := client(t, provider.Config{URL: s.URL, Roots: s.roots, MaxAnswer: 10})
	status, body, err := get(t, c, s.URL)
	if err != nil || status != http.StatusServiceUnavailable || body != "xxxxxxxxxx" {
		t.Errorf("answer = %d %q %v, want the status and ten bytes", status, body, err)
	}
}

func TestARedirectIsAnAnswer(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	c := client(t, provider.Config{URL: s.URL, Roots: s.roots})
	if status, _, err := get(t, c, s.URL); err != nil || status != http.StatusTemporaryRedirect || calls.Load() != 1 {
		t.Errorf("answer = %d %v after %d calls, want the redirect after one", status, err, calls.Load())
	}
}

func TestPlacesBoundWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	const places, crowd = 3, 40
	var inside, most atomic.Int32
	s := serve(t, func(http.ResponseWriter, *http.Request) {
		n := inside.Add(1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		inside.Add(-1)
	})
	c := client(t, provider.Config{URL: s.URL, Roots: s.roots, Places: places})
	var group sync.WaitGroup
	for range crowd {
		group.Go(func() {
			if status, _, err := get(t, c, s.URL); err != nil || status != http.StatusOK {
				t.Errorf("answer = %d %v", status, err)
			}
		})
	}
	group.Wait()
	if most.Load() > places {
		t.Errorf("%d calls were under way at once, want at most %d", most.Load(), places)
	}
}

func TestAWaitForAPlaceEndsWithTheContext(t *testing.T) {
	t.Parallel()
	arrived, leave := make(chan struct{}), make(chan struct{})
	s := serve(t, func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-leave })
	c := client(t, provider.Config{URL: s.URL, Roots: s.roots, Places: 1})
	done := make(chan error)
	go func() { _, _, err := get(t, c, s.URL); done <- err }()
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := getWithin(ctx, c, s.URL); !errors.Is(err, provider.ErrCancelled) && !errors.Is(err, context.Canceled) {
		t.Errorf("a call without a place ended with %v", err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestACallEndsAfterItsTime(t *testing.T) {
	t.Parallel()
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := client(t, provider.Config{URL: s.URL, Roots: s.roots, Timeout: 50 * time.Millisecond})
	if _, _, err := get(t, c, s.URL+"/secret"); !errors.Is(err, provider.ErrTimeout) {
		t.Errorf("err = %v, want ErrTimeout", err)
	}
}

func TestACrowdOpensOneConnectionAndIsAnnouncedByOne(t *testing.T) {
	t.Parallel()
	const crowd = 50
	var inside, calls, beforeKnown atomic.Int32
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n := inside.Add(1); calls.Add(1) <= 3 {
			beforeKnown.CompareAndSwap(0, n-1)
			if calls.Load() < 3 { // it does not know us yet
				inside.Add(-1)
				w.WriteHeader(http.StatusForbidden)
				return
			}
		}
		inside.Add(-1)
	})
	c := client(t, provider.Config{URL: s.URL, Roots: s.roots, Single: true})
	var group sync.WaitGroup
	for range crowd {
		group.Go(func() {
			if _, _, err := get(t, c, s.URL); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if s.connections.Load() != 1 || beforeKnown.Load() != 0 {
		t.Errorf("%d connections, and %d calls beside the first ones; want 1 and 0", s.connections.Load(), beforeKnown.Load())
	}
}

func TestARenewedClientConnectsAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	c := client(t, provider.Config{URL: s.URL, Roots: s.roots, Single: true})
	for i, want := range []int32{1, 1, 2, 2} {
		if i == 2 {
			c.Renew()
		}
		if _, _, err := get(t, c, s.URL); err != nil {
			t.Fatal(err)
		}
		if got := s.connections.Load(); got != want {
			t.Errorf("call %d: %d connections, want %d", i, got, want)
		}
	}
}

// A service that leaves the connection while a crowd is on it is asked again on the next one, and nobody hears of it.
func TestACrowdMovesOnWhenTheServiceHangsUp(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n := calls.Add(1); n == 50 || n == 150 {
			w.Header().Set("Connection", "close") // GOAWAY, in HTTP/2
		}
	})
	c := client(t, provider.Config{URL: s.URL, Roots: s.roots, Single: true})
	var group sync.WaitGroup
	for range 200 {
		group.Go(func() {
			if status, _, err := get(t, c, s.URL); err != nil || status != http.StatusOK {
				t.Errorf("answer = %d %v", status, err)
			}
		})
	}
	group.Wait()
	if n := s.connections.Load(); n < 2 || n > 4 {
		t.Errorf("%d connections, want one for each time that it was left", n)
	}
}

func TestAClosedClientKeepsNoConnection(t *testing.T) {
	t.Parallel()
	for _, single := range []bool{false, true} {
		s := serve(t, func(http.ResponseWriter, *http.Request) {})
		c := client(t, provider.Config{URL: s.URL, Roots: s.roots, Single: single})
		if _, _, err := get(t, c, s.URL); err != nil {
			t.Fatal(err)
		}
		c.Close()
		<-s.closed
	}
}

func TestAConnectionThatBreaksInTheMiddleOfAnAnswerIsAnError(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "secret half")
		panic(http.ErrAbortHandler)
	})
	c := client(t, provider.Config{URL: s.URL, Roots: s.roots})
	if _, _, err := get(t, c, s.URL); !errors.Is(err, provider.ErrConnection) || strings.Contains(err.Error(), "secret half") {
		t.Errorf("err = %v, want ErrConnection", err)
	}
}

func TestAServiceThatNobodyVouchesForIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was called") })
	c := client(t, provider.Config{URL: s.URL, Roots: x509.NewCertPool()})
	if _, _, err := get(t, c, s.URL); err == nil || errors.Is(err, provider.ErrConnection) {
		t.Errorf("err = %v, want the certificate's", err)
	}
}

func TestAProxyThatRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status  int
		refuses bool
	}{{http.StatusProxyAuthRequired, true}, {http.StatusForbidden, true}, {http.StatusBadGateway, false}, {http.StatusAccepted, false}} {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			t.Parallel()
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodConnect || r.Host != "push.example.com:443" {
					t.Errorf("the proxy was asked %s %s", r.Method, r.Host)
				}
				w.WriteHeader(tt.status)
			}))
			t.Cleanup(proxy.Close)
			at, err := url.Parse(proxy.URL)
			if err != nil {
				t.Fatal(err)
			}
			c := client(t, provider.Config{URL: "https://push.example.com", Proxy: at})
			_, _, err = get(t, c, "https://push.example.com/secret")
			var refusal *provider.ProxyError
			if !errors.As(err, &refusal) || refusal.Status != tt.status || refusal.Refuses() != tt.refuses {
				t.Errorf("err = %v, want a proxy error of status %d", err, tt.status)
			}
		})
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	proxy := &provider.ProxyError{Status: 407}
	at := func(err error) error { return &url.Error{Op: "Post", URL: "https://push.example.com/secret", Err: err} }
	for _, tt := range []struct {
		name      string
		err, want error
	}{
		{"nothing", nil, nil},
		{"what the other side said", at(errors.New("malformed HTTP response \"secret\"")), provider.ErrConnection},
		{"a deadline", at(context.DeadlineExceeded), provider.ErrTimeout},
		{"a caller who left", at(context.Canceled), provider.ErrCancelled},
		{"no connection", at(refused), refused},
		{"a proxy", at(proxy), proxy},
		{"a network error of another type", at(&net.DNSError{IsTimeout: true, Name: "secret"}), provider.ErrTimeout},
		{"twice", at(provider.ErrTimeout), provider.ErrTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := provider.Plain(tt.err)
			if !errors.Is(got, tt.want) || got != nil && strings.Contains(got.Error(), "secret") {
				t.Errorf("Plain(%v) = %v, want %v", tt.err, got, tt.want)
			}
		})
	}
}

func TestPermanent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"nothing", nil, false},
		{"a proxy that does not want to", &provider.ProxyError{Status: http.StatusProxyAuthRequired}, true},
		{"a proxy that cannot", &provider.ProxyError{Status: http.StatusBadGateway}, false},
		{"a host that is not there", &net.OpError{Op: "dial", Err: errors.New("refused")}, false},
		{"a service that does not take our certificate", &net.OpError{Op: "remote error", Err: errors.New("expired")}, true},
		{"a service that nobody vouches for", fmt.Errorf("calling: %w", &tls.CertificateVerificationError{Err: errors.New("x")}), true},
		{"too late", provider.ErrTimeout, false},
	} {
		if got := provider.Permanent(tt.err); got != tt.want {
			t.Errorf("%s: Permanent = %t, want %t", tt.name, got, tt.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		text string
		want time.Duration
	}{
		{"", 0},
		{"0", 0},
		{"120", 2 * time.Minute},
		{"-1", 0},
		{"1.5", 0},
		{"99999999999999999999", 0},
		{"Sun, 22 Nov 2026 12:00:30 GMT", 30 * time.Second},
		{"Sun, 22 Nov 2026 11:59:30 GMT", 0},
		{"soon", 0},
	} {
		if got := provider.RetryAfter(http.Header{"Retry-After": {tt.text}}, now); got != tt.want {
			t.Errorf("RetryAfter(%q) = %v, want %v", tt.text, got, tt.want)
		}
	}
}
