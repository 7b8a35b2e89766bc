// SPDX-License-Identifier: Apache-2.0

package webpush_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/webpush"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	service "github.com/gatehouse-id/gatehouse/tests/services/webpush"
)

var (
	now   = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	local = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
)

func clock() time.Time { return now }

func generate(t testing.TB) *webpush.Key {
	t.Helper()
	key, _, err := webpush.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

type world struct {
	*service.Service
	authority *loopback.Authority
	key       *webpush.Key
}

func start(t testing.TB) *world {
	t.Helper()
	authority, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	s, err := service.Start(service.Config{Authority: authority, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &world{s, authority, generate(t)}
}

func (w *world) sender(t testing.TB, change func(*webpush.Config)) *webpush.Sender {
	t.Helper()
	c := webpush.Config{
		Keys: []*webpush.Key{w.key}, Subject: "mailto:ops@example.com", Allow: local, Roots: w.authority.Pool(), Now: clock, Timeout: 20 * time.Second,
	}
	if change != nil {
		change(&c)
	}
	s, err := webpush.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func (w *world) subscribe(t testing.TB, key *webpush.Key) *service.Subscription {
	t.Helper()
	sub, err := w.Subscribe(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func message(address string) push.Message {
	return push.Message{
		ID: "6f1c2a90-7f0e-4b1d-9a55-0123456789ab", Operation: "op_Ab3-9", Address: address, Expires: now.Add(90*time.Second + time.Millisecond),
		StoredAt: now.Add(-time.Hour),
	}
}

// with adds a member to the JSON of a subscription.
func with(address, member string) string {
	return strings.TrimSuffix(address, "}") + "," + member + "}"
}

func failure(t testing.TB, err error) *push.Failure {
	t.Helper()
	var f *push.Failure
	if !errors.As(err, &f) {
		t.Fatalf("%v is no failure", err)
	}
	return f
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
