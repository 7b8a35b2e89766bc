// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// The whole way: a client asks, the person approves, and the tokens say who, by what and when.
func TestPoll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.begin("poll").ok(t)
	if a.ExpiresIn != 120 || a.Interval != 5 || a.Number != "42" || !regexp.MustCompile(`^[A-Za-z0-9._-]{40,}$`).MatchString(a.AuthReqID) {
		t.Errorf("the answer is %s", a.raw)
	}
	q := w.phone.last(t)
	if q.Subject != alice || q.Realm != "phone" || q.Message != "W4SCT" || q.Client != "Name of poll" || q.ClientID != "poll" ||
		q.TTL != 2*time.Minute || len(q.Allows) != 0 {
		t.Errorf("she is asked %+v", q)
	}
	w.fetch("poll", a.AuthReqID).refused(t, 400, "authorization_pending")
	w.wait()
	w.fetch("poll", a.AuthReqID).refused(t, 400, "authorization_pending")
	w.wait()
	approved := w.clock.Now()
	w.phone.approve()
	w.clock.Advance(time.Second)
	w.wait()
	got := w.fetch("poll", a.AuthReqID).ok(t)
	access, id := w.claims(got.Access), w.claims(got.ID)
	for _, claims := range []map[string]any{access, id} {
		if claims["sub"] != alice || claims["acr"] != "silver" || claims["auth_time"] != float64(approved.Unix()) || claims["device"] != "dev_1" ||
			claims["sid"] != nil {
			t.Errorf("a token says %v", claims)
		}
	}
	if access["scope"] != "openid accounts:read" || got.Refresh == "" || id["urn:openid:params:jwt:claim:auth_req_id"] != nil {
		t.Errorf("the tokens are %v and %v", access, id)
	}
	w.fetch("poll", a.AuthReqID).refused(t, 400, "invalid_grant")
	renewed := w.post(w.token, "poll", values("grant_type", "refresh_token", "refresh_token", got.Refresh)).ok(t)
	if w.claims(renewed.Access)["auth_time"] != access["auth_time"] {
		t.Error("refreshing has moved the time of authentication")
	}
}

