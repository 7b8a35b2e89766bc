// SPDX-License-Identifier: Apache-2.0

package webpush_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/egress"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/webpush"
	"github.com/gatehouse-id/gatehouse/tests/services/proxy"
	"github.com/gatehouse-id/gatehouse/tests/services/served"
)

// The browser decrypts what was sent, and learns the id of an operation and nothing else.
func TestWhatArrives(t *testing.T) {
	t.Parallel()
	w := start(t)
	sub := w.subscribe(t, w.key)
	if err := w.sender(t, nil).Send(t.Context(), message(sub.JSON)); err != nil {
		t.Fatal(err)
	}
	m := w.Messages()[0]
	if string(m.Payload) != `{"op":"op_Ab3-9"}` || len(m.Payload)+m.Padding != 256 || m.TTL != 90*time.Second || m.Urgency != "high" || len(m.Topic) != 32 {
		t.Errorf("arrived: %s, %+v", m.Payload, m)
	}
	if m.Key != w.key.Public() {
		t.Errorf("by the key %s", m.Key)
	}
	r := w.Requests()[0]
	if r.Protocol != 2 || strings.Contains(fmt.Sprint(r.Header), "op_Ab3") || r.Header.Get("User-Agent") != "Gatehouse" || r.Header.Get("Cookie") != "" {
		t.Errorf("the header is %v", r.Header)
	}
	n, ok := w.Inbox.Take(t.Context(), sub.JSON)
	if !ok || n.Operation != "op_Ab3-9" {
		t.Errorf("in the inbox: %+v", n)
	}
}

func TestDeclarative(t *testing.T) {
	t.Parallel()
	w := start(t)
	sub := w.subscribe(t, w.key)
	s := w.sender(t, func(c *webpush.Config) {
		c.Declarative = &webpush.Declarative{Title: "Example", Body: "A question waits", Navigate: "https://app.example.com/approve?x=y&operation=no"}
	})
	if err := s.Send(t.Context(), message(sub.JSON)); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Magic        int `json:"web_push"`
		Notification struct{ Title, Body, Navigate string }
		Op           string
	}
	if err := json.Unmarshal(w.Messages()[0].Payload, &got); err != nil {
		t.Fatal(err)
	}
	if got.Magic != 8030 || got.Op != "op_Ab3-9" || got.Notification.Title != "Example" || got.Notification.Body != "A question waits" ||
		got.Notification.Navigate != "https://app.example.com/approve?operation=op_Ab3-9&x=y" {
		t.Errorf("arrived: %+v", got)
	}
}

