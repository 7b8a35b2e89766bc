// SPDX-License-Identifier: Apache-2.0

package challenge_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/challenge"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const alice = "usr_alice"

var errBroken = errors.New("the store is broken")

// side is a mobile side that remembers one operation and what it was asked.
type side struct {
	clock   *storagetest.Clock
	op      operation.Operation
	asked   []asking.Request
	did     []string
	refuses error // a start
	broken  bool  // everything
}

func (s *side) fault() error {
	if s.broken {
		return errBroken
	}
	return nil
}

func (s *side) Start(_ context.Context, r asking.Request) (operation.Operation, bool, error) {
	s.asked = append(s.asked, r)
	if err := errors.Join(s.fault(), s.refuses); err != nil {
		return operation.Operation{}, false, err
	}
	if strings.HasPrefix(r.UserID, "nobody:") {
		return operation.Operation{}, false, &asking.ImpossibleError{}
	}
	s.op = operation.Operation{
		ID: "op_1", Kind: r.Kind, State: operation.Pending, UserID: r.UserID, ExternalID: r.ExternalID, Number: "42", Version: 1,
		AnswerBy: s.clock.Now().Add(2 * time.Minute), Way: operation.Way{Channel: operation.ByPush, Type: r.Type, Of: mobiletype.PushPIN},
	}
	return s.op, true, nil
}

func (s *side) Methods(context.Context, string, string, string) ([]asking.Available, error) {
	return nil, s.fault()
}

func (s *side) Wait(_ context.Context, id string, _ uint64, _ time.Duration) (operation.Operation, error) {
	if err := s.fault(); err != nil {
		return operation.Operation{}, err
	}
	if id != s.op.ID {
		return operation.Operation{}, operation.ErrNotFound
	}
	return s.op, nil
}

func (s *side) Redeem(_ context.Context, id, client string) (operation.Outcome, error) {
	s.did = append(s.did, "redeem "+id+" for "+client)
	if s.op.State != operation.Approved {
		return operation.Outcome{Code: operation.Gone, Reason: "is_" + string(s.op.State)}, s.fault()
	}
	s.op.State = operation.Redeemed
	return operation.Outcome{Code: operation.Accepted, Operation: s.op}, s.fault()
}

func (s *side) Cancel(_ context.Context, id, reason string) (operation.Operation, error) {
	s.did = append(s.did, "cancel "+id+" because "+reason)
	if !s.op.State.Open() {
		return s.op, operation.ErrTransition
	}
	s.op.State, s.op.Reason = operation.Cancelled, reason
	return s.op, s.fault()
}

func (s *side) Resend(context.Context, string, string) (operation.Operation, error) {
	return s.op, operation.ErrTransition
}

func (s *side) Verify(context.Context, string, string, string) (operation.Outcome, error) {
	return operation.Outcome{Code: operation.Refused}, s.fault()
}

func (s *side) ByLogin(_ context.Context, login string) (string, error) {
	if login == "alice" {
		return alice, s.fault()
	}
	return "", s.fault()
}

func (s *side) Person(context.Context, string) (challenge.Person, error) {
	return challenge.Person{Name: "Alice", Login: "alice"}, s.fault()
}

// approve says yes by a method.
func (s *side) approve(used mobiletype.Method) {
	s.op.State, s.op.Used, s.op.AMR, s.op.AnsweredBy = operation.Approved, used, []string{"pop"}, "dev_1"
	s.op.RedeemBy, s.op.Version = s.clock.Now().Add(time.Minute), 2
}

