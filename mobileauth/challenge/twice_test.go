// SPDX-License-Identifier: Apache-2.0

package challenge_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/challenge"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// digits are so many that no two numbers are the same by chance.
const digits = 9

// exchange is a mobile side of many operations, which has a start that is repeated under its key find the first one's. Alice has a
// phone, and bob has none.
type exchange struct {
	challenge.Asking
	challenge.People
	challenge.Operations

	mu   sync.Mutex
	all  []*operation.Operation          // guarded by mu
	keys map[string]*operation.Operation // guarded by mu
}

func (e *exchange) ByLogin(_ context.Context, login string) (string, error) {
	return map[string]string{"alice": alice, "bob": "usr_bob"}[login], nil
}

func (e *exchange) Start(_ context.Context, r asking.Request) (operation.Operation, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.UserID != alice {
		return operation.Operation{}, false, &asking.ImpossibleError{}
	}
	if o, ok := e.keys[r.IdempotencyKey]; ok && r.IdempotencyKey != "" {
		return *o, false, nil
	}
	o := &operation.Operation{
		ID: fmt.Sprintf("op_%d", len(e.all)), Kind: r.Kind, State: operation.Pending, UserID: r.UserID, ExternalID: r.ExternalID, Version: 1,
		Number: fmt.Sprintf("%0*d", digits, len(e.all)), AnswerBy: time.Now().Add(2 * time.Minute),
		Way: operation.Way{Channel: operation.ByPush, Type: r.Type, Of: mobiletype.PushPIN},
	}
	e.all, e.keys[r.IdempotencyKey] = append(e.all, o), o
	return *o, true, nil
}

func (e *exchange) find(id string) (*operation.Operation, error) {
	for _, o := range e.all {
		if o.ID == id {
			return o, nil
		}
	}
	return nil, operation.ErrNotFound
}

func (e *exchange) Wait(_ context.Context, id string, _ uint64, _ time.Duration) (operation.Operation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	o, err := e.find(id)
	if err != nil {
		return operation.Operation{}, err
	}
	return *o, nil
}

func (e *exchange) Cancel(ctx context.Context, id, reason string) (operation.Operation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return operation.Operation{}, err
	}
	o, err := e.find(id)
	if err != nil {
		return operation.Operation{}, err
	}
	o.State, o.Reason = operation.Cancelled, reason
	return *o, nil
}

func (e *exchange) open() (open int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, o := range e.all {
		if o.State.Open() {
			open++
		}
	}
	return open
}

