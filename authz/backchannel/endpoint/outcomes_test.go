// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backchannel"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// outcomes are all that may become of a question, and what a client that polls, and one that is sent its tokens, hears of it.
var outcomes = []struct {
	name     string
	answer   backchannel.Answer
	meddle   func(*world) // between the approval and the next look
	polls    string
	isPushed string
}{
	{"denied", backchannel.Answer{State: backchannel.Denied, Reason: "denied"}, nil, "access_denied", "access_denied"},
	{"not me", backchannel.Answer{State: backchannel.Denied, Reason: "not_me"}, nil, "access_denied", "access_denied"},
	{"too many wrong PINs", backchannel.Answer{State: backchannel.Failed, Reason: "attempts"}, nil, "access_denied", "transaction_failed"},
	{"cancelled", backchannel.Answer{State: backchannel.Failed, Reason: "cancelled"}, nil, "access_denied", "transaction_failed"},
	{"expired on the phone", backchannel.Answer{State: backchannel.Expired}, nil, "expired_token", "expired_token"},
	{"approved by another user", backchannel.Answer{State: backchannel.Approved, Subject: "usr_mallory", Device: "dev_9"}, nil, "access_denied", "transaction_failed"},
	{"approved by nobody", backchannel.Answer{State: backchannel.Approved, Subject: " "}, nil, "access_denied", "transaction_failed"},
	{"the phone is locked meanwhile", backchannel.Answer{State: backchannel.Approved}, (*world).lockPhone, "access_denied", "transaction_failed"},
	{"the user is locked meanwhile", backchannel.Answer{State: backchannel.Approved}, func(w *world) {
		w.T.Helper()
		_, err := w.store.Revoke(w.Context(), authz.KindSubject, alice)
		check(w.T, err)
	}, "access_denied", "transaction_failed"},
	{"the client is revoked meanwhile", backchannel.Answer{State: backchannel.Approved}, func(w *world) {
		w.T.Helper()
		for _, client := range []string{"poll", "ping", "push"} {
			_, err := w.store.Revoke(w.Context(), authz.KindClient, client)
			check(w.T, err)
		}
	}, "access_denied", "transaction_failed"},
}

func (w *world) lockPhone() {
	w.Helper()
	check(w.T, w.db.Update(w.Context(), func(tx storage.Tx) error { return w.store.RevokeDevice(tx, "dev_1") }))
}

// What is refused stays refused, and leads to no grant.
func TestOutcomesOfPolls(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"poll", "ping"} {
		for _, tt := range outcomes {
			t.Run(mode+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				a := w.begin(mode).ok(t)
				w.clock.Advance(time.Second)
				w.phone.answer(tt.answer)
				if tt.meddle != nil {
					tt.meddle(w)
				}
				w.fetch(mode, a.AuthReqID).refused(t, 400, tt.polls)
				w.phone.approve() // too late
				w.wait()
				w.fetch(mode, a.AuthReqID).refused(t, 400, tt.polls)
			})
		}
	}
}

// What is revoked while the question is open ends it, whatever the clock of the phone says about the answer.
func TestLockedBeforeTheApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.begin("poll").ok(t)
	w.lockPhone()
	w.clock.Advance(time.Second)
	w.phone.approve()
	w.fetch("poll", a.AuthReqID).refused(t, 400, "access_denied")
}

// A revocation counts from the moment somebody was asked, and one before it is none of the request's.
func TestRevocationBeforeTheRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lockPhone()
	w.clock.Advance(time.Millisecond)
	a := w.begin("poll").ok(t)
	w.phone.approve()
	w.fetch("poll", a.AuthReqID).ok(t)
}

// The phone is locked after the approval was seen and before the tokens were fetched: nothing is issued (and it was, had the lock not been).
func TestLockedBetweenApprovalAndFetch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.begin("ping").ok(t)
	w.phone.approve()
	request := w.phone.last(t).Request
	r, err := w.asked.Get(t.Context(), request)
	check(t, err)
	if r, err = w.asked.Settle(t.Context(), r); err != nil || r.State != backchannel.Approved {
		t.Fatalf("it is %s, %v", r.State, err)
	}
	w.lockPhone()
	w.fetch("ping", a.AuthReqID).refused(t, 400, "access_denied")
	if r, err = w.asked.Get(t.Context(), request); err != nil || r.State != backchannel.Failed || r.Reason != "revoked_meanwhile" || r.GrantID != "" {
		t.Errorf("it is %s (%s), %v", r.State, r.Reason, err)
	}
}

