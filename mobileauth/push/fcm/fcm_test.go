// SPDX-License-Identifier: Apache-2.0

package fcm_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/fcm"
	"github.com/gatehouse-id/gatehouse/tests/services/proxy"
	"github.com/gatehouse-id/gatehouse/tests/services/served"
)

func TestAMessageHoldsTheOperationAndNothingElse(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	m := w.message()
	m.Expires = m.Expires.Add(900 * time.Millisecond)
	want(t, w.sender.Send(t.Context(), m), "", "", 0)
	n, _ := w.Inbox.Take(t.Context(), phone)
	const payload = `{"token":"` + phone + `","data":{"op":"op_Ab3-9"},` +
		`"android":{"priority":"HIGH","ttl":"120s","restricted_package_name":"com.example.bank"}}`
	if string(n.Payload) != payload {
		t.Errorf("message = %s, want %s", n.Payload, payload)
	}
}

// errorOf is an answer of Google's.
func errorOf(status int, word, details string) served.Step {
	return served.Step{Status: status, Body: fmt.Sprintf(
		`{"error":{"code":%d,"message":"secret %s","status":%q,"details":[%s]}}`, status, phone, word, details)}
}

func firebase(code string) string {
	return `{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"` + code + `"}`
}

// TestFirebasesAnswers has a case for each row of the table of errors, and for what is in none.
func TestFirebasesAnswers(t *testing.T) {
	t.Parallel()
	const (
		field  = `{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"message.android.ttl"}]}`
		device = `{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"subject":"device:x","description":"Device message rate"}]}`
		whole  = `{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"subject":"project:x"}]}`
	)
	for _, tt := range []struct {
		name   string
		step   served.Step
		class  push.Class
		reason string
		after  time.Duration
	}{
		{"400 INVALID_ARGUMENT of the message", errorOf(400, "INVALID_ARGUMENT", field+","+firebase("INVALID_ARGUMENT")), push.Refused, "INVALID_ARGUMENT", 0},
		{"400 INVALID_ARGUMENT of the address", errorOf(400, "INVALID_ARGUMENT", firebase("INVALID_ARGUMENT")), push.Refused, "invalid_address", 0},
		{"401 THIRD_PARTY_AUTH_ERROR", errorOf(401, "UNAUTHENTICATED", firebase("THIRD_PARTY_AUTH_ERROR")), push.Refused, "THIRD_PARTY_AUTH_ERROR", 0},
		{"403 SENDER_ID_MISMATCH", errorOf(403, "PERMISSION_DENIED", firebase("SENDER_ID_MISMATCH")), push.Dead, "SENDER_ID_MISMATCH", 0},
		{"403 without FcmError", errorOf(403, "PERMISSION_DENIED", ""), push.Config, "PERMISSION_DENIED", 0},
		{"404 UNREGISTERED", errorOf(404, "NOT_FOUND", firebase("UNREGISTERED")), push.Dead, "UNREGISTERED", 0},
		{"404 without FcmError", errorOf(404, "NOT_FOUND", ""), push.Config, "NOT_FOUND", 0},
		{"429 QUOTA_EXCEEDED", errorOf(429, "RESOURCE_EXHAUSTED", firebase("QUOTA_EXCEEDED")), push.Overloaded, "QUOTA_EXCEEDED", time.Minute},
		{"429 of the project", errorOf(429, "RESOURCE_EXHAUSTED", whole+","+firebase("QUOTA_EXCEEDED")), push.Overloaded, "QUOTA_EXCEEDED", time.Minute},
		{"429 of one device", errorOf(429, "RESOURCE_EXHAUSTED", device+","+firebase("QUOTA_EXCEEDED")), push.Throttled, "QUOTA_EXCEEDED", time.Minute},
		{"500 INTERNAL", errorOf(500, "INTERNAL", firebase("INTERNAL")), push.Transient, "INTERNAL", 0},
		{"503 UNAVAILABLE", errorOf(503, "UNAVAILABLE", firebase("UNAVAILABLE")), push.Overloaded, "UNAVAILABLE", 10 * time.Second},
		{"UNREGISTERED with another status", errorOf(400, "INVALID_ARGUMENT", firebase("UNREGISTERED")), push.Refused, "UNREGISTERED", 0},
		{"SENDER_ID_MISMATCH with another status", errorOf(500, "INTERNAL", firebase("SENDER_ID_MISMATCH")), push.Transient, "SENDER_ID_MISMATCH", 0},
		{"a detail of another type", errorOf(404, "NOT_FOUND", `{"@type":"x","errorCode":"UNREGISTERED"}`), push.Config, "NOT_FOUND", 0},
		{"403 page", served.Step{Status: 403, Body: "<html>secret"}, push.Config, "unexpected_answer", 0},
		{"404 page", served.Step{Status: 404, Body: "<html>secret"}, push.Config, "unexpected_answer", 0},
		{"400 page", served.Step{Status: 400, Body: "<html>secret"}, push.Transient, "unexpected_answer", 0},
		{"503 page", served.Step{Status: 503, Body: "<html>secret"}, push.Overloaded, "unexpected_answer", 10 * time.Second},
		{"200 page", served.Step{Status: 200, Body: "<html>secret"}, push.Transient, "unexpected_answer", 0},
		{"200 without a name", served.Step{Status: 200, Body: "{}"}, push.Transient, "unexpected_answer", 0},
		{"302", served.Step{Status: 302, Header: map[string]string{"Location": "https://127.0.0.1:1/secret"}}, push.Transient, "unexpected_answer", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := build(t, nil)
			w.Messages.Script.Add(tt.step)
			f := want(t, w.send(t), tt.class, tt.reason, tt.step.Status)
			if f.RetryAfter != tt.after || len(w.Messages.Requests()) != 1 {
				t.Errorf("after %v in %d requests, want %v in 1", f.RetryAfter, len(w.Messages.Requests()), tt.after)
			}
		})
	}
}