// Every error of sections 7.1 and 13, by section.
func TestRequestErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, client string
		pairs        []string
		status       int
		code         string
	}{
		{"7.1 no client authentication", "", nil, 401, "invalid_client"},
		{"7.1 only a client_id", "", []string{"client_id", "poll"}, 401, "invalid_client"},
		{"7.1 another client's grant types", "web", nil, 400, "unauthorized_client"},
		{"4 not registered for it", "unregistered", nil, 400, "unauthorized_client"},
		{"7.1 no scope", "poll", []string{"scope", ""}, 400, "invalid_request"},
		{"7.1 scope without openid", "poll", []string{"scope", "accounts:read"}, 400, "invalid_scope"},
		{"7.1 authorization_details", "poll", []string{"authorization_details", `[{"type":"payment"}]`}, 400, "invalid_authorization_details"},
		{"7.1 resource", "poll", []string{"resource", "https://api.example.com"}, 400, "invalid_target"},
		{"7.1.1 request_uri", "poll", []string{"request_uri", "https://client.example.com/r"}, 400, "invalid_request"},
		{"7.1 scope of others", "poll", []string{"scope", "openid admin"}, 400, "invalid_scope"},
		{"7.1 scope malformed", "poll", []string{"scope", "openid  x"}, 400, "invalid_scope"},
		{"7.1 no hint", "poll", []string{"login_hint", ""}, 400, "invalid_request"},
		{"7.1 two hints", "poll", []string{"id_token_hint", "x"}, 400, "invalid_request"},
		{"7.1 two other hints", "poll", []string{"login_hint", "", "id_token_hint", "x", "login_hint_token", "y"}, 400, "invalid_request"},
		{"7.1 login_hint too long", "poll", []string{"login_hint", strings.Repeat("a", 257)}, 400, "invalid_request"},
		{"7.1 no notification token", "ping", []string{"client_notification_token", ""}, 400, "invalid_request"},
		{"7.1 notification token too short", "ping", []string{"client_notification_token", "short"}, 400, "invalid_request"},
		{"7.1 notification token too long", "push", []string{"client_notification_token", strings.Repeat("a", 1025)}, 400, "invalid_request"},
		{"7.1 notification token malformed", "ping", []string{"client_notification_token", "8d67dc78 7faa 4d41 aabd 6770"}, 400, "invalid_request"},
		{"7.1 binding_message too long", "poll", []string{"binding_message", strings.Repeat("ä", 51)}, 400, "invalid_binding_message"},
		{"7.1 binding_message that reorders", "poll", []string{"binding_message", "abc\u202edef"}, 400, "invalid_binding_message"},
		{"7.1 binding_message that phones leave out", "poll", []string{"binding_message", "{code}"}, 400, "invalid_binding_message"},
		{"7.1 binding_message missing where it is all there is", "plain", []string{"binding_message", ""}, 400, "invalid_binding_message"},
		{"7.1 no expiry", "poll", []string{"requested_expiry", "0"}, 400, "invalid_request"},
		{"7.1 negative expiry", "poll", []string{"requested_expiry", "-1"}, 400, "invalid_request"},
		{"7.1 expiry in words", "poll", []string{"requested_expiry", "1m"}, 400, "invalid_request"},
		{"7.1 endless expiry", "poll", []string{"requested_expiry", "99999999999999999999"}, 400, "invalid_request"},
		{"7.1.1 a plain request of a client that signs", "signer", nil, 400, "invalid_request"},
		{"7.1.2 no user_code", "coded", nil, 400, "missing_user_code"},
		{"7.1.2 a wrong user_code", "coded", []string{"user_code", "guess"}, 400, "invalid_user_code"},
		{"7.1.2 a user_code of nobody", "coded", []string{"login_hint", "bob", "user_code", "hush"}, 400, "invalid_user_code"},
		{"7.1 an id_token_hint that is none", "poll", []string{"login_hint", "", "id_token_hint", "x.y.z"}, 400, "invalid_request"},
		{"7.1 a login_hint_token that is none", "poll", []string{"login_hint", "", "login_hint_token", "x.y.z"}, 400, "invalid_request"},
		{"7.1 acr that needs more than a phone", "poll", []string{"acr_values", "gold"}, 400, "unmet_authentication_requirements"},
		{"7.1 acr that does not exist", "poll", []string{"acr_values", "platinum"}, 400, "unmet_authentication_requirements"},
		{"7.1 a realm that is no phone", "poll", []string{"acr_values", "password"}, 400, "unmet_authentication_requirements"},
		{"7.1 a scope that needs more than a phone", "poll", []string{"scope", "openid payments:write"}, 400, "unmet_authentication_requirements"},
		{"7.1 scopes that need two phones", "poll", []string{"scope", "openid accounts:read fresh"}, 400, "unmet_authentication_requirements"},
		{"7.1 a scope whose realm is no phone", "poll", []string{"scope", "openid vault"}, 400, "unmet_authentication_requirements"},
		{"13 unknown user, where the client is told", "teller", []string{"login_hint", "bob"}, 400, "unknown_user_id"},
		{"13 the store is away", "poll", []string{"login_hint", "broken"}, 503, "temporarily_unavailable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.begin(tt.client, tt.pairs...).refused(t, tt.status, tt.code)
			if tt.code != "unknown_user_id" && len(w.phone.questions) != 0 {
				t.Errorf("somebody was asked: %+v", w.phone.questions)
			}
		})
	}
}

func TestOtherMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodOptions} {
		recorder := httptest.NewRecorder()
		w.ask.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), method, "/", nil))
		if recorder.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, recorder.Code)
		}
	}
}

// What an error says is the same whatever the phone or the store has to say about itself.
func TestFaultsTellNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.phone.failing = storage.ErrUnavailable
	w.begin("poll").refused(t, 503, "temporarily_unavailable")
	w.phone.failing = nil
	a := w.begin("poll").ok(t)
	w.phone.failing = storage.ErrConflict
	w.fetch("poll", a.AuthReqID).refused(t, 503, "temporarily_unavailable")
}

