// SPDX-License-Identifier: Apache-2.0

package call_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/call"
)

func client(t *testing.T, c provider.Config) *provider.Client {
	t.Helper()
	p, err := provider.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func request(ctx context.Context, t *testing.T, address string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/s3cret?to=31612345678", strings.NewReader("text"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// listen returns the address of a server that does with each connection what the function says.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// answering reads a whole request and says something.
func answering(text string) func(net.Conn) {
	return func(conn net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return // the client is gone
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(conn, text) // who is gone hears nothing
	}
}

func TestAnAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, says string
		status     int
		body       string
	}{
		{"created", "HTTP/1.1 201 Created\r\nX: y\r\nContent-Length: 2\r\n\r\n{}", 201, "{}"},
		{"an error", "HTTP/1.1 503 No\r\nX: y\r\nContent-Length: 4\r\n\r\n<h1>", 503, "<h1>"},
		{"a redirect", "HTTP/1.1 307 No\r\nX: y\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", 307, ""},
		{"more than is read", "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000), 200, strings.Repeat("x", provider.DefaultMaxAnswer)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at := listen(t, answering(tt.says))
			a, err := call.Do(client(t, provider.Config{URL: at}), request(t.Context(), t, at))
			if err != nil || a.Status != tt.status || string(a.Body) != tt.body || a.Header.Get("X") != "y" {
				t.Errorf("Do = %+v, %v", a, err)
			}
		})
	}
}

func TestWhatIsKnownOfAFailure(t *testing.T) {
	t.Parallel()
	silent := listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	proxy := func(status string) *url.URL {
		return &url.URL{Scheme: "http", Host: strings.TrimPrefix(listen(t, answering("HTTP/1.1 "+status+"\r\nContent-Length: 0\r\n\r\n")), "http://")}
	}
	for _, tt := range []struct {
		name, at string
		config   provider.Config
		class    sms.Class
		reason   string
	}{
		{"nobody listens", closed.URL, provider.Config{}, sms.Transient, "network"},
		{"no TLS is spoken", silent, provider.Config{URL: strings.Replace(silent, "http", "https", 1), Timeout: 50 * time.Millisecond}, sms.Transient, "timeout"},
		{"the certificate is nobody's", secure.URL, provider.Config{Roots: x509.NewCertPool()}, sms.Config, "certificate"},
		{"the proxy wants a password", secure.URL, provider.Config{Proxy: proxy("407 No")}, sms.Config, "proxy"},
		{"the proxy finds no way", secure.URL, provider.Config{Proxy: proxy("502 No")}, sms.Transient, "proxy"},
		{"no answer", silent, provider.Config{Timeout: 50 * time.Millisecond}, sms.Ambiguous, "timeout"},
		{"the connection ends", listen(t, answering("")), provider.Config{}, sms.Ambiguous, "network"},
		{"the answer is not HTTP", listen(t, answering("s3cret\r\n\r\n")), provider.Config{}, sms.Ambiguous, "network"},
		{"the answer breaks off", listen(t, answering("HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{")), provider.Config{}, sms.Ambiguous, "network"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.config.URL == "" {
				tt.config.URL = tt.at
			}
			a, err := call.Do(client(t, tt.config), request(t.Context(), t, tt.config.URL))
			var f *sms.Failure
			if a != nil || !errors.As(err, &f) || f.Class != tt.class || f.Reason != tt.reason || f.Err == nil {
				t.Fatalf("Do = %v, want %s, %s", err, tt.class, tt.reason)
			}
			if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "6123") {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
}

// Who gives up before anything was written has sent nothing; afterwards nobody knows.
func TestGivingUp(t *testing.T) {
	t.Parallel()
	heard := make(chan struct{})
	at := listen(t, func(conn net.Conn) {
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			close(heard)
		}
		_, _ = io.Copy(io.Discard, conn)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-heard
		cancel()
	}()
	c := client(t, provider.Config{URL: at, Timeout: time.Minute})
	for _, want := range []sms.Class{sms.Ambiguous, sms.Transient} { // the second call begins after it was given up
		var f *sms.Failure
		if _, err := call.Do(c, request(ctx, t, at)); !errors.As(err, &f) || f.Class != want || f.Reason != "cancelled" {
			t.Errorf("Do = %v, want %s", err, want)
		}
	}
}
