// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

// stage is a world over a frail store in which a phone has one operation to answer.
type stage struct {
	*world
	frail *storagetest.FrailDB
	p     *phone
	o     operation.Operation
	a     operation.Answer // prepared before anything fails
}

func newStage(t *testing.T) *stage {
	t.Helper()
	w := &world{t: t, clock: storagetest.NewClock(), users: &users{out: map[string]error{}}}
	s := &stage{world: w, frail: storagetest.Frail(engines.All[0].Plain(t, w.clock.Now))}
	w.db = storagetest.Faulty(s.frail)
	_, issuer := keysOfServer(t)
	w.build(func(c *operation.Config) { c.Receipts = issuer })
	s.p = w.phone("usr_1")
	s.o = w.ask("usr_1", at(s.p), digits(2), key("k"))
	return s
}

// content is everything that is stored.
func (s *stage) content() map[string]string {
	s.t.Helper()
	found := map[string]string{}
	must(s.t, s.frail.DB.View(s.t.Context(), func(tx storage.Tx) error {
		for item, err := range tx.Scan("", "", 0) {
			if err != nil {
				return err
			}
			found[item.Key] = string(item.Value)
		}
		return nil
	}))
	return found
}

func (s *stage) reply(spoil ...func(*reply)) { s.a = s.p.approval(s.o, spoil...) }

func (s *stage) update(fn func(tx storage.Tx) error) error { return s.db.Update(s.t.Context(), fn) }

func answering(s *stage, ctx context.Context) (any, error) { return s.Answer(ctx, s.a) }

// typing types the code of the stage's operation, or another one.
func typing(wrong bool) func(s *stage, ctx context.Context) (any, error) {
	return func(s *stage, ctx context.Context) (any, error) {
		code := s.o.SMS.Code
		if wrong {
			code = off(code)
		}
		return s.Verify(ctx, s.o.ID, "portal", code)
	}
}

