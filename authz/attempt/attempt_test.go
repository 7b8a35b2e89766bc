// SPDX-License-Identifier: Apache-2.0

package attempt_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/attempt"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const (
	alice   = "usr_alice"
	bob     = "usr_bob"
	address = "192.0.2.1"
)

var errBroken = errors.New("the directory is down")

// bench is a judge with guests that do as they are told, and everything that it told somebody.
type bench struct {
	*attempt.Judge
	t     *testing.T
	clock *storagetest.Clock

	challenge *realm.Challenge // asked until there are answers
	result    realm.Result
	err       error
	panics    bool
	shows     bool

	inputs   []realm.Input
	verified int
	observed []string
	stored   []audit.Event
	logged   []audit.Event
	trail    error
	kept     []string
	first    bool
	states   error
}

func (b *bench) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	b.inputs = append(b.inputs, in)
	if b.challenge != nil && in.Fields == nil {
		return realm.Credentials{}, b.challenge, nil
	}
	return realm.Credentials{Values: in.Fields, Subject: in.Subject}, nil, nil
}

func (b *bench) ShowsTransaction() bool { return b.shows }

func (b *bench) Verify(context.Context, realm.Credentials) (realm.Result, error) {
	b.verified++
	if b.panics {
		panic("a guest that panics")
	}
	return b.result, b.err
}

func (b *bench) Record(_ context.Context, e audit.Event) error {
	b.stored = append(b.stored, e)
	return b.trail
}

func (b *bench) Log(_ context.Context, e audit.Event) { b.logged = append(b.logged, e) }

func (b *bench) Prepare(e audit.Event) audit.Event {
	e.ID = "evt_1"
	return e
}

func (b *bench) Append(_ storage.Tx, e audit.Event) error { return b.Record(b.t.Context(), e) }

func (b *bench) KeepRealmState(_ context.Context, request, name string, state []byte) error {
	b.kept = append(b.kept, request+" "+name+" "+string(state))
	return b.states
}

func (b *bench) SpendRealmState(_ context.Context, request, name string, state []byte) (bool, error) {
	b.kept = append(b.kept, "spent "+request+" "+name+" "+string(state))
	return b.first, b.states
}

