// SPDX-License-Identifier: Apache-2.0

package fcm_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/fcm"
	"github.com/gatehouse-id/gatehouse/tests/services/served"
)

func TestATokenIsUsedUntilShortlyBeforeItsEnd(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	for i, tt := range []struct {
		later time.Duration
		want  int
	}{{0, 1}, {58*time.Minute + 58*time.Second, 1}, {time.Second, 2}, {58 * time.Minute, 2}} {
		w.forward(tt.later)
		want(t, w.send(t), "", "", 0)
		if n := len(w.Tokens.Requests()); n != tt.want {
			t.Errorf("step %d: %d tokens were fetched, want %d", i, n, tt.want)
		}
	}
}

// 401 without a word of Firebase's is about the access token: it is replaced once.
func TestATokenThatIsRefusedIsReplacedOnce(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	want(t, w.send(t), "", "", 0)
	w.Withdraw()
	want(t, w.send(t), "", "", 0)
	if n := len(w.Tokens.Requests()); n != 2 {
		t.Errorf("%d tokens were fetched, want 2", n)
	}
	w.Messages.Script.Add(errorOf(401, "UNAUTHENTICATED", ""), errorOf(401, "UNAUTHENTICATED", ""))
	want(t, w.send(t), push.Config, "UNAUTHENTICATED", 401)
	if n, m := len(w.Tokens.Requests()), len(w.Messages.Requests()); n != 3 || m != 5 {
		t.Errorf("%d tokens in %d requests, want 3 in 5", n, m)
	}
}

func TestARevokedAccount(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	w.Revoke()
	want(t, w.send(t), push.Config, "invalid_grant", 400)
	if n := len(w.Messages.Requests()); n != 0 {
		t.Errorf("%d messages were sent without a token", n)
	}
}

// TestAnswersOfTheTokenEndpoint says what becomes of a message when there is no token for it.
func TestAnswersOfTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		step   served.Step
		class  push.Class
		reason string
		status int
		after  time.Duration
	}{
		{"invalid_scope", served.Step{Status: 400, Body: `{"error":"invalid_scope","error_description":"secret"}`}, push.Config, "invalid_scope", 400, 0},
		{"401", served.Step{Status: 401, Body: `{"error":"unauthorized_client"}`}, push.Config, "unauthorized_client", 401, 0},
		{"403 page", served.Step{Status: 403, Body: "<html>secret"}, push.Config, "access_token", 403, 0},
		{"429", served.Step{Status: 429, Header: map[string]string{"Retry-After": "7"}, Body: "{}"}, push.Overloaded, "access_token", 429, 7 * time.Second},
		{"503", served.Step{Status: 503, Body: "<html>"}, push.Overloaded, "access_token", 503, 0},
		{"500", served.Step{Status: 500, Body: "<html>"}, push.Transient, "access_token", 500, 0},
		{"200 page", served.Step{Status: 200, Body: "<html>secret"}, push.Transient, "access_token", 0, 0},
		{"no token", served.Step{Status: 200, Body: `{"token_type":"Bearer"}`}, push.Transient, "access_token", 0, 0},
		{"a token that is no field", served.Step{Status: 200, Body: `{"access_token":"secret\r\nx: y","token_type":"Bearer"}`}, push.Transient, "access_token", 0, 0},
		{"a token of another type", served.Step{Status: 200, Body: `{"access_token":"secret","token_type":"MAC"}`}, push.Transient, "access_token", 0, 0},
		{"closed in the middle", served.Step{Status: 200, Body: `{"access_token":`, Cut: true}, push.Transient, "connection", 0, 0},
		{"redirect", served.Step{Status: 307, Header: map[string]string{"Location": "https://127.0.0.1:1/secret"}}, push.Transient, "access_token", 307, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := build(t, nil)
			w.Tokens.Script.Add(tt.step)
			if f := want(t, w.send(t), tt.class, tt.reason, tt.status); f.RetryAfter != tt.after {
				t.Errorf("it waits %v, want %v", f.RetryAfter, tt.after)
			}
			want(t, w.send(t), "", "", 0)
		})
	}
}