func TestRetryAfterIsHandedOn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		text   string
		class  push.Class
		want   time.Duration
	}{
		{429, "120", push.Overloaded, 2 * time.Minute},
		{503, start.Add(30 * time.Second).Format(http.TimeFormat), push.Overloaded, 30 * time.Second},
		{503, "soon", push.Overloaded, 10 * time.Second},
		{500, "5", push.Transient, 5 * time.Second},
	} {
		w := build(t, nil)
		step := errorOf(tt.status, "WORD", "")
		step.Header = map[string]string{"Retry-After": tt.text}
		w.Messages.Script.Add(step)
		if f := want(t, w.send(t), tt.class, "WORD", tt.status); f.RetryAfter != tt.want {
			t.Errorf("%d with Retry-After: %s waits %v, want %v", tt.status, tt.text, f.RetryAfter, tt.want)
		}
	}
}

// What the service knows of addresses comes from itself rather than from a script.
func TestAddressesAndPackages(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	w.Unregister(phone + "gone")
	w.Disown(phone + "other")
	for _, tt := range []struct {
		name, address string
		class         push.Class
		reason        string
		status        int
	}{
		{"registered", phone, "", "", 0},
		{"removed app", phone + "gone", push.Dead, "UNREGISTERED", 404},
		{"another project's app", phone + "other", push.Dead, "SENDER_ID_MISMATCH", 403},
		{"unknown", phone + "unknown", push.Refused, "invalid_address", 400},
	} {
		m := w.message()
		m.Address = tt.address
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want(t, w.sender.Send(t.Context(), m), tt.class, tt.reason, tt.status)
		})
	}
}