// newBench returns a judge of the realms "password", "pin", which names nobody, and "quiet", which keeps no trail.
func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, clock: storagetest.NewClock(), first: true}
	engine, err := realm.New(realm.Config{
		Realms: []*realm.Realm{
			{Name: "password", Authenticator: b, LoginModule: b, MaxAge: time.Hour, Audit: true},
			{Name: "pin", Authenticator: b, LoginModule: b, MaxAge: time.Hour, Audit: true},
			{Name: "quiet", Authenticator: b, LoginModule: b, MaxAge: time.Hour},
		},
		Identity: []string{"password", "quiet"},
	})
	if err != nil {
		t.Fatal(err)
	}
	limiter, err := limit.New(limit.Config{Burst: 3, Every: time.Minute, Keys: 10, Now: b.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	b.Judge, err = attempt.New(attempt.Config{
		Engine: engine, Trail: b, States: b, Now: b.clock.Now, Limiter: limiter,
		Observe: func(realm, outcome string) { b.observed = append(b.observed, realm+":"+outcome) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// request comes from an address.
func (b *bench) request(from string) *http.Request {
	r := httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, "/login", nil)
	return r.WithContext(httpx.WithCaller(r.Context(), httpx.Caller{ClientIP: from, RequestID: "rid"}))
}

// visit is a visitor whom nobody knows.
func visit(name string) *attempt.Visit {
	return &attempt.Visit{Realm: name, Request: authz.Request{ID: "req_1", ClientID: "app"}, Locale: "nl", Hint: "alice"}
}

// of is the visit of somebody who is signed in, and is expected.
func of(name, subject string) *attempt.Visit {
	v := visit(name)
	v.Session, v.Expected = authz.Session{ID: "ses_1", Subject: subject}, subject
	return v
}

func accepted(subject string) realm.Result {
	return realm.Result{
		Status: realm.Accepted, Account: subject, Identity: realm.Identity{Subject: subject, Name: "Alice", AMR: []string{"pwd"}},
	}
}

func (b *bench) try(v *attempt.Visit) (attempt.Outcome, error) {
	return b.Try(b.request(address), v, map[string]string{"x": "y"})
}

func (b *bench) wantObserved(want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.observed, cmpopts.EquateEmpty()); diff != "" {
		b.t.Errorf("observed (-want +got):\n%s", diff)
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, tt := range []struct {
		name string
		drop func(*attempt.Config)
	}{
		{"an engine", func(c *attempt.Config) { c.Engine = nil }},
		{"a trail", func(c *attempt.Config) { c.Trail = nil }},
		{"states", func(c *attempt.Config) { c.States = nil }},
		{"a clock", func(c *attempt.Config) { c.Now = nil }},
	} {
		config := b.Config
		tt.drop(&config)
		if judge, err := attempt.New(config); err == nil || judge != nil {
			t.Errorf("without %s there is %v, %v", tt.name, judge, err)
		}
	}
	config := b.Config
	config.Observe, config.Limiter = nil, nil
	judge, err := attempt.New(config)
	if err != nil {
		t.Fatal(err)
	}
	b.result = accepted(alice)
	for range 5 {
		if _, err := judge.Try(b.request(address), visit("password"), map[string]string{}); err != nil {
			t.Error(err)
		}
	}
	judge.Counted(b.request(address), visit("password"), attempt.Outcome{})
}

// What each judgement leads to, and what is kept of it.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	event := func(outcome, reason, subject, session string) []audit.Event {
		return []audit.Event{{
			Name: "login.attempt", Outcome: outcome, Reason: reason, Subject: subject, ClientID: "app", Realm: "password",
			SessionID: session, ClientIP: address, RequestID: "rid",
		}}
	}
	for _, tt := range []struct {
		name           string
		visit          *attempt.Visit
		result         realm.Result
		err            error
		panics         bool
		status         realm.Status // empty for an error
		another        bool
		stored, logged []audit.Event
		observed       []string
	}{
		{name: "accepted", visit: visit("password"), result: accepted(alice), status: realm.Accepted,
			stored: event(audit.Accepted, "", alice, "")}, // it is observed when it is stored
		{name: "accepted of who is expected", visit: of("password", alice), result: accepted(alice), status: realm.Accepted,
			stored: event(audit.Accepted, "", alice, "ses_1")},
		{name: "accepted of another", visit: of("password", bob), result: accepted(alice), status: realm.Refused, another: true,
			stored: event(audit.Refused, "another_user", alice, "ses_1"), observed: []string{"password:refused"}},
		{name: "refused", visit: visit("password"), result: realm.Result{Status: realm.Refused, Reason: "wrong_password", Account: alice},
			status: realm.Refused, stored: event(audit.Refused, "wrong_password", alice, ""), observed: []string{"password:refused"}},
		{name: "throttled", visit: visit("password"), result: realm.Result{Status: realm.Throttled, Reason: "too_many", Account: alice},
			status: realm.Throttled, logged: event(audit.Refused, "too_many", alice, ""), observed: []string{"password:throttled"}},
		{name: "busy", visit: visit("password"), result: realm.Result{Status: realm.Busy, Reason: "queue"},
			status: realm.Busy, logged: event(audit.Refused, "queue", "", ""), observed: []string{"password:busy"}},
		{name: "no judgement", visit: visit("password"), result: realm.Result{Status: "maybe", Identity: realm.Identity{Subject: alice}},
			status: realm.Refused, stored: event(audit.Refused, "", "", ""), observed: []string{"password:refused"}},
		{name: "nobody by a realm that determines the user", visit: visit("password"), result: accepted(""),
			status: realm.Refused, stored: event(audit.Refused, "no_subject", "", ""), observed: []string{"password:refused"}},
		{name: "broken", visit: visit("password"), err: errBroken, logged: event(audit.Refused, "error", "", ""), observed: []string{"password:error"}},
		{name: "panics", visit: visit("password"), panics: true, logged: event(audit.Refused, "error", "", ""), observed: []string{"password:error"}},
		{name: "no trail", visit: visit("quiet"), result: accepted(alice), status: realm.Accepted},
		{name: "no trail and refused", visit: visit("quiet"), result: realm.Result{Status: realm.Refused}, status: realm.Refused, observed: []string{"quiet:refused"}},
		{name: "no such realm", visit: visit("unknown"), observed: []string{"unknown:error"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.result, b.err, b.panics = tt.result, tt.err, tt.panics
			got, err := b.try(tt.visit)
			if (err != nil) != (tt.status == "") || tt.err != nil && !errors.Is(err, tt.err) {
				t.Fatalf("the error is %v", err)
			}
			if got.Result.Status != tt.status || got.Another != tt.another {
				t.Errorf("the outcome is %+v, want %s", got, tt.status)
			}
			if tt.status != realm.Accepted && (got.Proof.Realm != "" || got.Result.Identity.Subject != "") {
				t.Errorf("something is proven: %+v", got)
			}
			if tt.status == realm.Accepted {
				tt.stored = b.keep(tt.visit, got, tt.stored)
				tt.logged, tt.observed = tt.stored, []string{tt.visit.Realm + ":accepted"}
			}
			if diff := cmp.Diff(tt.stored, b.stored); diff != "" {
				t.Errorf("stored events (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.logged, b.logged); diff != "" {
				t.Errorf("logged events (-want +got):\n%s", diff)
			}
			b.wantObserved(tt.observed...)
		})
	}
}

// keep stores the proof of an acceptance. The trail knows nothing of it before, and with it what is returned.
func (b *bench) keep(v *attempt.Visit, got attempt.Outcome, stored []audit.Event) []audit.Event {
	b.t.Helper()
	if len(b.stored)+len(b.logged)+len(b.observed) > 0 {
		b.t.Errorf("an acceptance was told before it counts: %v, %v, %v", b.stored, b.logged, b.observed)
	}
	if (got.Within != nil) != (stored != nil) {
		b.t.Errorf("it comes with something to write: %v", got.Within != nil)
	}
	for i := range stored {
		stored[i].ID = "evt_1"
		if err := got.Within(nil); err != nil {
			b.t.Error(err)
		}
	}
	b.Counted(b.request(address), v, got)
	return stored
}

// An acceptance leaves a proof, of the moment at which it was judged.
func TestProof(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.result = accepted(alice)
	b.result.Identity.Device, b.result.Identity.Attributes = "dev_1", map[string]string{"login": "alice"}
	got, err := b.try(visit("password"))
	if err != nil {
		t.Fatal(err)
	}
	want := realm.Proof{
		Realm: "password", Subject: alice, Name: "Alice", AMR: []string{"pwd"}, Time: b.clock.Now().UTC().Truncate(time.Millisecond),
		Device: "dev_1", Attributes: map[string]string{"login": "alice"},
	}
	if diff := cmp.Diff(want, got.Proof); diff != "" {
		t.Errorf("proof (-want +got):\n%s", diff)
	}
	b.Counted(b.request(address), visit("password"), got)
	b.wantObserved("password:accepted")
}

// A proof that nobody could find afterwards is none; a refusal that nobody could find is told as a fault too.
func TestTheTrailFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.result, b.trail = realm.Result{Status: realm.Refused}, errBroken
	got, err := b.try(of("password", alice))
	if !errors.Is(err, errBroken) {
		t.Errorf("refused: the error is %v", err)
	}
	if diff := cmp.Diff(realm.Result{}, got.Result); diff != "" || got.Within != nil {
		t.Errorf("it comes with something (-want +got):\n%s", diff)
	}
	b.result = accepted(alice)
	if got, err = b.try(of("password", alice)); err != nil {
		t.Fatal(err)
	}
	if err := got.Within(nil); !errors.Is(err, errBroken) {
		t.Errorf("accepted: the error is %v", err)
	}
	b.wantObserved()
}

// A proof that names nobody waits with the request, unless it was judged in the knowledge of whose session can hold it.
func TestEarly(t *testing.T) {
	t.Parallel()
	about := func(v *attempt.Visit, subject string) *attempt.Visit {
		v.Request.Subject, v.Expected = subject, subject
		return v
	}
	for _, tt := range []struct {
		name   string
		visit  *attempt.Visit
		result realm.Result
		want   bool
	}{
		{"nobody is known", visit("pin"), accepted(""), true},
		{"somebody is", of("pin", alice), accepted(""), false},
		{"somebody is, and is not expected", &attempt.Visit{Realm: "pin", Session: authz.Session{ID: "ses_1", Subject: alice}}, accepted(""), true},
		{"somebody is whom the request is about", about(of("pin", alice), alice), accepted(""), false},
		{"somebody is, and the request is about another", about(of("pin", alice), bob), accepted(""), true},
		{"nobody is known, and the request is about somebody", about(visit("pin"), bob), accepted(""), true},
		{"the proof names somebody", visit("password"), accepted(alice), false},
		{"it is refused", visit("pin"), realm.Result{Status: realm.Refused}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.result = tt.result
			got, err := b.try(tt.visit)
			if err != nil || got.Early != tt.want {
				t.Errorf("Early is %v (%v), want %v", got.Early, err, tt.want)
			}
		})
	}
}

// What is proven by a realm that shows nobody what is approved counts for no request in particular, and neither does what approves nothing.
func TestProofOfARequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		shows   bool
		message string
		want    string
	}{
		{"shown", true, "Pay Ann", "req_1"},
		{"not shown", false, "Pay Ann", ""},
		{"nothing to show", true, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.result, b.shows = accepted(""), tt.shows
			v := of("pin", alice)
			v.Request.Message = tt.message
			got, err := b.try(v)
			if err != nil || got.Result.Status != realm.Accepted || got.Proof.Request != tt.want {
				t.Errorf("it is %s, for %q (%v)", got.Result.Status, got.Proof.Request, err)
			}
		})
	}
}

