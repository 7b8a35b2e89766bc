// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/signedpost"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/webhook"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	"github.com/gatehouse-id/gatehouse/tests/services/served"
	service "github.com/gatehouse-id/gatehouse/tests/services/webhook"
)

var (
	now   = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	local = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
)

func clock() time.Time { return now }

func message() push.Message {
	return push.Message{
		ID: "6f1c2a90-7f0e-4b1d-9a55-0123456789ab", Operation: "op_Ab3-9", Device: "dev_1", Address: `user 7 at "s3cret"`, App: "com.example.bank",
		Expires: now.Add(90 * time.Second), StoredAt: now.Add(-time.Hour),
	}
}

type world struct {
	*service.Service
	config webhook.Config
}

// start starts a service that verifies what a sender of this configuration signs.
func start(t *testing.T, c service.Config) *world {
	t.Helper()
	authority, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	private, err := jose.MarshalPrivate(key)
	if err != nil {
		t.Fatal(err)
	}
	c.Authority, c.Now, c.Keys = authority, clock, fmt.Appendf(nil, `{"keys":[%s]}`, private)
	s, err := service.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &world{s, webhook.Config{
		Receiver: signedpost.Receiver{URL: s.URL + "/push", Allow: local}, Key: func() (jose.PrivateKey, error) { return key, nil }, Now: clock,
		Roots: authority.Pool(), Timeout: 20 * time.Second,
	}}
}

func (w *world) sender(t *testing.T, change func(*webhook.Config)) *webhook.Sender {
	t.Helper()
	c := w.config
	if change != nil {
		change(&c)
	}
	s, err := webhook.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func failure(t *testing.T, err error) *push.Failure {
	t.Helper()
	var f *push.Failure
	if !errors.As(err, &f) {
		t.Fatalf("%v is no failure", err)
	}
	return f
}

// What arrives was signed, is exactly what is documented, and comes once however often it is sent.
func TestWhatArrives(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{Authorization: "Bearer t0ken"})
	s := w.sender(t, func(c *webhook.Config) {
		var err error
		if c.Receiver.Credentials, err = signedpost.Bearer("t0ken"); err != nil {
			t.Fatal(err)
		}
	})
	for range 2 {
		if err := s.Send(t.Context(), message()); err != nil {
			t.Fatal(err)
		}
	}
	m := message()
	want := []service.Notification{{ID: m.ID, Operation: m.Operation, Device: m.Device, App: m.App, Address: m.Address, Expires: m.Expires}}
	if diff := cmp.Diff(want, w.Taken()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if n, ok := w.Inbox.Take(t.Context(), m.Address); !ok || n.Operation != "op_Ab3-9" {
		t.Errorf("in the inbox: %+v", n)
	}
	var sent map[string]any
	if err := json.Unmarshal(w.Requests()[0].Body, &sent); err != nil || len(sent) != 6 || sent["expires"] != "2026-11-22T12:01:30Z" {
		t.Errorf("sent: %v, %v", sent, err)
	}
	if w.Connections() != 1 {
		t.Errorf("%d connections", w.Connections())
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{})
	s := w.sender(t, nil)
	later := map[string]string{"Retry-After": "7"}
	for _, tt := range []struct {
		name   string
		step   served.Step
		class  push.Class
		reason string
		after  time.Duration
	}{
		{"gone", served.Step{Status: 410, Body: `{"reason":"unregistered"}`}, push.Dead, "unregistered", 0},
		{"too many", served.Step{Status: 429, Header: later}, push.Throttled, "status_429", 7 * time.Second},
		{"busy", served.Step{Status: 503, Header: later}, push.Overloaded, "status_503", 7 * time.Second},
		{"down", served.Step{Status: 500, Body: `{"reason":"user 7 at s3cret"}`}, push.Transient, "status_500", 0},
		{"time is over", served.Step{Status: 408}, push.Transient, "status_408", 0},
		{"malformed", served.Step{Status: 400, Body: `{"reason":"no_app"}`}, push.Refused, "no_app", 0},
		{"not found", served.Step{Status: 404}, push.Config, "status_404", 0},
		{"unauthorized", served.Step{Status: 401}, push.Config, "status_401", 0},
		{"forbidden", served.Step{Status: 403}, push.Config, "status_403", 0},
		{"a redirect", served.Step{Status: 302, Header: map[string]string{"Location": "/s3cret"}}, push.Config, "status_302", 0},
		{"a page", served.Step{Status: 200, Body: "<html>s3cret"}, push.Config, "status_200", 0},
		{"the connection breaks", served.Step{Reset: true}, push.Transient, "network", 0},
		{"the answer breaks off", served.Step{Status: 200, Body: "{", Cut: true}, push.Transient, "network", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.Script.Add(tt.step)
			err := s.Send(t.Context(), message())
			f := failure(t, err)
			if f.Class != tt.class || f.Reason != tt.reason || f.RetryAfter != tt.after || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("Send = %v, %v, want %s, %s", err, f.RetryAfter, tt.class, tt.reason)
			}
		})
	}
	dead := start(t, service.Config{Dead: []string{message().Address}})
	if f := failure(t, dead.sender(t, nil).Send(t.Context(), message())); f.Class != push.Dead {
		t.Errorf("a dead address: %v", f)
	}
}