func types(t *testing.T) *mobiletype.Set {
	t.Helper()
	said := map[string]string{"en": "Sign in"}
	set, err := mobiletype.New([]mobiletype.Type{
		{Name: "pin", Method: mobiletype.PushPIN, Messages: said, Signing: true}, {Name: "push", Method: mobiletype.Push, Messages: said},
		{Name: "scan", Method: mobiletype.OTP, Messages: said},
		{Name: "code", Method: mobiletype.SMS, Messages: map[string]string{"en": "Sign in: {code}"}},
	}, mobiletype.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// newGuest returns a realm by the type "pin" over a mobile side.
func newGuest(t *testing.T, c challenge.Config) (*challenge.Guest, *side) {
	t.Helper()
	s := &side{clock: storagetest.NewClock()}
	set := types(t)
	c.Type, c.Now = "pin", s.clock.Now
	c.Phones = func() *challenge.Phones {
		return &challenge.Phones{Asking: s, Operations: s, People: s, Types: set, Issuer: "https://auth.example.com", Digits: 2, Shown: vouched}
	}
	if c.Pause == nil {
		c.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	}
	guest, err := challenge.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return guest, s
}

func input(state []byte, change ...func(*realm.Input)) realm.Input {
	in := realm.Input{
		Realm: "phone", Identifies: true, Request: "req_1", Client: realm.Client{ID: "portal", Name: "Portal"}, Subject: alice,
		Locale: "nl", ClientIP: "192.0.2.1", Headers: map[string][]string{"User-Agent": {"Firefox"}}, State: state,
	}
	for _, fn := range change {
		fn(&in)
	}
	return in
}

// collect asks, and returns either.
func collect(t *testing.T, g *challenge.Guest, in realm.Input) (realm.Credentials, *realm.Challenge) {
	t.Helper()
	credentials, asked, err := g.Collect(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return credentials, asked
}

// TestWhatIsAsked: the phone is told the client, the place and the language; what a request approves in detail is what is consented to.
func TestWhatIsAsked(t *testing.T) {
	t.Parallel()
	g, s := newGuest(t, challenge.Config{Fallback: mobiletype.SameOrHigher})
	collect(t, g, input(nil))
	r := s.asked[0]
	if r.Type != "pin" || r.Kind != operation.Authentication || r.UserID != alice || r.ClientID != "" || r.Context.Title != "Portal" ||
		r.Language != "nl" || r.Origin.Address.String() != "192.0.2.1" || r.Origin.UserAgent != "Firefox" || r.Fallback != mobiletype.SameOrHigher {
		t.Errorf("asked %+v", r)
	}
	collect(t, g, input(nil, func(in *realm.Input) { in.Realm = "other" }))
	collect(t, g, input(nil, func(in *realm.Input) { in.Request = "req_2" }))
	collect(t, g, input(nil, func(in *realm.Input) { in.Client.Name = "Por\u202etal" }))
	if a, b, c := s.asked[0], s.asked[1], s.asked[2]; a.IdempotencyKey == b.IdempotencyKey || a.ExternalID == b.ExternalID ||
		a.IdempotencyKey == c.IdempotencyKey || a.ExternalID == c.ExternalID {
		t.Error("another realm, or another request, is asked under the same key")
	}
	if again := s.asked[3]; again.Context.Title != "" || again.IdempotencyKey != r.IdempotencyKey {
		t.Errorf("a name that reorders is shown as %q, under key %q", again.Context.Title, again.IdempotencyKey)
	}
	collect(t, g, input(nil, func(in *realm.Input) {
		in.Transaction = &realm.Transaction{Message: "Pay 5 EUR", Details: []byte(`[{"type":"payment"}]`)}
	}))
	if r := s.asked[4]; r.Kind != operation.Authorisation || r.Context.Content != "Pay 5 EUR" || r.Data != `[{"type":"payment"}]` || !r.MaySign {
		t.Errorf("a payment is asked as %+v", r)
	}
}

// TestWhatNobodySigns: what is approved in detail is put to a phone that signs it, and to nothing and nobody else.
func TestWhatNobodySigns(t *testing.T) {
	t.Parallel()
	payment := func(in *realm.Input) {
		in.Transaction = &realm.Transaction{Message: "Pay 5 EUR", Details: []byte(`[{"type":"payment"}]`)}
	}
	for name, test := range map[string]struct {
		config challenge.Config
		fields map[string]string
		fault  error
		asked  int
	}{
		"a code":                     {challenge.Config{Also: []string{"code"}}, map[string]string{realm.FieldAction: challenge.ActionUse + "code"}, nil, 1},
		"more than a phone can show": {challenge.Config{}, nil, shown.Invalid("signing_data", "too long"), 1},
		"a phone that is not there":  {challenge.Config{}, nil, asking.ErrImpossible, 1},
	} {
		g, s := newGuest(t, test.config)
		s.refuses = test.fault
		_, asked := collect(t, g, input(nil, payment))
		if test.fields != nil {
			_, asked = collect(t, g, input(asked.State, payment, func(in *realm.Input) { in.Fields = test.fields }))
		}
		if asked.Wait == nil || asked.Wait.Stage != realm.StageImpossible || len(s.asked) != test.asked {
			t.Errorf("%s: %+v, asked %d times", name, asked.Wait, len(s.asked))
		}
	}
}

// TestRounds: one request asks so often and no more, whatever its page is made to do, and whoever is asked or nobody.
func TestRounds(t *testing.T) {
	t.Parallel()
	for name, subject := range map[string]string{"somebody who is known": alice, "a name that was typed": ""} {
		g, s := newGuest(t, challenge.Config{})
		var state []byte
		for range 30 {
			for _, action := range []string{challenge.ActionCancel, challenge.ActionAgain} {
				_, asked := collect(t, g, input(state, func(in *realm.Input) {
					in.Subject, in.Fields = subject, map[string]string{realm.FieldAction: action, challenge.FieldLogin: "nobody"}
				}))
				state = asked.State
			}
		}
		if n := len(s.asked); n == 0 || n > 10 {
			t.Errorf("%s: asked %d times", name, n)
		}
	}
}

// TestProof: what was approved is redeemed once, and the proof says by what.
func TestProof(t *testing.T) {
	t.Parallel()
	g, s := newGuest(t, challenge.Config{})
	_, asked := collect(t, g, input(nil))
	s.approve(mobiletype.PushPIN)
	credentials, _ := collect(t, g, input(asked.State))
	if len(s.did) != 0 {
		t.Errorf("to look has done %v", s.did)
	}
	result, err := g.Verify(t.Context(), credentials)
	id := result.Identity
	if err != nil || result.Status != realm.Accepted || id.Subject != alice || id.Device != "dev_1" || id.Name != "Alice" ||
		len(id.AMR) != 1 || id.Attributes[challenge.AttributeMethod] != "push_pin" || id.Attributes[challenge.AttributeLogin] != "alice" {
		t.Errorf("the proof is %+v, %v", result, err)
	}
	if result, err := g.Verify(t.Context(), credentials); err != nil || result.Status != realm.Refused || !result.Blameless {
		t.Errorf("the same again: %+v, %v", result, err)
	}
}

// TestNoProof: nothing but the approval of this request, by this person, with enough, is one.
func TestNoProof(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, reason string
		spoil        func(s *side, c *realm.Credentials)
	}{
		{"no credentials of ours", "not_collected", func(_ *side, c *realm.Credentials) { c.Values = map[string]string{"username": "alice"} }},
		{"no reference", "not_collected", func(_ *side, c *realm.Credentials) { delete(c.Values, "reference") }},
		{"of another request", "not_collected", func(s *side, _ *realm.Credentials) { s.op.ExternalID = "realm:other" }},
		{"a registration", "not_collected", func(s *side, _ *realm.Credentials) { s.op.Kind = operation.Registration }},
		{"unknown", "not_collected", func(_ *side, c *realm.Credentials) { c.Values["operation"] = "op_2" }},
		{"by another user", "another_user", func(s *side, _ *realm.Credentials) { s.op.UserID = "usr_bob" }},
		{"for another user", "another_user", func(_ *side, c *realm.Credentials) { c.Subject = "usr_bob" }},
		{"by nobody", "another_user", func(s *side, c *realm.Credentials) { s.op.UserID, c.Values["user"] = "", "" }},
		{"by less", "below_the_type", func(s *side, _ *realm.Credentials) { s.op.Used = mobiletype.SMS }},
		{"taken back", "is_cancelled", func(s *side, _ *realm.Credentials) { s.op.State = operation.Cancelled }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g, s := newGuest(t, challenge.Config{Fallback: mobiletype.NoFallback})
			_, asked := collect(t, g, input(nil))
			s.approve(mobiletype.PushPIN)
			credentials, _ := collect(t, g, input(asked.State))
			tt.spoil(s, &credentials)
			result, err := g.Verify(t.Context(), credentials)
			if err != nil || result.Status != realm.Refused || result.Reason != tt.reason || result.Identity.Subject != "" {
				t.Errorf("%+v, %v, want a refusal because of %q", result, err, tt.reason)
			}
		})
	}
}

// TestLookingFindsNoProof: an approval by less, or that another request's operation had, is not even collected.
func TestLookingFindsNoProof(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		want  realm.Stage
		spoil func(s *side)
	}{
		{"by less", realm.StageImpossible, func(s *side) { s.op.Used = mobiletype.Push }},
		{"by another", realm.StageOther, func(s *side) { s.op.UserID = "usr_bob" }},
		{"of another request", realm.StageExpired, func(s *side) { s.op.ExternalID = "realm:other" }},
		{"of a back end", realm.StageExpired, func(s *side) { s.op.ClientID = "portal" }},
		{"too late", realm.StageExpired, func(s *side) { s.clock.Advance(time.Minute) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g, s := newGuest(t, challenge.Config{Fallback: mobiletype.SameOrHigher})
			_, asked := collect(t, g, input(nil))
			s.approve(mobiletype.PushPIN)
			tt.spoil(s)
			if credentials, asked := collect(t, g, input(asked.State)); asked == nil || asked.Wait.Stage != tt.want {
				t.Errorf("found %+v, %+v, want %q", credentials, asked, tt.want)
			}
		})
	}
}

