// SPDX-License-Identifier: Apache-2.0

package deviceapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// TestRefusalsLookTheSame: whatever is wrong with a message, from outside it is one answer. The audit knows.
func TestRefusalsLookTheSame(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p, other := s.enrol(alice), s.enrol(bob)
	spoilt := func(change func(*envelope.Request)) string {
		r := p.request(envelope.PathPending)
		change(&r)
		return p.sealed(r, nil)
	}
	gone := s.enrol("usr_carol")
	_, err := s.devices.Lock(t.Context(), gone.State().Device, "helpdesk")
	must(t, err)
	stranger, err := jose.GenerateDecryption()
	must(t, err)
	elsewhere, err := envelope.EncKeyOf(stranger.Public())
	must(t, err)
	foreign, err := envelope.SealRequest(p.request(envelope.PathPending), nil, p.keys, elsewhere)
	must(t, err)
	good := spoilt(func(*envelope.Request) {})
	if status, _, _ := s.post(envelope.PathPending, good); status != http.StatusOK {
		t.Fatalf("a good message: %d", status)
	}
	for _, test := range []struct{ name, body, reason string }{
		{"nothing", "", "encryption"},
		{"not a message", "hello", "encryption"},
		{"five parts of nothing", "a.b.c.d.e", "encryption"},
		{"cut short", good[:len(good)-4], "encryption"},
		{"altered", good[:len(good)-6] + "AAAAA" + good[len(good)-1:], "decryption"},
		{"for a key that is not here", foreign, "server_key"},
		{"seen before", good, "replay"},
		{"another issuer's", spoilt(func(r *envelope.Request) { r.Audience = "https://other.example" }), "audience"},
		{"another endpoint's", spoilt(func(r *envelope.Request) { r.Path = envelope.PathFetch }), "path"},
		{"too old", spoilt(func(r *envelope.Request) { r.At = r.At.Add(-2 * time.Minute) }), "clock"},
		{"from the future", spoilt(func(r *envelope.Request) { r.At = r.At.Add(2 * time.Minute) }), "clock"},
		{"of a device that is not there", spoilt(func(r *envelope.Request) { r.Device = "dev_made_up" }), "unknown_device"},
		{"in another's name", spoilt(func(r *envelope.Request) { r.Device = other.State().Device }), "signing_key"},
		{"of a locked device", gone.sealed(gone.request(envelope.PathPending), nil), "device_unusable"},
		{"a body that is none", p.sealed(p.request(envelope.PathPending), map[string]any{"wait": "long"}), "body"},
	} {
		status, body, header := s.post(envelope.PathPending, test.body)
		want := fmt.Sprintf(`{"type":"about:blank","title":"The message was refused","status":400,"code":"message_refused","time":%d}`,
			s.clock.Now().Unix())
		if status != http.StatusBadRequest || strings.TrimSpace(body) != want {
			t.Errorf("%s: %d %s", test.name, status, body)
		}
		if header.Get("Content-Type") != "application/problem+json" || header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: header %v", test.name, header)
		}
		if got := s.lines.reason(); got != test.reason {
			t.Errorf("%s: the audit says %q, want %q", test.name, got, test.reason)
		}
	}
}

// TestReplayHasNoEffect: a message that changes something is taken once, whenever the second one comes.
func TestReplayHasNoEffect(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.enrol(alice)
	set := p.sealed(p.request(envelope.PathPush), envelope.PushRequest{Push: &envelope.PushAddress{Service: "fcm", Address: "old"}})
	if status, _, _ := s.post(envelope.PathPush, set); status != http.StatusOK {
		t.Fatalf("setting an address: %d", status)
	}
	must(t, p.SetPush(t.Context(), &envelope.PushAddress{Service: "fcm", Address: "new"}))
	for _, later := range []time.Duration{0, 59 * time.Second, time.Second, time.Second, time.Hour} {
		s.clock.Advance(later)
		if status, _, _ := s.post(envelope.PathPush, set); status != http.StatusBadRequest {
			t.Errorf("the same message: %d", status)
		}
	}
	d, err := s.devices.Get(t.Context(), p.State().Device)
	must(t, err)
	if d.Push.Address != "new" {
		t.Errorf("a replay has set the address %q", d.Push.Address)
	}
}

// TestReplayOfQuestions: also what only asks is answered once, for as long as its clock is accepted.
func TestReplayOfQuestions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.enrol(alice)
	r := p.request(envelope.PathDevice)
	r.At = r.At.Add(50 * time.Second)
	asked := p.sealed(r, nil)
	for i, later := range []time.Duration{0, time.Second, 60 * time.Second, 40 * time.Second} {
		s.clock.Advance(later)
		want := http.StatusBadRequest
		if i == 0 {
			want = http.StatusOK
		}
		if status, _, _ := s.post(envelope.PathDevice, asked); status != want {
			t.Errorf("the same question %s later: %d, want %d", later, status, want)
		}
	}
}

