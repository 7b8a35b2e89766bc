// SPDX-License-Identifier: Apache-2.0

package apns_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/apns"
	fake "github.com/gatehouse-id/gatehouse/tests/services/apns"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

const (
	topic  = "com.example.bank"
	team   = "TEAM567890"
	keyID  = "KEY4567890"
	phone  = "feedfacefeedfacefeedfacefeedfacefeedfacefeedfacefeedfacefeedface"
	pushID = "6f1c2a90-7f0e-4b1d-9a55-0123456789ab"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// clock stands still until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) forward(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(by)
}

// world is Apple's service and a sender that reaches it, each with a clock.
type world struct {
	*fake.Service
	sender       *apns.Sender
	authority    *loopback.Authority
	theirs, ours *clock
}

func build(t *testing.T, change func(*apns.Config, *loopback.Authority)) *world {
	t.Helper()
	authority, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{authority: authority, theirs: &clock{at: start}, ours: &clock{at: start}}
	signs, err := fake.NewKey(team, keyID)
	if err != nil {
		t.Fatal(err)
	}
	w.Service, err = fake.Start(fake.Config{
		Authority: authority, Now: w.theirs.now, Keys: []*fake.Key{signs}, Topics: []string{topic, "com.example.other"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	w.Register(phone, topic)
	c := apns.Config{
		Key: parsed(t, signs), TeamID: team, KeyID: keyID, BaseURL: w.URL, Roots: authority.Pool(), Now: w.ours.now,
		Timeout: time.Minute, // a busy machine is no failure
	}
	if change != nil {
		change(&c, authority)
	}
	if w.sender, err = apns.New(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.sender.Close)
	return w
}

func parsed(t *testing.T, k *fake.Key) *apns.Key {
	t.Helper()
	p8, err := k.P8()
	if err != nil {
		t.Fatal(err)
	}
	key, err := apns.ParseKey(p8)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// message is a notification that is good in every way.
func (w *world) message() push.Message {
	now := w.ours.now()
	return push.Message{
		ID: pushID, Operation: "op_Ab3-9", Address: phone, App: topic, Expires: now.Add(2 * time.Minute), StoredAt: now.Add(-24 * time.Hour),
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
	for _, secret := range []string{phone, "bearer", "eyJ", "secret"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error says %q: %v", secret, err)
		}
	}
	return f
}