func TestATokenOfAShortLife(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	w.Tokens.Script.Add(served.Step{Status: 200, Body: `{"access_token":"short","token_type":"Bearer","expires_in":10}`})
	w.Messages.Script.Add(served.Step{Status: 200, Body: `{"name":"projects/x/messages/1"}`}, served.Step{Status: 200, Body: `{"name":"projects/x/messages/2"}`})
	want(t, w.send(t), "", "", 0)
	w.forward(4 * time.Second)
	want(t, w.send(t), "", "", 0)
	w.forward(time.Second)
	want(t, w.send(t), "", "", 0)
	if n := len(w.Tokens.Requests()); n != 2 {
		t.Errorf("%d tokens were fetched, want 2", n)
	}
}

// A token endpoint that does not answer holds nobody back beyond their own time, and one request is made for all.
func TestASlowTokenEndpointHoldsNobodyBack(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	w.Tokens.Script.Add(served.Step{Stall: true})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if err := w.sender.Send(ctx, w.message()); push.ClassOf(err) != push.Transient {
				t.Errorf("Send = %v", err)
			}
		})
	}
	for len(w.Tokens.Requests()) == 0 { //nolint:revive // the condition is the wait
	}
	cancel()
	group.Wait()
	if n := len(w.Tokens.Requests()); n != 1 {
		t.Errorf("%d tokens were asked for, want 1", n)
	}
}

func TestParseServiceAccount(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	google := map[string]string{"token_uri": "https://oauth2.googleapis.com/token"}
	if a, err := fcm.ParseServiceAccount(w.file(t, google)); err != nil || a.Project() != project {
		t.Fatalf("ParseServiceAccount = %v, %v", a, err)
	}
	for _, tt := range []struct {
		name string
		data []byte
		hint string
	}{
		{"a server key", []byte("AAAAabcdefg:APA91bsecret\n"), "Generate new private key"},
		{"an older server key", []byte("AIzasecret"), "Generate new private key"},
		{"the app's file", []byte(`{"project_info":{"project_number":"1"},"client":[]}`), "google-services.json"},
		{"no JSON", []byte("secret"), "JSON"},
		{"too much", []byte(strings.Repeat("x", 65<<10)), "too large"},
		{"a person's credentials", w.file(t, map[string]string{"type": "authorized_user"}), "service_account"},
		{"no project", w.file(t, map[string]string{"project_id": ""}), "project_id"},
		{"a project that is a path", w.file(t, map[string]string{"project_id": "../secret"}), "project_id"},
		{"no account", w.file(t, map[string]string{"client_email": "secret"}), "client_email"},
		{"no key id", w.file(t, map[string]string{"private_key_id": ""}), "private_key_id"},
		{"no key", w.file(t, map[string]string{"private_key": "secret"}), "private_key"},
		{"tokens from anywhere", w.file(t, map[string]string{"token_uri": "https://secret.example/token"}), "oauth2.googleapis.com"},
		{"tokens from a name that looks like it", w.file(t, map[string]string{"token_uri": "https://oauth2.googleapis.com.secret.example/token"}), "token_uri"},
		{"tokens from a user", w.file(t, map[string]string{"token_uri": "https://oauth2.googleapis.com@secret.example/token"}), "token_uri"},
		{"tokens in the clear", w.file(t, map[string]string{"token_uri": "http://oauth2.googleapis.com/token"}), "token_uri"},
	} {
		a, err := fcm.ParseServiceAccount(tt.data)
		if !errors.Is(err, fcm.ErrCredential) || a != nil || !strings.Contains(err.Error(), tt.hint) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: ParseServiceAccount = %v", tt.name, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	for _, tt := range []struct {
		name   string
		config fcm.Config
	}{
		{"no clock", fcm.Config{Account: w.account(t)}},
		{"no account", fcm.Config{Now: w.now}},
		{"plain http", fcm.Config{Account: w.account(t), Now: w.now, BaseURL: "http://push.example.com"}},
		{"too many places", fcm.Config{Account: w.account(t), Now: w.now, Places: 1 << 20}},
	} {
		if _, err := fcm.New(tt.config); err == nil {
			t.Errorf("%s: New takes it", tt.name)
		}
	}
}