// TestHTTP: what is no message at all is refused by what HTTP has for it.
func TestHTTP(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	get, err := s.client.Get(s.url + envelope.PathPending)
	must(t, err)
	_ = get.Body.Close()
	if get.StatusCode != http.StatusMethodNotAllowed || get.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %d, Allow %q", get.StatusCode, get.Header.Get("Allow"))
	}
	typed, err := s.client.Post(s.url+envelope.PathPending, "application/json", strings.NewReader("{}"))
	must(t, err)
	_ = typed.Body.Close()
	if typed.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("JSON: %d", typed.StatusCode)
	}
	if status, _, _ := s.post("/mobile/v1/nothing", "x"); status != http.StatusNotFound {
		t.Errorf("no endpoint: %d", status)
	}
	for path, size := range map[string]int{
		envelope.PathAnswer: envelope.MaxRequest, envelope.PathRegistrations: envelope.MaxRegistration,
	} {
		if status, _, _ := s.post(path, strings.Repeat("a", size)); status != http.StatusBadRequest {
			t.Errorf("%s with %d bytes: %d", path, size, status)
		}
		if status, _, _ := s.post(path, strings.Repeat("a", size+1)); status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s with %d bytes: %d", path, size+1, status)
		}
	}
	if status, _, _ := s.post(envelope.PathAnswer, strings.Repeat("a", 1<<20)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a mebibyte: %d", status)
	}
}

// TestStoreDown: nothing is done, nobody is let in, and the phone is told to come back.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.enrol(alice)
	o := s.ask(alice)
	q, err := p.Fetch(t.Context(), o.ID)
	must(t, err)
	for _, op := range []storagetest.Op{storagetest.OnView, storagetest.OnUpdate, storagetest.OnCommit} {
		s.db.Inject(storagetest.Fault{Op: op, Err: storage.ErrClosed})
		statement, err := envelope.SignStatement(envelope.Statement{
			Device: p.State().Device, Audience: s.url, ID: envelope.NewID(), At: s.clock.Now(), Purpose: envelope.PurposeApproval,
			Operation: o.ID, DisplayHash: o.DisplayHash, Decision: envelope.Deny, Reason: envelope.Denied,
		}, p.keys)
		must(t, err)
		status, body, header := s.post(envelope.PathAnswer,
			p.sealed(p.request(envelope.PathAnswer), envelope.Stated{Statement: statement.Raw()}))
		if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || strings.Contains(body, "closed") {
			t.Errorf("%v: %d %s", op, status, body)
		}
		s.db.Clear()
		if got := s.state(o.ID); !got.Open() {
			t.Errorf("%v: the operation is %s", op, got)
		}
	}
	must(t, p.Deny(t.Context(), q, envelope.Denied))
}

// TestSlowDown: an address whose messages are refused again and again has to wait, and then is heard again.
func TestSlowDown(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for range 100 {
		if status, _, _ := s.post(envelope.PathAnswer, "x"); status != http.StatusBadRequest {
			t.Fatalf("a refused message: %d", status)
		}
	}
	status, _, header := s.post(envelope.PathAnswer, "x")
	if status != http.StatusTooManyRequests || header.Get("Retry-After") != "1" {
		t.Errorf("after a hundred: %d, Retry-After %q", status, header.Get("Retry-After"))
	}
	s.clock.Advance(2 * time.Second)
	if status, _, _ := s.post(envelope.PathAnswer, "x"); status != http.StatusBadRequest {
		t.Errorf("later: %d", status)
	}
}

// TestHastyPhone: also a registered phone is heard only so often, and another one is none the worse for it.
func TestHastyPhone(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hasty, other := s.enrol(alice), s.enrol(bob)
	status, answered := 0, 0
	for status != http.StatusTooManyRequests && answered < 200 {
		status, _, _ = s.post(envelope.PathDevice, hasty.sealed(hasty.request(envelope.PathDevice), nil))
		answered++
	}
	if answered < 50 || answered > 101 {
		t.Errorf("told to slow down at message %d", answered)
	}
	if _, err := other.Refresh(t.Context()); err != nil {
		t.Errorf("another phone: %v", err)
	}
	s.clock.Advance(2 * time.Second)
	if _, err := hasty.Refresh(t.Context()); err != nil {
		t.Errorf("later: %v", err)
	}
}

// TestLockedUser: the phones of a user who is locked ask and answer in vain, and say so to nobody but themselves.
func TestLockedUser(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.enrol(alice)
	o := s.ask(alice)
	s.users.Lock(alice)
	if _, err := p.Pending(t.Context(), 0); err == nil {
		t.Error("the phone of a locked user is told what is asked")
	}
	if _, err := p.Fetch(t.Context(), o.ID); err == nil {
		t.Error("the phone of a locked user fetches")
	}
	d, err := s.devices.Get(t.Context(), p.State().Device)
	must(t, err)
	if d.Status != handset.Active {
		t.Errorf("the phone is %s", d.Status)
	}
}

// FuzzMessage: no body opens, breaks the server or gets another answer than the one for all of them.
func FuzzMessage(f *testing.F) {
	s := newServer(f)
	p := s.enrol(alice)
	good := p.sealed(p.request(envelope.PathAnswer), map[string]string{"statement": "a.b.c"})
	for _, seed := range []string{"", "a.b.c.d.e", good, good[:len(good)/2], strings.Replace(good, ".", "..", 1)} {
		f.Add(seed, 0)
		f.Add(seed, 1)
	}
	paths := []string{envelope.PathAnswer, envelope.PathRegistrations}
	f.Fuzz(func(t *testing.T, body string, at int) {
		s.clock.Advance(time.Minute) // so that nobody has to slow down
		r := httptest.NewRequest(http.MethodPost, paths[max(0, at%2)], strings.NewReader(body))
		r.Header.Set("Content-Type", envelope.ContentType)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if status := w.Code; status != http.StatusBadRequest && status != http.StatusRequestEntityTooLarge {
			t.Errorf("%q: %d", body, w.Code)
		}
	})
}
