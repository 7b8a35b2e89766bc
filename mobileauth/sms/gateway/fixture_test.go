// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/gateway"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	service "github.com/gatehouse-id/gatehouse/tests/services/smsgateway"
)

const (
	to       = "+31612345678"
	path     = "kGB2lDZ7C0iT_5r-QcwX1w"
	jsonBody = `{"to": "{to}", "from": "{from}", "text": "{text}", "reference": "{id}", "ttl": "{ttl:number}"}`
	formBody = "to={to}&from={from}&text={text}&reference={id}&ttl={ttl}"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

func message() sms.Message {
	return sms.Message{ID: "msg_1", To: to, Text: "Your code: 739154", Expires: now.Add(5 * time.Minute)}
}

type world struct {
	*service.Service
	authority *loopback.Authority
}

func start(t *testing.T, c service.Config) *world {
	t.Helper()
	authority, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	c.Authority, c.Now = authority, clock
	s, err := service.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &world{s, authority}
}

// config is one that the service's JSON needs.
func (w *world) config() gateway.Config {
	return gateway.Config{
		URL: w.URL + "/json", Body: jsonBody, From: "Example", Roots: w.authority.Pool(), Now: clock,
		Answers: gateway.Answers{
			ID: "/messages/0/id", Reason: "/error/code",
			Classes: map[string]sms.Class{"invalid_number": sms.Number, "opted_out": sms.Number, "country": sms.Blocked, "queue": sms.Throttled},
		},
	}
}

func (w *world) sender(t *testing.T, change func(*gateway.Config)) *gateway.Sender {
	t.Helper()
	c := w.config()
	if change != nil {
		change(&c)
	}
	s, err := gateway.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func failure(t *testing.T, err error) *sms.Failure {
	t.Helper()
	var f *sms.Failure
	if !errors.As(err, &f) {
		t.Fatalf("%v is no failure", err)
	}
	return f
}