// A realm is told of the user who is known and expected, and of nobody else.
func TestWhatARealmIsTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.result, b.shows = accepted(""), true
	r := b.request("192.0.2.9")
	leaf := new(x509.Certificate)
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf}}}
	r.Header.Set("Test", "1")
	r = r.WithContext(httpx.WithCaller(r.Context(), httpx.Caller{ClientIP: "192.0.2.9", Proxied: true}))
	v := of("pin", alice)
	v.Request.RealmState = map[string][]byte{"pin": []byte("second"), "password": []byte("of another realm")}
	v.ClientName = "The app"
	v.Request.Message = "Pay Ann"
	outcome, err := b.Try(r, v, map[string]string{"pin": "1234"})
	if err != nil || outcome.Proof.Request != "req_1" {
		t.Fatalf("the proof is for %q (%v)", outcome.Proof.Request, err)
	}
	want := realm.Input{
		Realm: "pin", Fields: map[string]string{"pin": "1234"}, Headers: r.Header, ClientIP: "192.0.2.9", Proxied: true,
		Certificates: []*x509.Certificate{leaf}, Locale: "nl", Hint: "alice", Subject: alice, State: []byte("second"),
		Request: "req_1", Client: realm.Client{ID: "app", Name: "The app"},
		Transaction: &realm.Transaction{Request: "req_1", Message: "Pay Ann", Details: []byte{}},
	}
	if diff := cmp.Diff(want, b.inputs[0]); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
	for _, v := range []*attempt.Visit{
		visit("pin"),
		{Realm: "pin", Session: authz.Session{ID: "ses_1", Subject: alice}},
		{Realm: "pin", Session: authz.Session{ID: "ses_1", Subject: alice}, Expected: bob},
		{Realm: "pin", Expected: bob},
	} {
		if _, err := b.try(v); err != nil {
			t.Fatal(err)
		}
		if in := b.inputs[len(b.inputs)-1]; in.Subject != "" {
			t.Errorf("with %+v it is told of %q", v, in.Subject)
		}
	}
}