// Section 11: each poll that comes too early makes the interval five seconds longer, and the tenth ends the request.
func TestSlowDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.begin("poll").ok(t)
	poll := func() answer { return w.fetch("poll", a.AuthReqID) }
	poll().refused(t, 400, "authorization_pending")
	w.clock.Advance(4 * time.Second)
	poll().refused(t, 400, "slow_down")
	w.clock.Advance(5 * time.Second) // it is ten now
	poll().refused(t, 400, "slow_down")
	w.clock.Advance(15 * time.Second)
	poll().refused(t, 400, "authorization_pending")
	w.clock.Advance(15*time.Second - 400*time.Millisecond) // networks do not keep time
	poll().refused(t, 400, "authorization_pending")
	for range 7 {
		poll().refused(t, 400, "slow_down")
	}
	w.phone.approve()
	poll().refused(t, 400, "invalid_request")
	if !slices.Equal(w.phone.cancelled, []string{"op_" + w.phone.last(t).Request}) {
		t.Errorf("taken back: %q", w.phone.cancelled)
	}
	w.clock.Advance(time.Minute)
	poll().refused(t, 400, "access_denied")
}

// The interval is one request's, not the client's.
func TestIntervalsAreApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.begin("poll").ok(t), w.begin("poll").ok(t)
	w.fetch("poll", one.AuthReqID).refused(t, 400, "authorization_pending")
	w.fetch("poll", two.AuthReqID).refused(t, 400, "authorization_pending")
	w.fetch("poll", one.AuthReqID).refused(t, 400, "slow_down")
	w.wait()
	w.fetch("poll", two.AuthReqID).refused(t, 400, "authorization_pending")
}

// Section 10.1 and 11: a request is its client's, and its name is not guessed.
func TestTokenErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, client string
		id           func(string) string
		status       int
		code         string
	}{
		{"10.1 no client", "", nil, 401, "invalid_client"},
		{"10.1 no auth_req_id", "poll", func(string) string { return "" }, 400, "invalid_request"},
		{"11 another client", "ping", nil, 400, "invalid_grant"},
		{"11 a client without the grant type", "web", nil, 400, "unauthorized_client"},
		{"11 made up", "poll", func(string) string { return "1c266114-a1be-4252-8ad1-04986c5b9ac1" }, 400, "invalid_grant"},
		{"11 another secret", "poll", func(id string) string {
			return id[:len(id)-1] + map[bool]string{true: "A", false: "B"}[id[len(id)-1] != 'A']
		}, 400, "invalid_grant"},
		{"11 cut off", "poll", func(id string) string { return id[:len(id)-2] }, 400, "invalid_grant"},
		{"11 longer", "poll", func(id string) string { return id + "A" }, 400, "invalid_grant"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.begin("poll").ok(t)
			w.phone.approve()
			id := a.AuthReqID
			if tt.id != nil {
				id = tt.id(id)
			}
			w.fetch(tt.client, id).refused(t, tt.status, tt.code)
			w.fetch("poll", a.AuthReqID).ok(t) // it was not touched
		})
	}
}

// A push client must not fetch (section 11), whatever it knows.
func TestPushClientsDoNotFetch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.begin("push").ok(t)
	w.phone.approve()
	w.fetch("push", a.AuthReqID).refused(t, 400, "unauthorized_client")
}

// Of many polls at once one gets tokens; the others hear what anybody hears who comes second.
func TestPollsRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.begin("poll").ok(t)
	w.phone.approve()
	r, err := w.asked.Get(t.Context(), w.phone.last(t).Request)
	check(t, err)
	_, err = w.asked.Settle(t.Context(), r) // so that all of them find it approved
	check(t, err)
	const crowd = 30
	got := make([]answer, crowd)
	var group sync.WaitGroup
	for i := range crowd {
		group.Go(func() { got[i] = w.fetch("poll", a.AuthReqID) })
	}
	group.Wait()
	winners := 0
	for _, g := range got {
		switch {
		case g.status == 200 && g.Access != "":
			winners++
		case g.Error == "invalid_grant" || g.Error == "temporarily_unavailable":
		default:
			t.Errorf("one hears %d %s", g.status, g.raw)
		}
	}
	if winners != 1 {
		t.Fatalf("%d got tokens", winners)
	}
	w.fetch("poll", a.AuthReqID).refused(t, 400, "invalid_grant")
}