func TestTroubleOnTheWay(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name   string
		ctx    context.Context //nolint:containedctx // a case
		change func(*webhook.Config)
		class  push.Class
		reason string
	}{
		{"an address of ours that is not allowed", t.Context(), func(c *webhook.Config) { c.Receiver.Allow = nil }, push.Config, "address_not_public"},
		{"another authority", t.Context(), func(c *webhook.Config) { c.Roots = start(t, service.Config{}).config.Roots }, push.Config, "certificate"},
		{"no key", t.Context(), func(c *webhook.Config) {
			c.Key = func() (jose.PrivateKey, error) { return jose.PrivateKey{}, errors.New("the ring is empty") }
		}, push.Transient, "signing"},
		{"another's key", t.Context(), func(c *webhook.Config) { c.Key = start(t, service.Config{}).config.Key }, push.Config, "signature"},
		{"given up", cancelled, nil, push.Transient, "cancelled"},
	} {
		if f := failure(t, w.sender(t, tt.change).Send(tt.ctx, message())); f.Class != tt.class || f.Reason != tt.reason {
			t.Errorf("%s: %v", tt.name, f)
		}
	}
	w.Script.Add(served.Step{Stall: true})
	slow := w.sender(t, func(c *webhook.Config) { c.Timeout, c.Places = 500*time.Millisecond, 1 })
	if f := failure(t, slow.Send(t.Context(), message())); f.Class != push.Transient || f.Reason != "timeout" {
		t.Errorf("silence: %v", f)
	}
	if len(w.Taken()) != 0 {
		t.Errorf("taken: %+v", w.Taken())
	}
}

func TestMessagesThatAreNone(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{})
	s := w.sender(t, nil)
	for _, tt := range []struct {
		address string
		good    bool
	}{
		{"x", true}, {"ünïcode {}", true}, {strings.Repeat("x", webhook.MaxAddress), true}, {"", false}, {"a\nb", false}, {"a\x7f", false}, {"\xff", false},
		{strings.Repeat("x", webhook.MaxAddress+1), false},
	} {
		err := s.Check(tt.address)
		if (err == nil) != tt.good || err != nil && !errors.Is(err, push.ErrAddress) {
			t.Errorf("Check(%.10q) = %v", tt.address, err)
		}
		m := message()
		if m.Address = tt.address; !tt.good && failure(t, s.Send(t.Context(), m)).Class != push.Refused {
			t.Errorf("%.10q is sent to", tt.address)
		}
	}
	m := message()
	m.Expires = now
	if f := failure(t, s.Send(t.Context(), m)); f.Class != push.Refused || f.Reason != "expired" || len(w.Requests()) != 0 {
		t.Errorf("Send = %v, %d requests", f, len(w.Requests()))
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{})
	for name, change := range map[string]func(*webhook.Config){
		"no key":     func(c *webhook.Config) { c.Key = nil },
		"no clock":   func(c *webhook.Config) { c.Now = nil },
		"no service": func(c *webhook.Config) { c.Receiver.URL = "" },
		"in clear":   func(c *webhook.Config) { c.Receiver.URL = "http://push.example.com/s3cret" },
		"no place":   func(c *webhook.Config) { c.Places = -1 },
	} {
		c := w.config
		change(&c)
		if s, err := webhook.New(c); err == nil || s != nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCredentialsDoNotPrint(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{})
	s := w.sender(t, func(c *webhook.Config) {
		c.Receiver.URL += "?s3cret"
		c.Receiver.Credentials, _ = signedpost.Bearer("s3cret")
	})
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "sender", s)
	if text := fmt.Sprintf("%v %+v %#v %s", s, s, s, &log); strings.Contains(text, "s3cret") {
		t.Errorf("it prints as %s", text)
	}
}