// Asking is no attempt: nothing is judged, counted or kept on the trail.
func TestAsking(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.result, b.challenge = accepted(alice), &realm.Challenge{Message: "who?"}
	got, err := b.Try(b.request(address), visit("password"), nil)
	if err != nil || got.Challenge != b.challenge || got.Result.Status != "" {
		t.Errorf("without answers the outcome is %+v (%v)", got, err)
	}
	if asked, err := b.Ask(b.request(address), visit("password")); err != nil || asked != b.challenge {
		t.Errorf("it asks %v (%v)", asked, err)
	}
	b.challenge = nil
	if asked, err := b.Ask(b.request(address), visit("password")); err != nil || asked != nil {
		t.Errorf("a realm that asks nothing asks %v (%v)", asked, err)
	}
	if _, err := b.Ask(b.request(address), visit("unknown")); err == nil {
		t.Error("a realm that is not defined asks")
	}
	if b.verified != 0 || len(b.stored)+len(b.logged) != 0 {
		t.Errorf("%d were judged, and the trail is %v, %v", b.verified, b.stored, b.logged)
	}
	b.wantObserved()
}

// Addresses that are refused too often are not judged any more, whatever they present; what is asked they are told.
func TestAddressesThatGuess(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.result = realm.Result{Status: realm.Refused}
	for range 3 {
		if got, err := b.try(visit("password")); err != nil || got.Result.Status != realm.Refused {
			t.Fatalf("a guess is %+v (%v)", got, err)
		}
	}
	b.result, b.stored = accepted(alice), nil
	for _, fields := range []map[string]string{{"x": "y"}, nil} { // answers, and what comes without being asked for
		got, err := b.Try(b.request(address), visit("password"), fields)
		if err != nil || got.Result.Status != realm.Throttled || got.Result.RetryAfter != time.Minute || got.Proof.Realm != "" {
			t.Errorf("a guess too many is %+v (%v)", got, err)
		}
	}
	if b.verified != 3 || len(b.stored) != 0 || len(b.logged) != 2 || b.logged[0].Reason != "too_many_refused" {
		t.Errorf("%d were judged; the trail is %v, %v", b.verified, b.stored, b.logged)
	}
	b.challenge = &realm.Challenge{Message: "who?"}
	if got, err := b.Try(b.request(address), visit("password"), nil); err != nil || got.Challenge != b.challenge {
		t.Errorf("it is not told what is asked: %+v (%v)", got, err)
	}
	if _, err := b.Try(b.request(address), visit("unknown"), nil); err == nil {
		t.Error("a realm that is not defined asks")
	}
	if got, err := b.Try(b.request("192.0.2.2"), visit("password"), map[string]string{}); err != nil || got.Result.Status != realm.Accepted {
		t.Errorf("another address is %+v (%v)", got, err)
	}
	b.clock.Advance(time.Minute)
	if got, err := b.try(visit("password")); err != nil || got.Result.Status != realm.Accepted {
		t.Errorf("after a while it is %+v (%v)", got, err)
	}
}