// Of two that hold a request as approved one makes a grant; the other hears that it is spent, and grants nothing.
func TestCollectOfAStaleRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begin("push").ok(t)
	w.phone.approve()
	r, err := w.asked.Get(t.Context(), w.phone.last(t).Request)
	check(t, err)
	r, err = w.asked.Settle(t.Context(), r)
	check(t, err)
	client := &authz.Client{ID: "push", AccessTTL: time.Minute, Grants: []authz.GrantType{authz.GrantRefreshToken}, RefreshTTL: time.Hour, RefreshIdleTTL: time.Hour}
	first, err := w.asked.Collect(t.Context(), client, r)
	check(t, err)
	if first.Outcome != backchannel.Granted || first.Grant.ID == "" || first.Refresh == "" {
		t.Fatalf("the first gets %+v", first)
	}
	stale, err := w.asked.Collect(t.Context(), client, r)
	check(t, err)
	if stale.Outcome != backchannel.Spent || stale.Grant.ID != "" || stale.Refresh != "" {
		t.Errorf("the second gets %+v", stale)
	}
	r, err = w.asked.Get(t.Context(), r.ID)
	check(t, err)
	again, err := w.asked.Collect(t.Context(), client, r)
	check(t, err)
	if again.Outcome != backchannel.Granted || again.Grant.ID != first.Grant.ID || again.Refresh != first.Refresh {
		t.Errorf("whoever looks at it again gets %+v", again)
	}
}

// An answer in the last moment counts, also when the client comes after it; what was approved is kept for a minute, and no longer.
func TestLastMoment(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		seen  bool // the outbox has seen the answer
		after time.Duration
		want  string
	}{
		{"at once", false, 0, ""},
		{"just after the time", false, 2 * time.Second, ""},
		{"seen, after the time", true, 50 * time.Second, ""},
		{"seen, long after", true, 3 * time.Minute, "expired_token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.begin("poll").ok(t)
			w.clock.Advance(119 * time.Second)
			w.phone.approve()
			if tt.seen {
				r, err := w.asked.Get(t.Context(), w.phone.last(t).Request)
				check(t, err)
				_, err = w.asked.Settle(t.Context(), r)
				check(t, err)
			}
			w.clock.Advance(tt.after)
			got := w.fetch("poll", a.AuthReqID)
			if tt.want == "" {
				got.ok(t)
				return
			}
			got.refused(t, 400, tt.want)
		})
	}
}

// What is asked and not answered expires, is said to have, and is forgotten in the end.
func TestExpiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.begin("poll", "requested_expiry", "30").ok(t)
	w.clock.Advance(30 * time.Second)
	w.fetch("poll", a.AuthReqID).refused(t, 400, "expired_token")
	w.phone.approve()
	w.fetch("poll", a.AuthReqID).refused(t, 400, "expired_token")
	w.clock.Advance(2 * time.Hour)
	w.fetch("poll", a.AuthReqID).refused(t, 400, "invalid_grant")
}

// A store that is away between the approval and the fetch loses nothing and gives nothing twice.
func TestStoreIsAwayWhileFetching(t *testing.T) {
	t.Parallel()
	for _, nth := range []int{1, 2, 3} { // the poll, the settling, the grant
		w := newWorld(t)
		a := w.begin("poll").ok(t)
		w.phone.approve()
		w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Nth: nth, Err: storage.ErrUnavailable})
		w.fetch("poll", a.AuthReqID).refused(t, 503, "temporarily_unavailable")
		w.wait()
		w.fetch("poll", a.AuthReqID).ok(t)
		w.fetch("poll", a.AuthReqID).refused(t, 400, "invalid_grant")
	}
}

// What the configuration asks for by now has to be met by what was proven.
func TestConfigurationThatChangedSince(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*realm.Config)
		want   backchannel.Outcome
	}{
		{"not at all", func(*realm.Config) {}, backchannel.Granted},
		{"the scope needs more", func(c *realm.Config) { c.Scopes["accounts:read"] = []string{"password", "phone"} }, backchannel.Broken},
		{"the level needs more", func(c *realm.Config) { c.Levels[0].Realms = []string{"extra", "phone"} }, backchannel.Broken},
		{"the realm determines nobody any more", func(c *realm.Config) { c.Identity = c.Identity[:1] }, backchannel.Broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.begin("poll", "acr_values", "silver").ok(t)
			w.phone.approve()
			c := w.asked.Config
			c.Engine = newEngine(t, tt.change)
			since, err := backchannel.NewStore(c)
			check(t, err)
			client := &authz.Client{ID: "poll", AccessTTL: time.Minute}
			if got, err := since.Redeem(t.Context(), client, a.AuthReqID); err != nil || got.Outcome != tt.want || (got.Grant.ID != "") != (tt.want == backchannel.Granted) {
				t.Errorf("it is %s, %v", got.Outcome, err)
			}
		})
	}
}

// A proof counts for as long as its realm says.
func TestProofHasToBeFresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.begin("poll", "scope", "openid fresh", "requested_expiry", "600").ok(t) // the realm is good for a minute
	w.phone.approve()
	r, err := w.asked.Get(t.Context(), w.phone.last(t).Request)
	check(t, err)
	_, err = w.asked.Settle(t.Context(), r)
	check(t, err)
	w.clock.Advance(61 * time.Second)
	w.fetch("poll", a.AuthReqID).refused(t, 400, "access_denied")
}