// TestEveryOperationOfATransitionMayFail: each read and each write of each transition fails once; it errs with that cause,
// comes with nothing, and has changed nothing.
func TestEveryOperationOfATransitionMayFail(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		prepare func(s *stage)
		call    func(s *stage, ctx context.Context) (any, error)
		parts   bool // several transactions, of which one may be done
	}{
		{name: "start", call: func(s *stage, ctx context.Context) (any, error) {
			o, _, err := s.Start(ctx, question("usr_1", key("k2"), func(st *operation.Start) { st.ExternalID = "x" }))
			return o, err
		}},
		{name: "start a second time", call: func(s *stage, ctx context.Context) (any, error) {
			o, _, err := s.Start(ctx, question("usr_1", at(s.p), digits(2), key("k")))
			return o, err
		}},
		{name: "deliver", call: func(s *stage, ctx context.Context) (any, error) { return s.Deliver(ctx, s.o.ID, s.p.id) }},
		{name: "approve", prepare: func(s *stage) { s.reply() }, call: answering},
		{name: "deny", prepare: func(s *stage) { s.a = s.p.denial(s.o, envelope.NotMe) }, call: answering},
		{name: "a wrong PIN", prepare: func(s *stage) { s.reply(wrongPIN) }, call: answering},
		{name: "a wrong number", prepare: func(s *stage) { s.reply(number(other(s.o))) }, call: answering},
		{name: "a factor that is not accepted", prepare: func(s *stage) { s.reply(by("biometric", s.p)) }, call: answering},
		{name: "the last try", prepare: func(s *stage) {
			s.p.approve(s.o, number(other(s.o)))
			s.p.approve(s.o, number(other(s.o)))
			s.reply(number(other(s.o)))
		}, call: answering},
		{name: "the last PIN", prepare: func(s *stage) {
			for range 2 {
				second := s.ask("usr_1")
				s.p.approve(second, wrongPIN)
				s.p.approve(second, wrongPIN)
			}
			s.ask("usr_1", at(s.p))
			s.reply(wrongPIN)
		}, call: answering},
		{name: "an answer that is too late", prepare: func(s *stage) {
			s.clock.Advance(time.Hour)
			s.reply()
		}, call: answering},
		{name: "an answer by a stranger", prepare: func(s *stage) { s.a = s.phone("usr_2").approval(s.o) }, call: answering},
		{name: "cancel", call: func(s *stage, ctx context.Context) (any, error) { return s.Cancel(ctx, s.o.ID, "x") }},
		{name: "redeem", prepare: func(s *stage) { s.p.approve(s.o) }, call: func(s *stage, ctx context.Context) (any, error) { return s.Redeem(ctx, s.o.ID, "portal") }},
		{name: "redeem in vain", call: func(s *stage, ctx context.Context) (any, error) { return s.Redeem(ctx, s.o.ID, "portal") }},
		{name: "lock the device", call: func(s *stage, ctx context.Context) (any, error) { return s.handset.Lock(ctx, s.p.id, "x") }},
		{name: "take the user out", call: func(s *stage, _ context.Context) (any, error) {
			return nil, s.update(func(tx storage.Tx) error { return s.CloseForUser(tx, "usr_1") })
		}},
		{name: "expire", prepare: func(s *stage) { s.clock.Advance(time.Hour) }, call: func(s *stage, ctx context.Context) (any, error) { return nil, s.Expire(ctx) }, parts: true},
		{name: "tell", prepare: func(s *stage) { must(s.t, s.update(func(tx storage.Tx) error { return s.CloseForUser(tx, "usr_1") })) },
			call: func(s *stage, ctx context.Context) (any, error) { return nil, s.Expire(ctx) }, parts: true},
		{name: "unblock", prepare: func(s *stage) { s.p.approve(s.o, wrongPIN) }, call: func(s *stage, ctx context.Context) (any, error) {
			return nil, s.Unblock(ctx, "usr_1", "x")
		}},
		{name: "amend and finish", prepare: func(s *stage) {
			s.o = s.ask("usr_1", func(st *operation.Start) { st.Kind = operation.Registration })
		}, call: func(s *stage, _ context.Context) (any, error) {
			return nil, s.update(func(tx storage.Tx) error {
				if _, err := s.AmendTx(tx, s.o.ID, 1, operation.Delivered, json.RawMessage(`{}`)); err != nil {
					return err
				}
				_, err := s.FinishTx(tx, s.o.ID, operation.Finish{State: operation.Approved})
				return err
			})
		}},
		{name: "text", call: func(s *stage, ctx context.Context) (any, error) {
			o, _, err := s.Start(ctx, question("usr_1", texting))
			return o, err
		}},
		{name: "type the code", prepare: func(s *stage) { s.o = s.ask("usr_1", texting) }, call: typing(false)},
		{name: "type a wrong code", prepare: func(s *stage) { s.o = s.ask("usr_1", texting) }, call: typing(true)},
		{name: "type the last wrong code", prepare: func(s *stage) { s.o = s.ask("usr_1", texting, attempts(1)) }, call: typing(true)},
		{name: "type a code too late", prepare: func(s *stage) {
			s.o = s.ask("usr_1", texting)
			s.clock.Advance(time.Hour)
		}, call: typing(false)},
		{name: "resend", prepare: func(s *stage) {
			s.o = s.ask("usr_1", func(st *operation.Start) { st.Resends = 1 })
			s.clock.Advance(time.Minute)
		}, call: func(s *stage, ctx context.Context) (any, error) { return s.Resend(ctx, s.o.ID, "portal") }},
		{name: "scan", prepare: func(s *stage) {
			s.o = s.ask("", scanning)
			s.a.Message = s.p.message()
		}, call: func(s *stage, ctx context.Context) (any, error) {
			return s.Claim(ctx, operation.Claim{Message: s.a.Message, OTP: s.o.OTP})
		}},
		{name: "scan nothing", prepare: func(s *stage) { s.a.Message = s.p.message() }, call: func(s *stage, ctx context.Context) (any, error) {
			return s.Claim(ctx, operation.Claim{Message: s.a.Message, OTP: "nothing"})
		}},
		{name: "take over", prepare: func(s *stage) {
			s.ask("usr_1", late)
			s.clock.Advance(30 * time.Second)
		}, call: func(s *stage, ctx context.Context) (any, error) { return nil, s.Expire(ctx) }, parts: true},
		{name: "not sent", prepare: func(s *stage) { s.o = s.ask("usr_1", texting) }, call: func(s *stage, ctx context.Context) (any, error) {
			return s.NotSent(ctx, s.o.ID, operation.BySMS)
		}},
		{name: "not notified", prepare: func(s *stage) { s.o = s.ask("usr_1", late) }, call: func(s *stage, ctx context.Context) (any, error) {
			return s.NotSent(ctx, s.o.ID, operation.ByPush)
		}},
		{name: "look for what was started", call: func(s *stage, ctx context.Context) (any, error) {
			o, _, err := s.Repeated(ctx, "portal", "k", "another request")
			if errors.Is(err, operation.ErrIdempotency) {
				err = nil
			}
			return o, err
		}},
		{name: "get", call: func(s *stage, ctx context.Context) (any, error) { return s.Get(ctx, s.o.ID) }},
		{name: "wait", call: func(s *stage, ctx context.Context) (any, error) { return s.Wait(ctx, s.o.ID, 0, time.Minute) }},
		{name: "pending", call: func(s *stage, ctx context.Context) (any, error) { return s.Pending(ctx, s.p.id, time.Minute) }},
		{name: "list", call: func(s *stage, ctx context.Context) (any, error) { return s.ListByUser(ctx, "usr_1", "", 0) }},
		{name: "standing", call: func(s *stage, ctx context.Context) (any, error) { return s.Standing(ctx, "usr_1") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for nth := 1; ; nth++ {
				s := newStage(t)
				if test.prepare != nil {
					test.prepare(s)
				}
				before := s.content()
				s.frail.Break(nth)
				got, err := test.call(s, t.Context())
				if !s.frail.Broken() { // it is over before its nth operation
					must(t, err)
					if nth == 1 {
						t.Error("the transition does nothing")
					}
					return
				}
				if !errors.Is(err, storagetest.ErrFrail) {
					t.Fatalf("operation %d failed: %v", nth, err)
				}
				if diff := cmp.Diff(before, s.content()); diff != "" && !test.parts {
					t.Fatalf("operation %d failed and this changed:\n%s", nth, diff)
				}
				nothing(t, got)
			}
		})
	}
}

// nothing checks that a transition that failed has not said anything.
func nothing(t *testing.T, got any) {
	t.Helper()
	switch v := got.(type) {
	case nil:
	case operation.Operation:
		if v.State != "" && v.State != operation.Pending {
			t.Errorf("it came with a result, %T", v)
		}
	case operation.Outcome:
		if v.Code != "" {
			t.Errorf("it came with a result, %T", v)
		}
	case operation.Standing:
		if len(v.Open) > 0 {
			t.Errorf("it came with a result, %T", v)
		}
	case []operation.Operation:
		if len(v) > 0 {
			t.Errorf("it came with %d operations", len(v))
		}
	case handset.Device:
		if v.ID != "" {
			t.Errorf("it came with a result, %T", v)
		}
	default:
		t.Errorf("it came with %T", got)
	}
}