// Messages of one operation replace each other, those of two do not; nothing else of two messages is alike.
func TestTopics(t *testing.T) {
	t.Parallel()
	w := start(t)
	sub := w.subscribe(t, w.key)
	s := w.sender(t, nil)
	for _, operation := range []string{"op_1", "op_1", "op_2"} {
		m := message(sub.JSON)
		m.Operation = operation
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	m, r := w.Messages(), w.Requests()
	if m[0].Topic != m[1].Topic || m[1].Topic == m[2].Topic || string(r[0].Body[:86]) == string(r[1].Body[:86]) {
		t.Errorf("topics %s, %s, %s", m[0].Topic, m[1].Topic, m[2].Topic)
	}
	if w.Connections() != 1 {
		t.Errorf("%d connections", w.Connections())
	}
}

// Subscriptions live as long as the key that they were made with is kept.
func TestKeys(t *testing.T) {
	t.Parallel()
	w := start(t)
	old, lost := generate(t), generate(t)
	s := w.sender(t, func(c *webpush.Config) { c.Keys = []*webpush.Key{w.key, old} })
	for _, tt := range []struct {
		name, address string
		reason        string
	}{
		{"current", w.subscribe(t, w.key).JSON, ""},
		{"current, by its id", with(w.subscribe(t, w.key).JSON, `"key":"`+w.key.ID()+`"`), ""},
		{"old, by its id", with(w.subscribe(t, old).JSON, `"key":"`+old.ID()+`"`), ""},
		{"old, by its public half", with(w.subscribe(t, old).JSON, `"key":"`+old.Public()+`"`), ""},
		{"old, and does not say so", w.subscribe(t, old).JSON, "VapidPkHashMismatch"},
		{"lost", with(w.subscribe(t, lost).JSON, `"key":"`+lost.ID()+`"`), "unknown_key"},
	} {
		err := s.Send(t.Context(), message(tt.address))
		if tt.reason == "" && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if tt.reason != "" && (failure(t, err).Class != push.Refused || failure(t, err).Reason != tt.reason) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if checked := s.Check(tt.address); (checked == nil) != (tt.reason != "unknown_key") {
			t.Errorf("%s: Check = %v", tt.name, checked)
		}
	}
}

// A token is signed once for its origin and key, and renewed before it ends.
func TestTokensAreKept(t *testing.T) {
	t.Parallel()
	w := start(t)
	at := now
	old := generate(t)
	s := w.sender(t, func(c *webpush.Config) {
		c.Keys = append(c.Keys, old)
		c.Now = func() time.Time { return at }
	})
	send := func(address string) string {
		t.Helper()
		m := message(address)
		m.Expires = at.Add(time.Minute)
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		all := w.Messages()
		return all[len(all)-1].Token
	}
	one, two := w.subscribe(t, w.key).JSON, w.subscribe(t, w.key).JSON
	first := send(one)
	if send(two) != first || send(with(w.subscribe(t, old).JSON, `"key":"`+old.ID()+`"`)) == first {
		t.Error("the token is not that of origin and key")
	}
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	if err := json.Unmarshal(b64(t, strings.Split(first, ".")[1]), &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Aud != w.URL || claims.Sub != "mailto:ops@example.com" || claims.Exp != now.Add(12*time.Hour).Unix() {
		t.Errorf("claims: %+v", claims)
	}
	if header := string(b64(t, strings.Split(first, ".")[0])); header != `{"alg":"ES256","typ":"JWT"}` {
		t.Errorf("the header is %s", header)
	}
	at = now.Add(6*time.Hour - time.Second)
	if send(one) != first {
		t.Error("it is renewed too early")
	}
	at = now.Add(6 * time.Hour)
	w.Script.Add(served.Step{Status: 201}) // the service's own clock stands still
	if err := s.Send(t.Context(), func() push.Message { m := message(one); m.Expires = at.Add(time.Minute); return m }()); err != nil {
		t.Fatal(err)
	}
	all := w.Requests()
	if strings.Contains(all[len(all)-1].Header.Get("Authorization"), first) {
		t.Error("it is not renewed")
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	w := start(t)
	sub := w.subscribe(t, w.key)
	s := w.sender(t, nil)
	later := map[string]string{"Retry-After": "120"}
	for _, tt := range []struct {
		name   string
		step   served.Step
		class  push.Class
		reason string
		after  time.Duration
	}{
		{"not found", served.Step{Status: 404}, push.Dead, "status_404", 0},
		{"gone", served.Step{Status: 410, Body: `{"code":410,"errno":106,"error":"Gone"}`}, push.Dead, "errno_106", 0},
		{"too large", served.Step{Status: 413}, push.Refused, "status_413", 0},
		{"too many", served.Step{Status: 429, Header: later}, push.Throttled, "status_429", 2 * time.Minute},
		{"too many, until a date", served.Step{Status: 429, Header: map[string]string{"Retry-After": now.Add(time.Minute).Format("Mon, 02 Jan 2006 15:04:05 GMT")}}, push.Throttled, "status_429", time.Minute},
		{"too many, for a year", served.Step{Status: 429, Header: map[string]string{"Retry-After": "31536000"}}, push.Throttled, "status_429", time.Hour},
		{"Apple: a token", served.Step{Status: 403, Body: `{"reason":"BadJwtToken"}`}, push.Refused, "BadJwtToken", 0},
		{"Apple: a key", served.Step{Status: 403, Body: `{"reason":"VapidPkHashMismatch"}`}, push.Refused, "VapidPkHashMismatch", 0},
		{"Google: text", served.Step{Status: 403, Body: "the VAPID credentials are s3cret"}, push.Refused, "status_403", 0},
		{"unauthorized", served.Step{Status: 401, Body: `{"errno":109}`}, push.Refused, "errno_109", 0},
		{"malformed", served.Step{Status: 400}, push.Refused, "status_400", 0},
		{"a reason that is a text", served.Step{Status: 400, Body: `{"reason":"no <b>s3cret</b>"}`}, push.Refused, "status_400", 0},
		{"an answer without end", served.Step{Status: 400, Body: `{"reason":"` + strings.Repeat("x", 1<<20) + `"}`}, push.Refused, "status_400", 0},
		{"down", served.Step{Status: 500, Body: "<h1>s3cret"}, push.Transient, "status_500", 0},
		{"overloaded", served.Step{Status: 503, Header: later}, push.Transient, "status_503", 2 * time.Minute},
		{"time is over", served.Step{Status: 408}, push.Transient, "status_408", 0},
		{"a redirect", served.Step{Status: 307, Header: map[string]string{"Location": "https://169.254.169.254/s3cret"}}, push.Refused, "status_307", 0},
		{"a redirect that changes the method", served.Step{Status: 302, Header: map[string]string{"Location": sub.Endpoint}}, push.Refused, "status_302", 0},
		{"the connection breaks", served.Step{Reset: true}, push.Transient, "network", 0},
		{"the answer breaks off", served.Step{Status: 410, Body: "{", Cut: true}, push.Dead, "status_410", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(w.Requests())
			w.Script.Add(tt.step)
			err := s.Send(t.Context(), message(sub.JSON))
			f := failure(t, err)
			if f.Class != tt.class || f.Reason != tt.reason || f.RetryAfter != tt.after {
				t.Errorf("Send = %v, %v, want %s, %s, %v", err, f.RetryAfter, tt.class, tt.reason, tt.after)
			}
			if text := err.Error(); strings.Contains(text, "s3cret") || strings.Contains(text, "/push/") || len(text) > 300 {
				t.Errorf("the error tells too much: %s", text)
			}
			if n := len(w.Requests()) - before; n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
	for _, status := range []int{200, 201, 202, 204} {
		w.Script.Add(served.Step{Status: status})
		if err := s.Send(t.Context(), message(sub.JSON)); err != nil {
			t.Errorf("%d: %v", status, err)
		}
	}
	w.Unsubscribe(sub)
	if f := failure(t, s.Send(t.Context(), message(sub.JSON))); f.Class != push.Dead || f.Reason != "Unregistered" {
		t.Errorf("after the end: %v", f)
	}
}

// A name that stands for an address of ours is refused when it is connected to, whatever it stood for before.
func TestTheAddressIsJudgedWhenItIsDialled(t *testing.T) {
	t.Parallel()
	w := start(t)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(w.URL, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	named := strings.Replace(w.subscribe(t, w.key).JSON, "127.0.0.1:"+port, "localhost:"+port, 1)
	for _, change := range []func(*webpush.Config){
		func(c *webpush.Config) { c.Allow = nil },
		func(c *webpush.Config) { c.Allow, c.Hosts = nil, []string{"localhost"} },
	} {
		s := w.sender(t, change)
		if err := s.Check(named); err != nil {
			t.Fatalf("nothing is looked up to check: %v", err)
		}
		err := s.Send(t.Context(), message(named))
		if f := failure(t, err); f.Class != push.Refused || f.Reason != "address_not_public" || !errors.Is(err, egress.ErrAddress) {
			t.Errorf("Send = %v", err)
		}
	}
	rebinding := resolver(t, func(int) [4]byte { return [4]byte{169, 254, 169, 254} })
	s := w.sender(t, func(c *webpush.Config) { c.Resolver = rebinding })
	elsewhere := strings.Replace(named, "localhost", "push.example.com", 1)
	if f := failure(t, s.Send(t.Context(), message(elsewhere))); f.Reason != "address_not_public" {
		t.Errorf("Send = %v", f)
	}
	if len(w.Requests()) != 0 {
		t.Error("the service was asked")
	}
}

func TestSilence(t *testing.T) {
	t.Parallel()
	w := start(t)
	sub := w.subscribe(t, w.key)
	w.Script.Add(served.Step{Stall: true})
	s := w.sender(t, func(c *webpush.Config) { c.Timeout, c.Places = 300*time.Millisecond, 1 })
	if f := failure(t, s.Send(t.Context(), message(sub.JSON))); f.Class != push.Transient || f.Reason != "timeout" {
		t.Errorf("Send = %v", f)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f := failure(t, s.Send(ctx, message(sub.JSON))); f.Class != push.Transient || f.Reason != "cancelled" {
		t.Errorf("Send = %v", f)
	}
	strange := w.sender(t, func(c *webpush.Config) { c.Roots = start(t).authority.Pool() })
	if f := failure(t, strange.Send(t.Context(), message(sub.JSON))); f.Class != push.Transient || f.Reason != "certificate" {
		t.Errorf("Send = %v", f)
	}
}

// What stands in the environment does not see where messages go.
func TestNoProxyIsAsked(t *testing.T) {
	w := start(t)
	for _, name := range []string{"HTTPS_PROXY", "ALL_PROXY", "https_proxy", "all_proxy"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	if err := w.sender(t, nil).Send(t.Context(), message(w.subscribe(t, w.key).JSON)); err != nil {
		t.Error(err)
	}
}

func TestAProxy(t *testing.T) {
	t.Parallel()
	w := start(t)
	tunnel, err := proxy.Start(proxy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tunnel.Close() })
	sub := w.subscribe(t, w.key)
	s := w.sender(t, func(c *webpush.Config) { c.Proxy, c.Hosts = tunnel.URL, []string{"127.0.0.1"} })
	if err := s.Send(t.Context(), message(sub.JSON)); err != nil || len(tunnel.Asked()) != 1 || tunnel.Asked()[0] != strings.TrimPrefix(w.URL, "https://") {
		t.Errorf("Send = %v, the proxy was asked for %v", err, tunnel.Asked())
	}
	for _, tt := range []struct {
		status int
		class  push.Class
	}{{407, push.Config}, {403, push.Refused}, {405, push.Refused}, {502, push.Transient}} {
		s := w.sender(t, func(c *webpush.Config) { c.Proxy, c.Hosts = tunnel.URL, []string{"127.0.0.1"} })
		tunnel.Refuse(tt.status)
		if f := failure(t, s.Send(t.Context(), message(sub.JSON))); f.Class != tt.class || f.Reason != "proxy" {
			t.Errorf("%d: %v", tt.status, f)
		}
	}
}

func TestMessagesThatAreNone(t *testing.T) {
	t.Parallel()
	w := start(t)
	s := w.sender(t, nil)
	sub := w.subscribe(t, w.key)
	for name, change := range map[string]func(*push.Message){
		"expired":             func(m *push.Message) { m.Expires = now },
		"malformed_operation": func(m *push.Message) { m.Operation = "Pay 5 EUR" },
		"malformed_address":   func(m *push.Message) { m.Address = "s3cret" },
		"no_address":          func(m *push.Message) { m.Address = "" },
	} {
		m := message(sub.JSON)
		change(&m)
		if f := failure(t, s.Send(t.Context(), m)); f.Class != push.Refused || f.Reason != name || strings.Contains(f.Error(), "s3cret") {
			t.Errorf("%s: %v", name, f)
		}
	}
	if len(w.Requests()) != 0 {
		t.Error("the service was asked")
	}
}

// Many at once go over few connections, each to its own browser.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	s := w.sender(t, func(c *webpush.Config) { c.Places = 8 })
	var group sync.WaitGroup
	for i := range 200 {
		sub := w.subscribe(t, w.key)
		group.Go(func() {
			m := message(sub.JSON)
			m.Operation = "op_" + strconv.Itoa(i)
			if err := s.Send(t.Context(), m); err != nil {
				t.Error(err)
			}
			if n, ok := w.Inbox.Take(t.Context(), sub.JSON); !ok || n.Operation != m.Operation {
				t.Errorf("%s has got %+v", m.Operation, n)
			}
		})
	}
	group.Wait()
	if w.Connections() > 8 {
		t.Errorf("%d connections", w.Connections())
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	key := generate(t)
	for _, tt := range []struct {
		name   string
		change func(*webpush.Config)
		says   string // empty where it is accepted
	}{
		{"the usual", func(*webpush.Config) {}, ""},
		{"a page for a contact", func(c *webpush.Config) { c.Subject = "https://example.com/contact" }, ""},
		{"hosts", func(c *webpush.Config) { c.Hosts = []string{"fcm.googleapis.com", "*.notify.windows.com"} }, ""},
		{"no key", func(c *webpush.Config) { c.Keys = nil }, "key"},
		{"a key that is none", func(c *webpush.Config) { c.Keys = append(c.Keys, nil) }, "key 2"},
		{"no clock", func(c *webpush.Config) { c.Now = nil }, "clock"},
		{"no contact", func(c *webpush.Config) { c.Subject = "" }, "contact"},
		{"a contact without a scheme", func(c *webpush.Config) { c.Subject = "ops@example.com" }, "contact"},
		{"a contact of two schemes", func(c *webpush.Config) { c.Subject = "mailto:mailto:ops" }, "contact"},
		{"a contact with a name", func(c *webpush.Config) { c.Subject = "mailto:Ops <ops@example.com>" }, "contact"},
		{"a contact on this host", func(c *webpush.Config) { c.Subject = "mailto:ops@localhost" }, "contact"},
		{"a page on this host", func(c *webpush.Config) { c.Subject = "https://localhost/" }, "contact"},
		{"a page in clear", func(c *webpush.Config) { c.Subject = "http://example.com/" }, "contact"},
		{"a host that is a URL", func(c *webpush.Config) { c.Hosts = []string{"https://example.com"} }, "host"},
		{"a host that is anything", func(c *webpush.Config) { c.Hosts = []string{"*"} }, "host"},
		{"a host that ends so", func(c *webpush.Config) { c.Hosts = []string{"*example.com"} }, "host"},
		{"a range that is none", func(c *webpush.Config) { c.Allow = []netip.Prefix{{}} }, "range"},
		{"a negative time-out", func(c *webpush.Config) { c.Timeout = -1 }, "time-out"},
		{"too many places", func(c *webpush.Config) { c.Places = 1 << 20 }, "places"},
		{"a proxy without hosts", func(c *webpush.Config) { c.Proxy = &url.URL{Scheme: "http", Host: "proxy"} }, "proxy"},
		{"another proxy", func(c *webpush.Config) { c.Proxy, c.Hosts = &url.URL{Scheme: "socks5", Host: "proxy"}, []string{"a.b"} }, "proxy"},
		{"nothing to show", func(c *webpush.Config) { c.Declarative = &webpush.Declarative{Navigate: "https://a.b/"} }, "title"},
		{"nothing to open", func(c *webpush.Config) { c.Declarative = &webpush.Declarative{Title: "x", Navigate: "/x"} }, "address"},
		{"too much to show", func(c *webpush.Config) {
			c.Declarative = &webpush.Declarative{Title: strings.Repeat("x", 3000), Navigate: "https://a.b/"}
		}, "title"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := webpush.Config{Keys: []*webpush.Key{key}, Subject: "mailto:ops@example.com", Now: clock}
			tt.change(&c)
			s, err := webpush.New(c)
			if tt.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				s.Close()
				return
			}
			if err == nil || s != nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("New = %v, want %s", err, tt.says)
			}
		})
	}
}

func BenchmarkSend(b *testing.B) {
	w := start(b)
	s := w.sender(b, nil)
	m := message(w.subscribe(b, w.key).JSON)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Send(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
}
