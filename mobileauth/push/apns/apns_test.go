// SPDX-License-Identifier: Apache-2.0

package apns_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/apns"
	fake "github.com/gatehouse-id/gatehouse/tests/services/apns"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

func TestAPushHoldsTheOperationAndNothingElse(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	want(t, w.send(t), "", "", 0)
	n, ok := w.Inbox.Take(t.Context(), phone)
	if !ok || n.Operation != "op_Ab3-9" {
		t.Fatalf("the phone was told %+v", n)
	}
	const payload = `{"aps":{"alert":{"title-loc-key":"GATEHOUSE_TITLE","loc-key":"GATEHOUSE_BODY"},"sound":"default",` +
		`"category":"APPROVAL","mutable-content":1,"interruption-level":"time-sensitive"},"op":"op_Ab3-9"}`
	if string(n.Payload) != payload {
		t.Errorf("payload = %s, want %s", n.Payload, payload)
	}
	if diff := cmp.Diff(map[string]string{
		"apns-id": pushID, "apns-topic": topic, "apns-push-type": "alert", "apns-priority": "10", "apns-collapse-id": "op_Ab3-9",
		"apns-expiration": strconv.FormatInt(start.Add(2*time.Minute).Unix(), 10),
	}, n.Headers); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestTheAlertNamesTheAppsOwnStrings(t *testing.T) {
	t.Parallel()
	w := build(t, func(c *apns.Config, _ *loopback.Authority) {
		c.Alert = apns.Alert{Title: "T", Body: "B", Sound: "bell.caf", Category: "C"}
	})
	want(t, w.send(t), "", "", 0)
	n, _ := w.Inbox.Take(t.Context(), phone)
	const payload = `{"aps":{"alert":{"title-loc-key":"T","loc-key":"B"},"sound":"bell.caf","category":"C","mutable-content":1,` +
		`"interruption-level":"time-sensitive"},"op":"op_Ab3-9"}`
	if string(n.Payload) != payload {
		t.Errorf("payload = %s, want %s", n.Payload, payload)
	}
}

func TestBuildsInDevelopmentAreReachedInTheSandbox(t *testing.T) {
	t.Parallel()
	var sandbox *fake.Service
	w := build(t, func(c *apns.Config, authority *loopback.Authority) {
		var err error
		key, err := fake.NewKey(team, keyID)
		if err != nil {
			t.Fatal(err)
		}
		c.Key = parsed(t, key)
		sandbox, err = fake.Start(fake.Config{
			Authority: authority, Now: func() time.Time { return start }, Keys: []*fake.Key{key}, Sandbox: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sandbox.Close() })
		sandbox.Register(strings.Repeat("ab", 32), topic)
		c.SandboxURL = sandbox.URL
	})
	m := w.message()
	m.Address, m.Sandbox = strings.Repeat("ab", 32), true
	want(t, w.sender.Send(t.Context(), m), "", "", 0)
	if n := w.Stats().Requests; n != 0 {
		t.Errorf("%d requests went to production", n)
	}
	m.Sandbox = false // the key is the sandbox's alone
	want(t, w.sender.Send(t.Context(), m), push.Config, "InvalidProviderToken", http.StatusForbidden)
}

// TestApplesAnswers has a case for each row of Apple's table of responses, and for what is in none.
func TestApplesAnswers(t *testing.T) {
	t.Parallel()
	stored := start.Add(-24 * time.Hour)
	for _, tt := range []struct {
		step   fake.Step
		class  push.Class
		reason string
		calls  int // how often it was sent in all
	}{
		{fake.Step{Status: 200}, "", "", 1},
		{fake.Step{Status: 400, Reason: "BadDeviceToken"}, push.Refused, "BadDeviceToken", 1},
		{fake.Step{Status: 400, Reason: "DeviceTokenNotForTopic"}, push.Refused, "DeviceTokenNotForTopic", 1},
		{fake.Step{Status: 400, Reason: "BadCollapseId"}, push.Refused, "BadCollapseId", 1},
		{fake.Step{Status: 400, Reason: "BadExpirationDate"}, push.Refused, "BadExpirationDate", 1},
		{fake.Step{Status: 400, Reason: "BadMessageId"}, push.Refused, "BadMessageId", 1},
		{fake.Step{Status: 400, Reason: "BadPriority"}, push.Refused, "BadPriority", 1},
		{fake.Step{Status: 400, Reason: "BadTopic"}, push.Refused, "BadTopic", 1},
		{fake.Step{Status: 400, Reason: "DuplicateHeaders"}, push.Refused, "DuplicateHeaders", 1},
		{fake.Step{Status: 400, Reason: "InvalidPushType"}, push.Refused, "InvalidPushType", 1},
		{fake.Step{Status: 400, Reason: "MissingDeviceToken"}, push.Refused, "MissingDeviceToken", 1},
		{fake.Step{Status: 400, Reason: "MissingTopic"}, push.Refused, "MissingTopic", 1},
		{fake.Step{Status: 400, Reason: "PayloadEmpty"}, push.Refused, "PayloadEmpty", 1},
		{fake.Step{Status: 400, Reason: "TopicDisallowed"}, push.Refused, "TopicDisallowed", 1},
		{fake.Step{Status: 400, Reason: "IdleTimeout"}, "", "", 2},
		{fake.Step{Status: 403, Reason: "ExpiredProviderToken"}, push.Config, "ExpiredProviderToken", 1},
		{fake.Step{Status: 403, Reason: "InvalidProviderToken"}, push.Config, "InvalidProviderToken", 1},
		{fake.Step{Status: 403, Reason: "MissingProviderToken"}, push.Config, "MissingProviderToken", 1},
		{fake.Step{Status: 403, Reason: "Forbidden"}, push.Config, "Forbidden", 1},
		{fake.Step{Status: 403, Reason: "BadCertificate"}, push.Config, "BadCertificate", 1},
		{fake.Step{Status: 403, Reason: "BadCertificateEnvironment"}, push.Config, "BadCertificateEnvironment", 1},
		{fake.Step{Status: 403, Reason: "BadEnvironmentKeyIdInToken"}, push.Config, "BadEnvironmentKeyIdInToken", 1},
		{fake.Step{Status: 403, Reason: "BadEnvironmentKeyInToken"}, push.Config, "BadEnvironmentKeyInToken", 1},
		{fake.Step{Status: 403, Reason: "UnrelatedKeyIdInToken"}, push.Config, "UnrelatedKeyIdInToken", 1},
		{fake.Step{Status: 403, Reason: "SomethingNew"}, push.Config, "SomethingNew", 1},
		{fake.Step{Status: 404, Reason: "BadPath"}, push.Refused, "BadPath", 1},
		{fake.Step{Status: 405, Reason: "MethodNotAllowed"}, push.Refused, "MethodNotAllowed", 1},
		{fake.Step{Status: 410, Reason: "Unregistered", Timestamp: stored.Add(time.Millisecond)}, push.Dead, "Unregistered", 1},
		{fake.Step{Status: 410, Reason: "ExpiredToken", Timestamp: stored.Add(time.Millisecond)}, push.Dead, "ExpiredToken", 1},
		{fake.Step{Status: 410, Reason: "Unregistered", Timestamp: stored}, push.Dead, "Unregistered", 1},
		{fake.Step{Status: 410, Reason: "Unregistered"}, push.Dead, "Unregistered", 1},
		{fake.Step{Status: 410, Reason: "Unregistered", Timestamp: stored.Add(-time.Millisecond)}, push.Refused, "stale_notice", 1},
		{fake.Step{Status: 410, Reason: "SomethingNew"}, push.Refused, "SomethingNew", 1},
		{fake.Step{Status: 410, Body: "<html>gone", ContentType: "text/html"}, push.Transient, "unexpected_answer", 1},
		{fake.Step{Status: 400, Reason: "Unregistered"}, push.Refused, "Unregistered", 1},
		{fake.Step{Status: 413, Reason: "PayloadTooLarge"}, push.Refused, "PayloadTooLarge", 1},
		{fake.Step{Status: 429, Reason: "TooManyProviderTokenUpdates"}, push.Overloaded, "TooManyProviderTokenUpdates", 1},
		{fake.Step{Status: 429, Reason: "TooManyRequests"}, push.Throttled, "TooManyRequests", 1},
		{fake.Step{Status: 429, Body: "slow down"}, push.Overloaded, "unexpected_answer", 1},
		{fake.Step{Status: 500, Reason: "InternalServerError"}, push.Transient, "InternalServerError", 1},
		{fake.Step{Status: 503, Reason: "ServiceUnavailable"}, push.Overloaded, "ServiceUnavailable", 1},
		{fake.Step{Status: 503, Reason: "Shutdown"}, push.Transient, "Shutdown", 1},
		{fake.Step{Status: 503, Body: "<html>secret", ContentType: "text/html"}, push.Overloaded, "unexpected_answer", 1},
		{fake.Step{Status: 403, Body: "<html>log in", ContentType: "text/html"}, push.Config, "unexpected_answer", 1},
		{fake.Step{Status: 302, Header: map[string]string{"Location": "https://127.0.0.1:1/secret"}}, push.Transient, "unexpected_answer", 1},
		{fake.Step{Status: 400, Body: `{"reason":"the token ` + phone + ` is bad"}`}, push.Transient, "unexpected_answer", 1},
		{fake.Step{Status: 400, Body: `{"reason":`}, push.Transient, "unexpected_answer", 1},
	} {
		name := strconv.Itoa(tt.step.Status) + " " + tt.step.Reason + tt.step.Body
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := build(t, nil)
			w.Script.Add(tt.step)
			err := w.send(t)
			status := tt.step.Status
			if tt.class == "" {
				status = 0
			}
			want(t, err, tt.class, tt.reason, status)
			if got := w.Stats().Requests; got != tt.calls {
				t.Errorf("it was sent %d times, want %d", got, tt.calls)
			}
		})
	}
}

