// SPDX-License-Identifier: Apache-2.0

package callback_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/mobileauth/callback"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// call is what a receiver was sent.
type call struct {
	Method, Path string
	Header       http.Header
	Body         string
}

// back is the back end of the tests.
type back struct {
	*httptest.Server
	mu    sync.Mutex
	calls []call
}

// newBack answers every call with one handler. Connections end with their answer, so that no goroutine of a bubble waits for one.
func newBack(t testing.TB, handler http.HandlerFunc) *back {
	t.Helper()
	b := &back{}
	b.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		b.mu.Lock()
		b.calls = append(b.calls, call{r.Method, r.RequestURI, r.Header, string(content)})
		b.mu.Unlock()
		w.Header().Set("Connection", "close")
		handler(w, r)
	}))
	b.Config.ErrorLog = log.New(io.Discard, "", 0)
	b.Start()
	t.Cleanup(b.Close)
	return b
}

func (b *back) got() []call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]call(nil), b.calls...)
}

func accept(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func testKey(t testing.TB) jose.PrivateKey {
	t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sender returns a sender for some receivers, with a key of its own unless one is given.
func sender(t testing.TB, c callback.Config) *callback.Sender {
	t.Helper()
	if c.Key == nil {
		key := testKey(t)
		c.Key = func() (jose.PrivateKey, error) { return key, nil }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s, err := callback.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

var happened = time.Date(2026, 11, 22, 3, 5, 0, 7e6, time.FixedZone("", 3600))

// notice returns a delivery of a notice to an address.
func notice(t testing.TB, address string) outbox.Delivery {
	t.Helper()
	item, err := callback.Item("dlv_1", "portal", address, callback.Notice{
		Operation: "op_1", Kind: "authorisation", State: "approved", At: happened,
	})
	if err != nil {
		t.Fatal(err)
	}
	return outbox.Delivery{Item: item, Try: 1}
}

// resolver returns one that asks a name server of ours, which says what the function says, in turn for each question.
func resolver(t testing.TB, answer func(n int) [4]byte) *net.Resolver {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go serveNames(conn, answer)
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func serveNames(conn net.PacketConn, answer func(n int) [4]byte) {
	buffer := make([]byte, 1500)
	for n := 0; ; {
		size, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return // the test is over
		}
		var m dnsmessage.Message
		if m.Unpack(buffer[:size]) != nil {
			continue
		}
		m.Response, m.Additionals = true, nil
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
				Body:   &dnsmessage.AResource{A: answer(n)},
			}}
			n++
		}
		packed, err := m.Pack()
		if err != nil {
			continue
		}
		if _, err := conn.WriteTo(packed, from); err != nil {
			return // likewise
		}
	}
}