// Known and unknown, with a phone and without: a client that is not told sees no difference, however long it asks.
func TestNobodyCanBeToldFromSomebodyWhoDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, hint, unasked string }{
		{"somebody", "alice", ""}, {"nobody", "bob", ""}, {"somebody without a phone", "alice", "no_device"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.phone.unasked = tt.unasked
			before := w.commits.Load()
			a := w.begin("poll", "login_hint", tt.hint).ok(t)
			// The question itself is a write of the phone's, which here keeps nothing.
			want := 1
			if tt.hint == "bob" || tt.unasked != "" {
				want = 2
			}
			if got := int(w.commits.Load() - before); got != want {
				t.Errorf("%d commits, want %d", got, want)
			}
			if a.Number != "42" || a.ExpiresIn != 120 || a.Interval != 5 {
				t.Errorf("the answer is %s", a.raw)
			}
			for range 10 {
				w.fetch("poll", a.AuthReqID).refused(t, 400, "authorization_pending")
				w.wait()
			}
			if w.phone.looks != 10 {
				t.Errorf("the phone was looked at %d times", w.phone.looks)
			}
			w.clock.Advance(70 * time.Second)
			w.fetch("poll", a.AuthReqID).refused(t, 400, "expired_token")
		})
	}
}

// A client that is told hears why, and nothing waits for anybody.
func TestToldClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.phone.unasked = "no_device"
	w.begin("teller").refused(t, 403, "access_denied")
	w.phone.unasked = ""
	w.begin("teller").ok(t)
}

func TestUserCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begin("coded", "user_code", "hush").ok(t)
	w.begin("poll", "user_code", "whatever").ok(t) // it is not registered for codes: it means nothing
}

// What people are asked: what they compare, what the client may do then, and no number where the client shows none.
func TestWhatPeopleAreAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begin("party", "scope", "openid profile accounts:read").ok(t)
	if q := w.phone.last(t); !slices.Equal(q.Allows, []string{"may profile", "may accounts:read"}) {
		t.Errorf("a client of others may %q", q.Allows)
	}
	if a := w.begin("plain").ok(t); a.Number != "" || !w.phone.last(t).NoNumber {
		t.Errorf("a number is asked: %s", a.raw)
	}
	w.begin("poll", "binding_message", "").ok(t)
	if q := w.phone.last(t); q.Message != "" {
		t.Errorf("the message is %q", q.Message)
	}
}

// The realm is the one that scopes and acr_values need: the first of the values that a phone alone satisfies.
func TestRealm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, scope, acr, realm, level string }{
		{"nothing is required", "openid", "", "phone", "silver"},
		{"a scope", "openid fresh", "", "other_phone", "other_phone"},
		{"a level", "openid", "silver", "phone", "silver"},
		{"a realm", "openid", "other_phone", "other_phone", "other_phone"},
		{"the first that can be met", "openid", "gold platinum other_phone silver", "other_phone", "other_phone"},
		{"a level that goes with the scope", "openid accounts:read", "other_phone silver", "phone", "silver"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.begin("poll", "scope", tt.scope, "acr_values", tt.acr).ok(t)
			if q := w.phone.last(t); q.Realm != tt.realm {
				t.Errorf("the realm is %q", q.Realm)
			}
			w.phone.approve()
			if got := w.claims(w.fetch("poll", a.AuthReqID).ok(t).ID); got["acr"] != tt.level {
				t.Errorf("the ID token says %v", got["acr"])
			}
		})
	}
}

func TestRequestedExpiry(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		asked string
		want  int
	}{{"", 120}, {"300", 300}, {"1", 10}, {"600", 600}, {"86400", 600}} {
		w := newWorld(t)
		if a := w.begin("poll", "requested_expiry", tt.asked).ok(t); a.ExpiresIn != tt.want || w.phone.last(t).TTL != time.Duration(tt.want)*time.Second {
			t.Errorf("of %q become %d seconds", tt.asked, a.ExpiresIn)
		}
	}
}

// A request of which nobody will ever hear leaves no question behind.
func TestQuestionIsTakenBackWhenTheRequestCannotBeKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Err: storage.ErrUnavailable})
	w.begin("poll").refused(t, 503, "temporarily_unavailable")
	if len(w.phone.cancelled) != 1 || w.phone.cancelled[0] != "op_"+w.phone.last(t).Request {
		t.Errorf("taken back: %q", w.phone.cancelled)
	}
}