func TestRetryAfterIsHandedOn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want time.Duration
	}{{"120", 2 * time.Minute}, {start.Add(30 * time.Second).Format(http.TimeFormat), 30 * time.Second}, {"soon", 0}} {
		w := build(t, nil)
		w.Script.Add(fake.Step{Status: 503, Reason: "ServiceUnavailable", Header: map[string]string{"Retry-After": tt.text}})
		if f := want(t, w.send(t), push.Overloaded, "ServiceUnavailable", 503); f.RetryAfter != tt.want {
			t.Errorf("Retry-After: %s is %v, want %v", tt.text, f.RetryAfter, tt.want)
		}
	}
}

// What the registry of devices says comes from the service itself rather than from a script.
func TestDevicesAndBundles(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	for _, tt := range []struct {
		name   string
		before func(*push.Message)
		class  push.Class
		reason string
		status int
	}{
		{"unknown device", func(m *push.Message) { m.Address = strings.Repeat("0", 64) }, push.Refused, "BadDeviceToken", 400},
		{"bundle of another app", func(m *push.Message) { m.App = "com.example.other" }, push.Refused, "DeviceTokenNotForTopic", 400},
		{"bundle of another team", func(m *push.Message) { m.App = "com.elsewhere" }, push.Refused, "TopicDisallowed", 400},
		{"removed app", func(m *push.Message) {
			m.Address = strings.Repeat("de", 32)
			w.Kill(m.Address, m.StoredAt.Add(time.Hour))
		}, push.Dead, "Unregistered", 410},
		{"app that was installed again", func(m *push.Message) {
			m.Address = strings.Repeat("ed", 32)
			w.Kill(m.Address, m.StoredAt.Add(-time.Hour))
		}, push.Refused, "stale_notice", 410},
		{"device that gets too much", func(m *push.Message) {
			m.Address = strings.Repeat("ab", 32)
			w.Throttle(m.Address, topic)
		}, push.Throttled, "TooManyRequests", 429},
		{"upper case", func(m *push.Message) { m.Address = strings.ToUpper(m.Address) }, "", "", 0},
	} {
		m := w.message()
		tt.before(&m)
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want(t, w.sender.Send(t.Context(), m), tt.class, tt.reason, tt.status)
		})
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
		{"another path", func(m *push.Message) { m.Address = "../../3/device/" + phone }, "malformed_address"},
		{"a query", func(m *push.Message) { m.Address = phone + "?x" }, "malformed_address"},
		{"a short token", func(m *push.Message) { m.Address = "feedface" }, "malformed_address"},
		{"a long token", func(m *push.Message) { m.Address = strings.Repeat("a", 201) }, "malformed_address"},
		{"a line behind it", func(m *push.Message) { m.Address = phone + "\n" }, "malformed_address"},
		{"no address", func(m *push.Message) { m.Address = "" }, "no_address"},
		{"no app", func(m *push.Message) { m.App = "" }, "malformed_app"},
		{"a field in the app", func(m *push.Message) { m.App = "com.example\r\napns-priority: 5" }, "malformed_app"},
		{"an operation that is over", func(m *push.Message) { m.Expires = start }, "expired"},
		{"an id in upper case", func(m *push.Message) { m.ID = strings.ToUpper(m.ID) }, "malformed_id"},
	} {
		m := w.message()
		tt.change(&m)
		want(t, w.sender.Send(t.Context(), m), push.Refused, tt.reason, 0)
		if strings.HasPrefix(tt.reason, "malformed_address") && !errors.Is(w.sender.Check(m.Address), push.ErrAddress) {
			t.Errorf("%s: Check takes it", tt.name)
		}
	}
	if n := w.Stats().Requests; n != 0 {
		t.Errorf("%d requests were made", n)
	}
	for _, good := range []string{phone, strings.Repeat("A", 16), strings.Repeat("9", 200)} {
		if err := w.sender.Check(good); err != nil {
			t.Errorf("Check(%q) = %v", good, err)
		}
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	w.Script.Add(fake.Step{Stall: true})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.sender.Send(ctx, w.message()) }()
	for w.Stats().Requests == 0 {
		select {
		case err := <-done:
			t.Fatalf("Send = %v before the request was there", err)
		default:
		}
	}
	cancel()
	want(t, <-done, push.Transient, "cancelled", 0)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	signs, err := fake.NewKey(team, keyID)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	key, cert := parsed(t, signs), certificate(t, authority, false, start.AddDate(1, 0, 0))
	now := func() time.Time { return start }
	for _, tt := range []struct {
		name   string
		config apns.Config
	}{
		{"no clock", apns.Config{Key: key, TeamID: team, KeyID: keyID}},
		{"no credential", apns.Config{Now: now}},
		{"two credentials", apns.Config{Now: now, Key: key, TeamID: team, KeyID: keyID, Certificate: cert}},
		{"no team", apns.Config{Now: now, Key: key, KeyID: keyID}},
		{"no key id", apns.Config{Now: now, Key: key, TeamID: team}},
		{"a team that would change the token", apns.Config{Now: now, Key: key, TeamID: `","iat":00`, KeyID: keyID}},
		{"a certificate with a team", apns.Config{Now: now, Certificate: cert, TeamID: team}},
		{"plain http", apns.Config{Now: now, Certificate: cert, BaseURL: "http://push.example.com"}},
		{"a sandbox of plain http", apns.Config{Now: now, Certificate: cert, SandboxURL: "http://push.example.com"}},
		{"too many places", apns.Config{Now: now, Certificate: cert, Places: 1 << 20}},
	} {
		if _, err := apns.New(tt.config); err == nil {
			t.Errorf("%s: New takes it", tt.name)
		}
	}
}
