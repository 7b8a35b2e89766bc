// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// noon is the time of every test here.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const pin = "493817"

// cheap is enough work for a test.
var cheap = device.KDF{Time: 1, Memory: 8, Threads: 1}

// phone is a device with all that it keeps.
type phone struct {
	config device.Config
	store  *device.SoftStore
	mu     sync.Mutex
	saved  []byte // the last state that was saved
	fail   error  // of the next save
	now    time.Time
}

func newPhone(tb testing.TB) *phone {
	tb.Helper()
	p := &phone{store: new(device.SoftStore), now: noon}
	client := &http.Client{Transport: &http.Transport{}}
	tb.Cleanup(client.CloseIdleConnections)
	p.config = device.Config{
		Client: client, Keystore: p.store, Vault: p.store, KDF: cheap, Save: p.save,
		Now: func() time.Time { return p.now },
	}
	return p
}

func (p *phone) save(_ context.Context, s device.State) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	var err error
	p.saved, err = json.Marshal(s)
	return err
}

// restart opens the device as an app does that was closed.
func (p *phone) restart(tb testing.TB) *device.Device {
	tb.Helper()
	var state device.State
	if err := json.Unmarshal(p.saved, &state); err != nil {
		tb.Fatal(err)
	}
	kept, err := json.Marshal(p.store)
	if err != nil {
		tb.Fatal(err)
	}
	store := new(device.SoftStore)
	if err := json.Unmarshal(kept, store); err != nil {
		tb.Fatal(err)
	}
	p.store, p.config.Keystore, p.config.Vault = store, store, store
	d, err := device.Open(tb.Context(), p.config, state)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// enrolment is what the phones here register with.
func enrolment(s *server) device.Enrolment {
	return device.Enrolment{
		Invitation: s.invitation(), Application: "bank", Version: "2.0.1", Platform: "android", Model: "Pixel 9", OS: "Android 16",
		Name: "Alice's phone", Handset: "h-1", PIN: pin, Factors: []string{"biometric"},
		Push: &envelope.PushAddress{Service: "google", Address: "token-1"},
	}
}

// enrolled returns a server with a device that is active.
func enrolled(t *testing.T) (*server, *phone, *device.Device) {
	t.Helper()
	s, p := newServer(t), newPhone(t)
	d, err := device.Enrol(t.Context(), p.config, enrolment(s))
	if err != nil {
		t.Fatal(err)
	}
	s.do(func() { s.status = "active" })
	return s, p, d
}

// question is one that takes these methods.
func question(methods ...string) envelope.Display {
	return envelope.Display{Methods: methods, Application: "bank", Fields: []envelope.Field{{Type: "amount", Label: "Amount", Value: "100.00", Currency: "EUR"}}}
}

func mustFetch(t *testing.T, d *device.Device, operation string) device.Question {
	t.Helper()
	q, err := d.Fetch(t.Context(), operation)
	if err != nil {
		t.Fatal(err)
	}
	return q
}
