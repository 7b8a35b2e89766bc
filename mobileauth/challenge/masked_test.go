// SPDX-License-Identifier: Apache-2.0

package challenge_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/challenge"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// recorder is a mobile side that remembers the calls that were made, and the pauses, and knows operations that were started by their ids
// alone.
type recorder struct {
	*side
	calls []string
}

func (r *recorder) call(id, what string) error {
	r.calls = append(r.calls, what)
	if id != r.op.ID {
		return operation.ErrNotFound
	}
	return nil
}

func (r *recorder) Start(ctx context.Context, asked asking.Request) (operation.Operation, bool, error) {
	r.calls = append(r.calls, "start")
	o, created, err := r.side.Start(ctx, asked)
	if strings.HasPrefix(asked.Type, "sms") {
		r.op.Channel, r.op.Of, r.op.SMS = operation.BySMS, mobiletype.SMS, new(operation.Texting)
		o = r.op
	}
	return o, created, err
}

func (r *recorder) Wait(ctx context.Context, id string, since uint64, d time.Duration) (operation.Operation, error) {
	if err := r.call(id, "wait"); err != nil {
		return operation.Operation{}, err
	}
	if d > 0 { // it holds until the time is over
		r.clock.Advance(d)
	}
	return r.side.Wait(ctx, id, since, d)
}

func (r *recorder) Cancel(ctx context.Context, id, reason string) (operation.Operation, error) {
	if err := r.call(id, "cancel "+reason); err != nil {
		return operation.Operation{}, err
	}
	return r.side.Cancel(ctx, id, reason)
}

func (r *recorder) Resend(_ context.Context, id, _ string) (operation.Operation, error) {
	return r.op, r.call(id, "resend")
}

func (r *recorder) Verify(_ context.Context, id, _, _ string) (operation.Outcome, error) {
	return operation.Outcome{Code: operation.Refused}, r.call(id, "verify")
}

func (r *recorder) ByLogin(ctx context.Context, login string) (string, error) {
	r.calls = append(r.calls, "find")
	return r.side.ByLogin(ctx, login)
}

