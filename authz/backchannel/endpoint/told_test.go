// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/backchannel"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/notice"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/terms"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// said is what a client was told.
type said struct {
	AuthReqID   string `json:"auth_req_id"`
	Access      string `json:"access_token"`
	Type        string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
	Refresh     string `json:"refresh_token"`
	ID          string `json:"id_token"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func (w *world) read(c told) (s said) {
	w.Helper()
	if err := json.Unmarshal([]byte(c.body), &s); err != nil {
		w.Fatalf("it is told %q", c.body)
	}
	if c.header.Get("Authorization") != "Bearer "+notified || c.header.Get("Content-Type") != "application/json" {
		w.Errorf("the call says %v", c.header)
	}
	// The signature is detached: the content goes back between the dots (RFC 7515, appendix F).
	parts := strings.Split(c.header.Get(notice.Field), "..")
	if len(parts) != 2 {
		w.Fatalf("the signature is %q", c.header.Get(notice.Field))
	}
	token, err := jose.Parse(parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(c.body)) + "." + parts[1])
	check(w.T, err)
	check(w.T, token.Verify(w.ring.own.Public()))
	if token.Header.Typ != notice.Typ {
		w.Errorf("it is signed as %q", token.Header.Typ)
	}
	return s
}

// Section 10.2: the client hears that there is something, fetches it once, and may have polled before.
func TestPing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	a := w.begin("ping").ok(t)
	if a.Interval != 5 {
		t.Errorf("the answer is %s", a.raw)
	}
	w.fetch("ping", a.AuthReqID).refused(t, 400, "authorization_pending")
	w.phone.approve()
	w.ended()
	if call := w.hears(); w.read(call) != (said{AuthReqID: a.AuthReqID}) {
		t.Errorf("it is told %s", call.body)
	}
	got := w.fetch("ping", a.AuthReqID).ok(t) // and no interval counts now
	if id := w.claims(got.ID); id["urn:openid:params:jwt:claim:auth_req_id"] != nil || id["sub"] != alice {
		t.Errorf("the ID token says %v", id)
	}
	w.fetch("ping", a.AuthReqID).refused(t, 400, "invalid_grant")
}

// Section 10.2: a client is pinged about a refusal as well, and hears at the token endpoint what it was.
func TestPingOutcomes(t *testing.T) {
	t.Parallel()
	for _, tt := range outcomes {
		if tt.name == "expired on the phone" {
			continue // who is pinged counts the time itself
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.begin("ping").ok(t)
			w.clock.Advance(time.Second)
			w.phone.answer(tt.answer)
			if tt.meddle != nil {
				tt.meddle(w)
			}
			w.ended()
			w.run()
			if call := w.hears(); w.read(call) != (said{AuthReqID: a.AuthReqID}) {
				t.Errorf("it is told %s", call.body)
			}
			w.fetch("ping", a.AuthReqID).refused(t, 400, tt.polls)
		})
	}
}

// Section 10.3.1: the tokens come with the request, and the ID token binds all of it.
func TestPush(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	a := w.begin("push").ok(t)
	if a.Interval != 0 {
		t.Errorf("the answer is %s", a.raw)
	}
	w.phone.approve()
	w.ended()
	got := w.read(w.hears())
	if got.AuthReqID != a.AuthReqID || got.Type != "Bearer" || got.ExpiresIn != 300 || got.Access == "" || got.Refresh == "" || got.Error != "" {
		t.Fatalf("it is told %+v", got)
	}
	id := w.claims(got.ID)
	for name, want := range map[string]any{
		"urn:openid:params:jwt:claim:auth_req_id": a.AuthReqID, "sub": alice, "aud": "push", "acr": "silver", "device": "dev_1",
	} {
		if id[name] != want {
			t.Errorf("%s is %v", name, id[name])
		}
	}
	if id["at_hash"] == nil || id["urn:openid:params:jwt:claim:rt_hash"] == nil || id["at_hash"] == id["urn:openid:params:jwt:claim:rt_hash"] {
		t.Errorf("the hashes are %v and %v", id["at_hash"], id["urn:openid:params:jwt:claim:rt_hash"])
	}
	w.post(w.token, "push", values("grant_type", "refresh_token", "refresh_token", got.Refresh)).ok(t)
	w.fetch("push", a.AuthReqID).refused(t, 400, "unauthorized_client")
}

// Section 12: a client that is sent its tokens is told why there are none.
func TestPushErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range outcomes {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.begin("push").ok(t)
			w.clock.Advance(time.Second)
			w.phone.answer(tt.answer)
			if tt.meddle != nil {
				tt.meddle(w)
			}
			w.ended()
			w.run()
			got := w.read(w.hears())
			if got.AuthReqID != a.AuthReqID || got.Error != tt.isPushed || got.Description == "" || got.Access+got.ID+got.Refresh != "" {
				t.Errorf("it is told %+v", got)
			}
		})
	}
}

// A request that nobody answers ends by itself, also one of which nobody was asked: the client cannot tell them apart.
func TestPushTellsOfTheTime(t *testing.T) {
	t.Parallel()
	for _, hint := range []string{"alice", "bob"} {
		t.Run(hint, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.begin("push", "login_hint", hint).ok(t)
			w.clock.Advance(2 * time.Minute)
			w.run()
			if got := w.read(w.hears()); got.AuthReqID != a.AuthReqID || got.Error != "expired_token" {
				t.Errorf("it is told %+v", got)
			}
		})
	}
}

// notes are the notices about the last question as the outbox would deliver them.
func (w *world) tell(try int) error {
	w.Helper()
	request := w.phone.last(w.T).Request
	r, err := w.asked.Get(w.Context(), request)
	check(w.T, err)
	_, err = w.asked.Settle(w.Context(), r)
	check(w.T, err)
	item, err := backchannel.Item(request, request+".notice", w.clock.Now())
	check(w.T, err)
	return w.notices.Tell(w.Context(), outbox.Delivery{Item: item, Try: try})
}

// What is told again is the same grant and the same refresh token: the first call may have arrived.
func TestPushIsRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begin("push").ok(t)
	w.phone.approve()
	w.reply = http.StatusInternalServerError
	if err := w.tell(1); err == nil || outbox.AdviceOf(err).Permanent {
		t.Fatalf("an error of the receiver is %v", err)
	}
	w.reply = http.StatusNoContent
	check(t, w.tell(2))
	first, second := w.read(w.told[0]), w.read(w.told[1])
	if first.Refresh == "" || first.Refresh != second.Refresh {
		t.Error("two refresh tokens were sent")
	}
	w.post(w.token, "push", values("grant_type", "refresh_token", "refresh_token", second.Refresh)).ok(t)
}

// Tokens that could not be sent are dead: after the last try, when the receiver is gone for good, and when it comes too late.
func TestPushIsTakenBack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		reply int
		try   int
		after time.Duration
	}{
		{"the receiver is gone", http.StatusGone, 1, 0},
		{"the last try", http.StatusInternalServerError, outbox.DefaultTries, 0},
		{"a redirect, in the end", http.StatusFound, outbox.DefaultTries, 0},
		{"too late", http.StatusInternalServerError, 2, 11 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.begin("push").ok(t)
			w.phone.approve()
			w.reply = http.StatusInternalServerError
			if err := w.tell(1); err == nil {
				t.Fatal("it was delivered")
			}
			sent := w.read(w.told[0])
			w.reply = tt.reply
			w.clock.Advance(tt.after)
			if err := w.tell(tt.try); err == nil {
				t.Fatal("it was delivered")
			}
			w.post(w.token, "push", values("grant_type", "refresh_token", "refresh_token", sent.Refresh)).refused(t, 400, "invalid_grant")
		})
	}
}

// A redirect is an answer that accepts nothing, and is followed by nobody.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begin("ping").ok(t)
	w.phone.approve()
	w.reply = http.StatusFound
	if err := w.tell(1); err == nil || strings.Contains(err.Error(), notified) {
		t.Errorf("the redirect is %v", err)
	}
	if len(w.told) != 1 {
		t.Errorf("%d calls", len(w.told))
	}
}

// A ping that could not be delivered takes nothing back: the client may poll.
func TestPingThatFailsTakesNothingBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.begin("ping").ok(t)
	w.phone.approve()
	w.reply = http.StatusGone
	if err := w.tell(1); !outbox.AdviceOf(err).Permanent {
		t.Fatalf("a receiver that is gone is %v", err)
	}
	w.fetch("ping", a.AuthReqID).ok(t)
}

// A store that is away while a client is told makes it be told again, with the same.
func TestStoreIsAwayWhileTelling(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begin("push").ok(t)
	w.phone.approve()
	r, err := w.asked.Get(t.Context(), w.phone.last(t).Request)
	check(t, err)
	_, err = w.asked.Settle(t.Context(), r)
	check(t, err)
	w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Nth: 1, Err: storage.ErrUnavailable})
	if err := w.tell(1); err == nil || len(w.told) != 0 {
		t.Fatalf("%v, %d calls", err, len(w.told))
	}
	check(t, w.tell(2))
	if w.read(w.told[0]).Access == "" {
		t.Error("no tokens")
	}
}

// A client that is registered for something else by now is told nothing.
func TestTermsThatChangedSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begin("push").ok(t)
	w.phone.approve()
	w.terms["push"].Mode = terms.Ping
	if err := w.tell(1); !outbox.AdviceOf(err).Permanent || len(w.told) != 0 {
		t.Errorf("%v, %d calls", err, len(w.told))
	}
}

// Items that are damaged, or about nothing, end.
func TestItems(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, payload := range []string{"", "{", "{}", `{"request":5}`} {
		d := outbox.Delivery{Item: outbox.Item{Payload: []byte(payload)}, Try: 1}
		if err := w.notices.Settle(t.Context(), d); !outbox.AdviceOf(err).Permanent {
			t.Errorf("settling %q: %v", payload, err)
		}
		if err := w.notices.Tell(t.Context(), d); !outbox.AdviceOf(err).Permanent {
			t.Errorf("telling %q: %v", payload, err)
		}
	}
	item, err := backchannel.Item("bcr_gone", "x", w.clock.Now())
	check(t, err)
	if err := w.notices.Settle(t.Context(), outbox.Delivery{Item: item, Try: 1}); err == nil {
		t.Error("an answer that is faster than its record is forgotten")
	}
	if err := w.notices.Settle(t.Context(), outbox.Delivery{Item: item, Try: 3}); err != nil {
		t.Errorf("a request that was never kept: %v", err)
	}
	if err := w.notices.Tell(t.Context(), outbox.Delivery{Item: item, Try: 1}); !outbox.AdviceOf(err).Permanent {
		t.Errorf("telling of a request that is gone: %v", err)
	}
}

// Where a client may be told is settled before anything is: not in networks that nobody allowed.
func TestReceivers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, endpoint := range []string{
		"http://client.example.com/cb", w.tellers.URL, "https://user:pw@client.example.com/cb", "https://client.example.com/cb#x", "ftp://x/", "/cb",
	} {
		if _, err := notice.Receiver(&terms.Terms{Mode: terms.Ping, Endpoint: endpoint}, w.ring.Signer, w.clock.Now); err == nil {
			t.Errorf("%s is called", endpoint)
		}
	}
	if _, err := notice.New(notice.Config{}); err == nil {
		t.Error("a sender of nothing")
	}
	private := &terms.Terms{Mode: terms.Ping, Endpoint: strings.Replace(w.tellers.URL, "http:", "https:", 1)}
	receiver, err := notice.Receiver(private, w.ring.Signer, w.clock.Now)
	check(t, err)
	if err := receiver.Post(t.Context(), nil, []byte("{}")); err == nil || len(w.told) != 0 {
		t.Errorf("an address that is not public is called: %v", err)
	}
}