func TestAWrongPackageReachesNobody(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	m := w.message()
	m.App = "com.example.other"
	want(t, w.sender.Send(t.Context(), m), "", "", 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, ok := w.Inbox.Take(ctx, phone); ok {
		t.Errorf("the phone was told %+v", n)
	}
}

func TestWhatCannotBeRightIsNotSent(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	for _, tt := range []struct {
		name   string
		change func(*push.Message)
		reason string
	}{
		{"a short address", func(m *push.Message) { m.Address = "short" }, "malformed_address"},
		{"a long address", func(m *push.Message) { m.Address = strings.Repeat("a", 4097) }, "malformed_address"},
		{"a quote in it", func(m *push.Message) { m.Address = phone + `"` }, "malformed_address"},
		{"a line behind it", func(m *push.Message) { m.Address = phone + "\n" }, "malformed_address"},
		{"no address", func(m *push.Message) { m.Address = "" }, "no_address"},
		{"no package", func(m *push.Message) { m.App = "" }, "malformed_app"},
		{"a package without a dot", func(m *push.Message) { m.App = "bank" }, "malformed_app"},
		{"a long package", func(m *push.Message) { m.App = "a." + strings.Repeat("b", 254) }, "malformed_app"},
		{"an operation that is over", func(m *push.Message) { m.Expires = start }, "expired"},
	} {
		m := w.message()
		tt.change(&m)
		want(t, w.sender.Send(t.Context(), m), push.Refused, tt.reason, 0)
		if tt.reason == "malformed_address" && !errors.Is(w.sender.Check(m.Address), push.ErrAddress) {
			t.Errorf("%s: Check takes it", tt.name)
		}
	}
	if n := len(w.Messages.Requests()) + len(w.Tokens.Requests()); n != 0 {
		t.Errorf("%d requests were made", n)
	}
	if err := w.sender.Check(phone); err != nil {
		t.Error(err)
	}
}

func TestFaultsOnTheWay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		step   served.Step
		limit  time.Duration
		reason string
	}{
		{"closed in the middle of an answer", served.Step{Status: 200, Body: `{"name":`, Cut: true}, 0, "connection"},
		{"stream reset", served.Step{Reset: true}, 0, "connection"},
		{"no answer", served.Step{Stall: true}, 500 * time.Millisecond, "timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := build(t, func(c *fcm.Config) {
				if tt.limit > 0 {
					c.Timeout = tt.limit
				}
			})
			want(t, w.send(t), "", "", 0)
			w.Messages.Script.Add(tt.step)
			want(t, w.send(t), push.Transient, tt.reason, 0)
		})
	}
}

func TestAProxyCarriesMessagesAndTokens(t *testing.T) {
	t.Parallel()
	p, err := proxy.Start(proxy.Config{User: "us", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	w := build(t, func(c *fcm.Config) { c.Proxy = p.URL })
	want(t, w.send(t), "", "", 0)
	asked := strings.Join(p.Asked(), " ")
	if host := strings.TrimPrefix(w.URL, "https://"); asked != w.TokenHost()+" "+host {
		t.Errorf("the proxy was asked for %s", asked)
	}
}

func TestAProxyThatRefuses(t *testing.T) {
	t.Parallel()
	for status, class := range map[int]push.Class{403: push.Config, 407: push.Config, 502: push.Overloaded} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			p, err := proxy.Start(proxy.Config{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close() })
			w := build(t, func(c *fcm.Config) { c.Proxy = p.URL })
			p.Refuse(status)
			want(t, w.send(t), class, "proxy", 0) // for the token already
			p.Refuse(0)
			want(t, w.send(t), "", "", 0)
		})
	}
}

// Ten thousand messages go over one connection with one access token, and none of them is kept afterwards. It runs alone: memory is
// measured.
func TestTenThousandMessagesOverOneConnection(t *testing.T) { //nolint:paralleltest // see above
	const places = 48
	total := 10_000
	if raceDetector {
		total = 1000 // each costs the detector some milliseconds
	}
	w := build(t, func(c *fcm.Config) { c.Places = places })
	before := heap()
	jobs := make(chan int)
	var group sync.WaitGroup
	for range 2 * places {
		group.Go(func() {
			for range jobs {
				if err := w.send(t); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range total {
		jobs <- i
	}
	close(jobs)
	group.Wait()
	if w.Accepted() != total || w.Messages.Connections() != 1 || len(w.Tokens.Requests()) != 1 {
		t.Errorf("%d were taken over %d connections with %d tokens", w.Accepted(), w.Messages.Connections(), len(w.Tokens.Requests()))
	}
	// The service keeps what it was asked, some two kilobytes each.
	if grown := heap() - before; grown > 64<<20 {
		t.Errorf("%d bytes are held after %d messages", grown, total)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // far below
}