// newExchange returns a realm that asks by the type "pin", or "push", by the clock of the machine.
func newExchange(t *testing.T) (*challenge.Guest, *exchange) {
	t.Helper()
	e, set := &exchange{keys: map[string]*operation.Operation{}}, types(t)
	g, err := challenge.New(challenge.Config{
		Type: "pin", Also: []string{"push"}, Now: time.Now,
		Phones: func() *challenge.Phones {
			return &challenge.Phones{Asking: e, Operations: e, People: e, Types: set, Issuer: "https://auth.example.com", Digits: digits, Shown: vouched}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g, e
}

// typed is what a page sends on which somebody has typed a name, or pressed a button.
func typed(state []byte, fields map[string]string) realm.Input {
	return input(state, func(in *realm.Input) { in.Subject, in.Fields = "", fields })
}

// told is all that two answers say, up to the digits of their numbers.
type told struct {
	First, Second realm.Challenge
	Took          [2]time.Duration
	SameNumber    bool
}

// compare takes the numbers out of two answers, and what is kept on the server.
func compare(first, second *realm.Challenge, took [2]time.Duration) told {
	pair := told{First: *first, Second: *second, Took: took}
	pair.SameNumber = pair.First.Data["number"] == pair.Second.Data["number"]
	for _, c := range []*realm.Challenge{&pair.First, &pair.Second} {
		if c.Wait != nil {
			shown := *c.Wait
			shown.Number = strings.Repeat("#", len(shown.Number))
			c.Wait = &shown
		}
		data := map[string]string{}
		for name, value := range c.Data {
			data[name] = value
		}
		data["number"] = strings.Repeat("#", len(data["number"]))
		c.Data, c.State = data, nil
	}
	return pair
}

// TestTwoAnswersToOnePage: whoever sends one page twice, at once or one after the other, is told the same of any name: two numbers as
// long as nothing was answered, and one from then on.
func TestTwoAnswersToOnePage(t *testing.T) {
	t.Parallel()
	name := func(login string) map[string]string { return map[string]string{challenge.FieldLogin: login} }
	action := func(value string) func(string) map[string]string {
		return func(string) map[string]string { return map[string]string{realm.FieldAction: value} }
	}
	for _, test := range []struct {
		name   string
		asked  time.Duration // how long ago somebody was asked already; zero where nobody was
		fields func(login string) map[string]string
		bare   bool // without a page before
		agent  bool // the second answer comes from another browser
		after  time.Duration
		later  bool // the second is sent when the first was answered
		kept   bool // the second answer is to what the first has kept
		same   bool
	}{
		{name: "at once", fields: name},
		{name: "a little later", fields: name, after: 300 * time.Millisecond},
		{name: "from two browsers", fields: name, agent: true},
		{name: "with no page before", fields: name, bare: true},
		{name: "after the first was answered, as if it were not", fields: name, later: true},
		{name: "after the first was answered", fields: name, later: true, kept: true, same: true},
		{name: "another way", asked: time.Second, fields: action(challenge.ActionUse + "push")},
		{name: "again, in the end", asked: 3 * time.Minute, fields: action(challenge.ActionAgain)},
		{name: "again, too soon", asked: time.Second, fields: action(challenge.ActionAgain), same: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				pairs := map[string]told{}
				for _, login := range []string{"alice", "bob", "mallory"} {
					g, _ := newExchange(t)
					var state []byte
					if !test.bare {
						_, form := collect(t, g, typed(nil, nil))
						state = form.State
					}
					if test.asked > 0 {
						_, asked := collect(t, g, typed(state, name(login)))
						state = asked.State
						<-time.After(test.asked)
					}
					var answers [2]*realm.Challenge
					var took [2]time.Duration
					answer := func(i int) {
						in, began := typed(state, test.fields(login)), time.Now()
						if in.Spent = i > 0; in.Spent && test.kept {
							in.State, in.Spent = answers[0].State, false
						}
						if i > 0 && test.agent {
							in.Headers = map[string][]string{"User-Agent": {"Chrome"}}
						}
						_, answers[i] = collect(t, g, in)
						took[i] = time.Since(began)
					}
					var both sync.WaitGroup
					both.Go(func() { answer(0) })
					<-time.After(test.after)
					if test.later {
						both.Wait()
					}
					both.Go(func() { answer(1) })
					both.Wait()
					if answers[0].Data["number"] == "" {
						t.Fatalf("%s is asked by no number: %+v", login, answers[0])
					}
					pairs[login] = compare(answers[0], answers[1], took)
					if pairs[login].SameNumber != test.same {
						t.Errorf("%s: the same number twice: %v, want %v", login, pairs[login].SameNumber, test.same)
					}
				}
				for _, login := range []string{"bob", "mallory"} {
					pair := pairs[login]
					untimed(&pair, pairs["alice"])
					if diff := cmp.Diff(pairs["alice"], pair); diff != "" {
						t.Errorf("for alice (-) and for %s (+):\n%s", login, diff)
					}
				}
			})
		})
	}
}

// untimed moves the ends of a pair that was asked for later to where those of another are, if all are as far apart.
func untimed(pair *told, other told) {
	by := other.First.Wait.Until.Sub(pair.First.Wait.Until)
	for _, c := range []*realm.Challenge{&pair.First, &pair.Second} {
		moved := *c.Wait
		moved.Until = moved.Until.Add(by)
		c.Wait = &moved
	}
}

// TestPressedTwice: of a caller who leaves before the answer nothing waits on the phone, and who comes again has one question there,
// by the number that is shown; whoever's the name is.
func TestPressedTwice(t *testing.T) {
	t.Parallel()
	for login, open := range map[string]int{"alice": 1, "bob": 0, "mallory": 0} {
		synctest.Test(t, func(t *testing.T) {
			g, e := newExchange(t)
			_, form := collect(t, g, typed(nil, nil))
			in := typed(form.State, map[string]string{challenge.FieldLogin: login})
			leaves, leave := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer leave()
			if _, asked, err := g.Collect(leaves, in); !errors.Is(err, context.DeadlineExceeded) || asked != nil {
				t.Errorf("%s: who has left is told %+v, %v", login, asked, err)
			}
			if n := e.open(); n != 0 {
				t.Errorf("%s: %d questions are left behind", login, n)
			}
			in.Spent = true
			_, asked := collect(t, g, in)
			if asked.Wait == nil || asked.Wait.Stage != realm.StageAsked || len(asked.Wait.Number) != digits || e.open() != open {
				t.Fatalf("%s: the second time %+v, with %d questions", login, asked, e.open())
			}
			if open > 0 && asked.Wait.Number != e.all[len(e.all)-1].Number {
				t.Errorf("%s: the page shows %q", login, asked.Wait.Number)
			}
		})
	}
}