// Only wrong credentials count against an address; good ones of another user are wrong ones here.
func TestWhatCountsAgainstAnAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		visit  *attempt.Visit
		result realm.Result
		err    error
		counts bool
	}{
		{"wrong ones", visit("password"), realm.Result{Status: realm.Refused}, nil, true},
		{"another user's", of("password", bob), accepted(alice), nil, true},
		{"good ones", visit("password"), accepted(alice), nil, false},
		{"too many of one account", visit("password"), realm.Result{Status: realm.Throttled}, nil, false},
		{"a busy server", visit("password"), realm.Result{Status: realm.Busy}, nil, false},
		{"a broken one", visit("password"), realm.Result{}, errBroken, false},
		{"an app that is switched off", visit("password"), realm.Result{Status: realm.Refused, Blameless: true}, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.result, b.err = tt.result, tt.err
			for range 3 {
				_, _ = b.try(tt.visit) // what it leads to is another test's
			}
			if wait := b.Limiter.Wait(address); (wait > 0) != tt.counts {
				t.Errorf("the address waits for %s", wait)
			}
		})
	}
}

// Of many answers to one challenge that has kept something, one is the first; the realm is told of the others that they are not.
func TestChallengesThatKeepState(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.result = accepted(alice)
	v := visit("password")
	v.Request.RealmState = map[string][]byte{"password": []byte("s1")}
	for _, first := range []bool{true, false} {
		b.first = first
		if _, err := b.try(v); err != nil {
			t.Fatal(err)
		}
		if in := b.inputs[len(b.inputs)-1]; in.Spent == first {
			t.Errorf("for the first answer (%v) the realm is told %v", first, in.Spent)
		}
	}
	b.states = errBroken
	if got, err := b.try(v); !errors.Is(err, errBroken) || got.Proof.Realm != "" {
		t.Errorf("without a place to keep it the outcome is %+v (%v)", got, err)
	}
	b.states = nil
	if _, err := b.try(visit("password")); err != nil { // which has kept nothing
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"spent req_1 password s1", "spent req_1 password s1", "spent req_1 password s1"}, b.kept); diff != "" {
		t.Errorf("what was spent (-want +got):\n%s", diff)
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	v := visit("password")
	v.Request.RealmState = map[string][]byte{"password": []byte("s1")}
	for _, tt := range []struct {
		name      string
		challenge *realm.Challenge
		want      []string
	}{
		{"nothing is asked", nil, nil},
		{"nothing is kept", &realm.Challenge{}, nil},
		{"the same as before", &realm.Challenge{State: []byte("s1")}, nil},
		{"something else", &realm.Challenge{State: []byte("s2")}, []string{"req_1 password s2"}},
		{"nothing at all", &realm.Challenge{State: []byte{}}, []string{"req_1 password "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			one := *v
			if err := b.Judge.Keep(b.request(address), &one, tt.challenge); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, b.kept); diff != "" {
				t.Errorf("what is kept (-want +got):\n%s", diff)
			}
		})
	}
	b := newBench(t)
	one := *v
	if _, err := b.try(&one); err != nil { // once it was answered, the same is a new challenge
		t.Fatal(err)
	}
	b.kept, b.states = nil, errBroken
	if err := b.Judge.Keep(b.request(address), &one, &realm.Challenge{State: []byte("s1")}); !errors.Is(err, errBroken) || len(b.kept) != 1 {
		t.Errorf("kept %v (%v)", b.kept, err)
	}
}

