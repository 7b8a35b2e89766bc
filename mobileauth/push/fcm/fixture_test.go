// SPDX-License-Identifier: Apache-2.0

package fcm_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/fcm"
	fake "github.com/gatehouse-id/gatehouse/tests/services/fcm"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

const (
	project = "bank-12345"
	app     = "com.example.bank"
	phone   = "dXNlcg:APA91bExampleOfARegistrationToken"
	pushID  = "6f1c2a90-7f0e-4b1d-9a55-0123456789ab"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// world is Google's service and a sender that reaches it, with one clock.
type world struct {
	*fake.Service
	sender *fcm.Sender
	later  atomic.Int64
}

func (w *world) now() time.Time           { return start.Add(time.Duration(w.later.Load())) }
func (w *world) forward(by time.Duration) { w.later.Add(int64(by)) }

func build(t *testing.T, change func(*fcm.Config)) *world {
	t.Helper()
	authority, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{}
	if w.Service, err = fake.Start(fake.Config{Authority: authority, Now: w.now, Project: project}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	w.Register(phone, app)
	c := fcm.Config{
		Account: w.account(t), BaseURL: w.URL, Roots: authority.Pool(), Now: w.now,
		Timeout: time.Minute, // a busy machine is no failure
	}
	if change != nil {
		change(&c)
	}
	if w.sender, err = fcm.New(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.sender.Close)
	return w
}

func (w *world) account(t *testing.T) *fcm.ServiceAccount {
	t.Helper()
	file, err := w.Account()
	if err != nil {
		t.Fatal(err)
	}
	account, err := fcm.ParseServiceAccountFor(file, w.TokenHost())
	if err != nil {
		t.Fatal(err)
	}
	return account
}

// file is the account's file with some members replaced.
func (w *world) file(t *testing.T, replaced map[string]string) []byte {
	t.Helper()
	data, err := w.Account()
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]string
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatal(err)
	}
	for name, value := range replaced {
		members[name] = value
	}
	if data, err = json.Marshal(members); err != nil {
		t.Fatal(err)
	}
	return data
}

func (w *world) message() push.Message {
	now := w.now()
	return push.Message{
		ID: pushID, Operation: "op_Ab3-9", Address: phone, App: app, Expires: now.Add(2 * time.Minute), StoredAt: now.Add(-time.Hour),
	}
}

func (w *world) send(t *testing.T) error {
	t.Helper()
	return w.sender.Send(t.Context(), w.message())
}

// want holds an error against the failure that is expected, and against what must not be in any.
func want(t *testing.T, err error, class push.Class, reason string, status int) *push.Failure {
	t.Helper()
	if class == "" {
		if err != nil {
			t.Fatalf("Send = %v, want nil", err)
		}
		return nil
	}
	var f *push.Failure
	if !errors.As(err, &f) || f.Class != class || f.Reason != reason || f.Status != status {
		t.Fatalf("Send = %v, want %s: %s (status %d)", err, class, reason, status)
	}
	for _, secret := range []string{phone, "APA91b", "ya29", "eyJ", "secret", "assertion"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error says %q: %v", secret, err)
		}
	}
	return f
}