// newRecorder returns a realm that asks by a type, or by another that is chosen.
func newRecorder(t *testing.T, typ string, starts func(string) time.Duration) (*challenge.Guest, *recorder) {
	t.Helper()
	r := &recorder{side: &side{clock: storagetest.NewClock()}}
	said := map[string]string{"en": "Sign in {code}"}
	set, err := mobiletype.New([]mobiletype.Type{
		{Name: "pin", Method: mobiletype.PushPIN, Messages: said, Resends: 2}, {Name: "push", Method: mobiletype.Push, Messages: said},
		{Name: "sms", Method: mobiletype.SMS, Messages: said, Resends: 2, Attempts: 3},
	}, mobiletype.Config{})
	if err != nil {
		t.Fatal(err)
	}
	guest, err := challenge.New(challenge.Config{
		Type: typ, Also: []string{"push"}, Now: r.clock.Now,
		Phones: func() *challenge.Phones {
			return &challenge.Phones{Asking: r, Operations: r, People: r, Types: set, Issuer: "https://auth.example.com", Digits: 2, Starts: starts, Shown: vouched}
		},
		Pause: func(ctx context.Context, d time.Duration) error {
			r.clock.Advance(max(0, d))
			return ctx.Err()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return guest, r
}

// TestTheSameIsDoneForAnyName: whatever somebody does who has typed a name, the same is asked of the store, and as long is waited,
// whether the name is a user's or nobody's.
func TestTheSameIsDoneForAnyName(t *testing.T) {
	t.Parallel()
	action := func(value string) map[string]string { return map[string]string{realm.FieldAction: value} }
	type step struct {
		fields map[string]string // nil looks, and so does the zero value
		later  time.Duration
	}
	withdraws := step{fields: map[string]string{"withdraw": ""}}
	for _, test := range []struct {
		name  string
		typ   string
		steps []step
		want  string // a call that is among them
	}{
		{"looking", "pin", []step{{}, {}}, "wait"},
		{"cancelling", "pin", []step{{fields: action(challenge.ActionCancel)}, {}}, "cancel withdrawn"},
		{"cancelling twice", "pin", []step{{fields: action(challenge.ActionCancel)}, {fields: action(challenge.ActionCancel)}}, "cancel withdrawn"},
		{"asking somebody else", "pin", []step{{fields: action(challenge.ActionName)}}, "cancel withdrawn"},
		{"another way", "pin", []step{{fields: action(challenge.ActionUse + "push")}, {}}, "cancel another_way"},
		{"giving the request up", "pin", []step{withdraws}, "cancel withdrawn"},
		{"again, too soon", "pin", []step{{fields: action(challenge.ActionAgain)}}, "wait"},
		{"again, in the end", "pin", []step{{later: 3 * time.Minute}, {fields: action(challenge.ActionAgain), later: time.Second}}, "start"},
		{"sending again", "pin", []step{{fields: action(challenge.ActionResend), later: time.Minute}}, "resend"},
		{"sending again, too soon", "pin", []step{{fields: action(challenge.ActionResend)}}, "wait"},
		{"a code", "sms", []step{{fields: map[string]string{challenge.FieldCode: "123456"}}, {}}, "verify"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var calls [2][]string
			var took [2]time.Duration
			for i, name := range []string{"alice", "mallory"} {
				g, r := newRecorder(t, test.typ, nil)
				began := r.clock.Now()
				in := input(nil, func(in *realm.Input) { in.Subject, in.Fields = "", map[string]string{challenge.FieldLogin: name} })
				_, asked := collect(t, g, in)
				for _, s := range test.steps {
					r.clock.Advance(s.later)
					if in.Fields = s.fields; asked.State != nil {
						in.State = asked.State
					}
					if _, gives := s.fields["withdraw"]; gives {
						if err := g.Withdraw(t.Context(), in); err != nil {
							t.Fatal(err)
						}
						continue
					}
					_, asked = collect(t, g, in)
				}
				calls[i], took[i] = r.calls, r.clock.Now().Sub(began)
			}
			if diff := cmp.Diff(calls[0], calls[1]); diff != "" {
				t.Errorf("for a user (-) and for nobody (+):\n%s", diff)
			}
			if took[0] != took[1] {
				t.Errorf("for a user it takes %v, for nobody %v", took[0], took[1])
			}
			if !strings.Contains(strings.Join(calls[0], "\n"), test.want) {
				t.Errorf("nothing was done: %q", calls[0])
			}
		})
	}
}

// TestWatchingTakesAsLong: whoever waits for the answer of a name waits as long for a user who does not answer as for nobody.
func TestWatchingTakesAsLong(t *testing.T) {
	t.Parallel()
	for _, most := range []time.Duration{25 * time.Second, time.Hour} {
		var took [2]time.Duration
		var news [2]bool
		for i, name := range []string{"alice", "mallory"} {
			g, r := newRecorder(t, "pin", nil)
			in := input(nil, func(in *realm.Input) { in.Subject, in.Fields = "", map[string]string{challenge.FieldLogin: name} })
			_, asked := collect(t, g, in)
			in.State, in.Fields = asked.State, nil
			began := r.clock.Now()
			var err error
			if news[i], err = g.Watch(t.Context(), in, asked.Wait.Since, most); err != nil {
				t.Fatal(err)
			}
			took[i] = r.clock.Now().Sub(began)
			if took[i] <= 0 || r.calls[len(r.calls)-1] != "wait" {
				t.Errorf("%s: it takes %v, after %q", name, took[i], r.calls)
			}
		}
		if took[0] != took[1] || news[0] != news[1] {
			t.Errorf("most %v: %v and %v, %v and %v", most, took[0], took[1], news[0], news[1])
		}
	}
}

// TestStartsByNameAreCounted by the address, whoever's the name is, before anybody looks whose that is; nothing else is.
func TestStartsByNameAreCounted(t *testing.T) {
	t.Parallel()
	var counted []string
	left := 2
	g, r := newRecorder(t, "pin", func(address string) time.Duration {
		if counted = append(counted, address); left == 0 {
			return 5 * time.Second
		}
		left--
		return 0
	})
	typed := func(name string, state []byte) realm.Input {
		return input(state, func(in *realm.Input) { in.Subject, in.Fields = "", map[string]string{challenge.FieldLogin: name} })
	}
	_, form := collect(t, g, typed("", nil))
	_, asked := collect(t, g, typed("alice", form.State))
	looked := typed("", asked.State)
	looked.Fields = nil
	collect(t, g, looked)
	if len(counted) != 1 {
		t.Errorf("a form, a question and a look are counted %d times", len(counted))
	}
	collect(t, g, typed("mallory", form.State))
	done := len(r.calls)
	for _, name := range []string{"alice", "mallory"} {
		credentials, asked := collect(t, g, typed(name, form.State))
		if asked != nil {
			t.Fatalf("%s is asked one too many: %+v", name, asked)
		}
		result, err := g.Verify(t.Context(), credentials)
		if err != nil || result.Status != realm.Throttled || result.RetryAfter != 5*time.Second || result.Account != "" {
			t.Errorf("%s: %+v, %v", name, result, err)
		}
	}
	if len(r.calls) != done {
		t.Errorf("the store was asked about whom nobody may ask: %q", r.calls[done:])
	}
	for _, address := range counted {
		if address != "192.0.2.1" {
			t.Errorf("counted for %q", address)
		}
	}
	if _, asked := collect(t, g, input(nil)); asked.Wait == nil || asked.Wait.Stage != realm.StageAsked || len(counted) != 4 {
		t.Errorf("somebody who is known is counted or not asked: %+v, %d", asked, len(counted))
	}
}