// What was accepted and led to nothing is on the trail as that, with why; what a store could not keep is a fault.
func TestVoid(t *testing.T) {
	t.Parallel()
	event := func(reason, subject, session string) []audit.Event {
		return []audit.Event{{
			Name: "login.attempt", Outcome: audit.Refused, Reason: reason, Subject: subject, ClientID: "app", Realm: "password",
			SessionID: session, ClientIP: address, RequestID: "rid",
		}}
	}
	for _, tt := range []struct {
		name           string
		visit          *attempt.Visit
		cause, trail   error
		want           error
		stored, logged []audit.Event
		observed       string
	}{
		{"revoked meanwhile", visit("password"), authz.ErrOvertaken, nil, nil, event("revoked_meanwhile", alice, ""), nil, "password:refused"},
		{"the request has ended", visit("password"), authz.ErrRequestEnded, nil, nil, event("ended_meanwhile", alice, ""), nil, "password:refused"},
		{"the session has ended", of("password", alice), storage.ErrNotFound, nil, nil, event("ended_meanwhile", alice, "ses_1"), nil, "password:refused"},
		{"no trail", visit("quiet"), authz.ErrOvertaken, nil, nil, nil, nil, "quiet:refused"},
		{"the store is down", visit("password"), storage.ErrUnavailable, nil, storage.ErrUnavailable, nil, event("not_kept", alice, ""), "password:error"},
		{"nobody knows", visit("password"), storage.ErrUnknown, nil, storage.ErrUnknown, nil, event("not_kept", alice, ""), "password:error"},
		{"a crowd", visit("password"), storage.ErrConflict, nil, storage.ErrConflict, event("not_kept", alice, ""), nil, "password:error"},
		{"too large", of("password", alice), storage.ErrTooLarge, nil, storage.ErrTooLarge, event("not_kept", alice, "ses_1"), nil, "password:error"},
		{"the trail fails", visit("password"), authz.ErrOvertaken, errBroken, errBroken, event("revoked_meanwhile", alice, ""), nil, "password:refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.result = accepted(alice)
			got, err := b.try(tt.visit)
			if err != nil {
				t.Fatal(err)
			}
			b.trail = tt.trail
			if err := b.Void(b.request(address), tt.visit, got, tt.cause); !errors.Is(err, tt.want) || (err != nil) != (tt.want != nil) {
				t.Errorf("the error is %v, want %v", err, tt.want)
			}
			if diff := cmp.Diff(tt.stored, b.stored); diff != "" {
				t.Errorf("stored events (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.logged, b.logged); diff != "" {
				t.Errorf("logged events (-want +got):\n%s", diff)
			}
			b.wantObserved(tt.observed)
		})
	}
}

// A further check names nobody: what it led to nothing for is the user of the session.
func TestVoidOfAFurtherCheck(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.result = accepted("")
	v := of("pin", alice)
	got, err := b.try(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Void(b.request(address), v, got, storage.ErrNotFound); err != nil || len(b.stored) != 1 || b.stored[0].Subject != alice {
		t.Errorf("stored %v (%v)", b.stored, err)
	}
}