// TestFaults: a mobile side that is broken, or not there, is an error at every turn, and lets nobody in.
func TestFaults(t *testing.T) {
	t.Parallel()
	g, s := newGuest(t, challenge.Config{Also: []string{"scan", "push"}})
	_, asked := collect(t, g, input(nil))
	s.approve(mobiletype.PushPIN)
	credentials, _ := collect(t, g, input(asked.State))
	s.broken = true
	typed := func(in *realm.Input) { in.Subject, in.Fields = "", map[string]string{challenge.FieldLogin: "alice"} }
	action := func(value string) func(*realm.Input) {
		return func(in *realm.Input) { in.Fields = map[string]string{realm.FieldAction: value} }
	}
	for name, in := range map[string]realm.Input{
		"first": input(nil), "typed": input(nil, typed), "look": input(asked.State), "again": input(asked.State, action("again")),
		"another way": input(asked.State, action("use:push")), "no state": input([]byte("{")),
	} {
		if _, asked, err := g.Collect(t.Context(), in); err == nil || asked != nil {
			t.Errorf("%s: %+v, %v", name, asked, err)
		}
	}
	if result, err := g.Verify(t.Context(), credentials); err == nil || result.Status == realm.Accepted {
		t.Errorf("verifying: %+v, %v", result, err)
	}
	if changed, err := g.Watch(t.Context(), input(asked.State), "1", time.Second); err == nil || changed {
		t.Errorf("watching: %v, %v", changed, err)
	}
	gone, err := challenge.New(challenge.Config{Type: "pin", Phones: func() *challenge.Phones { return nil }, Now: s.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := gone.Collect(t.Context(), input(nil)); err == nil {
		t.Error("without a mobile side somebody is asked")
	}
	if _, err := gone.Verify(t.Context(), credentials); err == nil {
		t.Error("without a mobile side something is verified")
	}
}

// TestWithdraw takes the question back, once, and nothing else.
func TestWithdraw(t *testing.T) {
	t.Parallel()
	g, s := newGuest(t, challenge.Config{})
	if err := g.Withdraw(t.Context(), input(nil)); err != nil || len(s.did) != 0 {
		t.Errorf("before anybody is asked: %v, %v", s.did, err)
	}
	_, asked := collect(t, g, input(nil))
	for range 2 {
		if err := g.Withdraw(t.Context(), input(asked.State)); err != nil {
			t.Error(err)
		}
	}
	if s.op.State != operation.Cancelled || s.op.Reason != "withdrawn" {
		t.Errorf("the question is %s %s", s.op.State, s.op.Reason)
	}
}

// TestWatch: there is news when the question has changed, and of a name that was typed when it is approved or over.
func TestWatch(t *testing.T) {
	t.Parallel()
	g, s := newGuest(t, challenge.Config{})
	_, asked := collect(t, g, input(nil))
	watch := func(in realm.Input, since string) bool {
		t.Helper()
		changed, err := g.Watch(t.Context(), in, since, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	known := input(asked.State)
	if watch(known, asked.Wait.Since) || !watch(known, "0") || !watch(known, "x") || !watch(input(nil), "1") {
		t.Error("news is told where there is none, or not where there is")
	}
	s.approve(mobiletype.PushPIN)
	if !watch(known, asked.Wait.Since) {
		t.Error("an approval is no news")
	}
	for _, name := range []string{"alice", "mallory"} {
		typed := input(nil, func(in *realm.Input) { in.Subject, in.Fields = "", map[string]string{challenge.FieldLogin: name} })
		_, asked := collect(t, g, typed)
		typed.State, typed.Fields = asked.State, nil
		s.op.State = operation.Denied
		if watch(typed, asked.Wait.Since) {
			t.Errorf("%s: a no is told to who has typed a name", name)
		}
		s.clock.Advance(2 * time.Minute)
		if !watch(typed, asked.Wait.Since) {
			t.Errorf("%s: the end is no news", name)
		}
	}
}

// TestUnknownNamesTakeAsLong: to ask for a name, whosever it is, takes the same.
func TestUnknownNamesTakeAsLong(t *testing.T) {
	t.Parallel()
	var paused []time.Duration
	g, s := newGuest(t, challenge.Config{Pause: func(_ context.Context, d time.Duration) error {
		paused = append(paused, d)
		return nil
	}})
	for _, name := range []string{"alice", "mallory"} {
		_, asked := collect(t, g, input(nil, func(in *realm.Input) { in.Subject, in.Fields = "", map[string]string{challenge.FieldLogin: name} }))
		if len(asked.Wait.Number) != 2 || asked.Data["operation"] != "" {
			t.Errorf("%s is shown %+v, %v", name, asked.Wait, asked.Data)
		}
	}
	if len(paused) != 2 || paused[0] != paused[1] || paused[0] <= 0 {
		t.Errorf("the pauses are %v", paused)
	}
	if a, b := s.asked[0], s.asked[1]; a.Fallback != mobiletype.NoFallback || b.Fallback != mobiletype.NoFallback || b.UserID == "" {
		t.Errorf("asked %+v and %+v", a, b)
	}
}

// TestNobodyIsKnown: a realm that does not determine the user asks nothing of nobody.
func TestNobodyIsKnown(t *testing.T) {
	t.Parallel()
	g, s := newGuest(t, challenge.Config{})
	_, asked := collect(t, g, input(nil, func(in *realm.Input) {
		in.Subject, in.Identifies, in.Fields = "", false, map[string]string{challenge.FieldLogin: "alice"}
	}))
	if len(s.asked) != 0 || len(asked.Fields) != 0 || !asked.Stuck || asked.State != nil {
		t.Errorf("asked %v, challenged by %+v", s.asked, asked)
	}
}

// TestRefusedStarts: a person who cannot be asked is told so, and a key that is used elsewhere spoils nothing that was kept.
func TestRefusedStarts(t *testing.T) {
	t.Parallel()
	for _, err := range []error{operation.ErrBlocked, operation.ErrTooManyOpen, operation.ErrUser, &asking.ImpossibleError{}, operation.ErrIdempotency} {
		g, s := newGuest(t, challenge.Config{})
		s.refuses = err
		_, asked := collect(t, g, input(nil))
		if asked.Wait.Stage != realm.StageImpossible || (asked.State == nil) != errors.Is(err, operation.ErrIdempotency) {
			t.Errorf("%v: %+v", err, asked)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	set := types(t)
	for _, tt := range []struct {
		name, want string
		config     challenge.Config
	}{
		{"one type", "", challenge.Config{Type: "pin"}},
		{"more, and weaker", "", challenge.Config{Type: "pin", Also: []string{"push", "scan"}}},
		{"an unknown type", `"nothing" is not defined`, challenge.Config{Type: "nothing"}},
		{"another unknown", `"nothing" is not defined`, challenge.Config{Type: "pin", Also: []string{"nothing"}}},
		{"the same twice", "named twice", challenge.Config{Type: "pin", Also: []string{"push", "push"}}},
		{"itself", "named twice", challenge.Config{Type: "pin", Also: []string{"pin"}}},
		{"a policy that is none", `fallback "some"`, challenge.Config{Type: "pin", Fallback: "some"}},
		{"weaker where that is forbidden", "proves less", challenge.Config{Type: "pin", Also: []string{"push"}, Fallback: mobiletype.SameOrHigher}},
		{"stronger", "", challenge.Config{Type: "push", Also: []string{"pin"}, Fallback: mobiletype.NoFallback}},
	} {
		err := tt.config.Check(set)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if _, err := challenge.New(challenge.Config{Type: "pin"}); err == nil {
		t.Error("a guest without a mobile side and a clock is built")
	}
}
