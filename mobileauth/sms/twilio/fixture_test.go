// SPDX-License-Identifier: Apache-2.0

package twilio_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/twilio"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	service "github.com/gatehouse-id/gatehouse/tests/services/twilio"
)

const (
	account = "AC0123456789abcdef0123456789abcdef"
	token   = "fedcba9876543210-s3cret"
	key     = "SK0123456789abcdef0123456789abcdef"
	pool    = "MG0123456789abcdef0123456789abcdef"
	sender  = "+15550006789"
	to      = "+31612345678"
	path    = "kGB2lDZ7C0iT_5r-QcwX1w"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func message() sms.Message {
	return sms.Message{ID: "msg_1", To: to, Text: "Your code: 739154", Expires: now.Add(5*time.Minute + 900*time.Millisecond)}
}

// world is a service and a sender that may use it.
type world struct {
	*service.Service
	authority *loopback.Authority
}

func start(t *testing.T, change func(*service.Config)) *world {
	t.Helper()
	authority, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	c := service.Config{
		Authority: authority, Now: func() time.Time { return now }, AccountSID: account, AuthToken: token, Keys: map[string]string{key: "key-s3cret"},
		Senders: []string{sender, "Example"}, Services: []string{pool},
	}
	if change != nil {
		change(&c)
	}
	s, err := service.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &world{s, authority}
}

func (w *world) config() twilio.Config {
	return twilio.Config{
		AccountSID: account, AuthToken: token, From: sender, BaseURL: w.URL, Roots: w.authority.Pool(), Now: func() time.Time { return now },
	}
}

func (w *world) sender(t *testing.T, change func(*twilio.Config)) *twilio.Sender {
	t.Helper()
	c := w.config()
	if change != nil {
		change(&c)
	}
	s, err := twilio.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// reports is a receiver of callbacks behind TLS, as Twilio sees it.
type reports struct {
	URL  string
	mu   sync.Mutex
	told []sms.Report
	fail error
}

func (x *reports) tell(_ context.Context, r sms.Report) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.told = append(x.told, r)
	return x.fail
}

// take returns what was told since the last time.
func (x *reports) take() []sms.Report {
	x.mu.Lock()
	defer x.mu.Unlock()
	told := x.told
	x.told = nil
	return told
}

// receive starts a receiver whose public address is what the function makes of its own.
func (w *world) receive(t *testing.T, public func(own string) string) *reports {
	t.Helper()
	x := &reports{}
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	t.Cleanup(server.Close)
	x.URL = server.URL + "/sms/" + path
	var err error
	if handler, err = w.sender(t, nil).Reports(path, public(x.URL), x.tell); err != nil {
		t.Fatal(err)
	}
	return x
}

func own(address string) string { return address }

func failure(t *testing.T, err error) *sms.Failure {
	t.Helper()
	var f *sms.Failure
	if !errors.As(err, &f) {
		t.Fatalf("%v is no failure", err)
	}
	return f
}
