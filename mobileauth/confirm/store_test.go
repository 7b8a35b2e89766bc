// SPDX-License-Identifier: Apache-2.0

package confirm_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
	"github.com/gatehouse-id/gatehouse/tests/payer"
)

// over runs a test over every engine.
func over(t *testing.T, test func(t *testing.T, w *world)) {
	t.Parallel()
	for i, e := range engines.All {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			test(t, newWorld(t, i))
		})
	}
}

// TestOnePass: what was asked is shown and signed, and the approval is good for one request, once.
func TestOnePass(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		o := w.ask()
		display, err := envelope.ParseDisplay(o.Display, o.ID)
		if err != nil || display.Content != "Pay 10 to Ann" || o.Kind != operation.Authorisation || o.Number == "" {
			t.Errorf("the phone shows %+v, %v", display, err)
		}
		if r := w.redeem(o.ID, question()); r.Code != operation.Gone || !r.Fits {
			t.Errorf("before the answer: %+v", r)
		}
		w.Approve(o.ID)
		if r := w.redeem(o.ID, question()); r.Code != operation.Accepted || !r.Fits || r.Operation.ID != o.ID {
			t.Errorf("the request: %+v", r)
		}
		if r := w.redeem(o.ID, question()); r.Code != operation.Gone || r.Reason != "is_redeemed" {
			t.Errorf("the request once more: %+v", r)
		}
	})
}

// TestApprovalOfSomethingElse: every part of what was approved has to agree; the trail says which does not, and nothing is spent.
func TestApprovalOfSomethingElse(t *testing.T) {
	t.Parallel()
	bound := func(change func(*confirm.Request)) func(*confirm.Question) {
		return func(q *confirm.Question) { q.Binding = confirm.Bind(transfer(`{"amount":10,"to":"Ann"}`, change), nil) }
	}
	for _, test := range []struct {
		reason string
		change func(*confirm.Question)
	}{
		{confirm.OtherUser, func(q *confirm.Question) { q.UserID = "usr_2" }},
		{confirm.OtherUser, func(q *confirm.Question) { q.UserID = "" }},
		{confirm.OtherClient, func(q *confirm.Question) { q.ClientID = "other" }},
		{confirm.OtherSession, func(q *confirm.Question) { q.Session = "session:2" }},
		{confirm.OtherRule, func(q *confirm.Question) { q.Rule = "other" }},
		{confirm.OtherMethod, bound(func(r *confirm.Request) { r.Method = "PUT" })},
		{confirm.OtherTarget, bound(func(r *confirm.Request) { r.Query = "n=1&to=Ann" })},
		{confirm.OtherTarget, bound(func(r *confirm.Request) { r.Asked += "&" })},
		{confirm.OtherTarget, bound(func(r *confirm.Request) { r.Path += "/" })},
		{confirm.OtherTarget, bound(func(r *confirm.Request) { r.Origin = "https://api.example.net" })},
		{confirm.OtherHeader, bound(func(r *confirm.Request) { r.Header = func(string) []string { return []string{"text/plain"} } })},
		{confirm.OtherBody, bound(func(r *confirm.Request) { r.Body = append(r.Body, ' ') })},
	} {
		t.Run(test.reason, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			o := w.ask()
			w.Approve(o.ID)
			r := w.redeem(o.ID, question(test.change))
			if r.Code != operation.NotAllowed || r.Reason != test.reason || r.Fits {
				t.Errorf("it is %+v", r)
			}
			if said := w.reasons(o.ID); len(said) != 1 || said[0] != test.reason {
				t.Errorf("the trail says %q", said)
			}
			if r := w.redeem(o.ID, question()); r.Code != operation.Accepted {
				t.Errorf("the approval was spent: %+v", r)
			}
		})
	}
}

// TestOperationsOfOthers: what was started in another way, by the very client for the very user, confirms no request.
func TestOperationsOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	o, _, err := w.Operations.Start(t.Context(), operation.Start{
		Kind: operation.Authorisation, UserID: user, ClientID: client, Context: operation.Context{Content: "Pay 10 to Ann"},
	})
	must(t, err)
	if o.OwnRequest || !w.ask().OwnRequest {
		t.Error("what the user's own request began is not told from what a client began")
	}
	w.Approve(o.ID)
	if r := w.redeem(o.ID, question()); r.Code != operation.NotAllowed || r.Reason != confirm.NoRecord || r.Fits {
		t.Errorf("it is %+v", r)
	}
	for _, id := range []string{"", "op_x", strings.Repeat("x", 4096), "../confirmation"} {
		if r := w.redeem(id, question()); r.Code != operation.NotAllowed || r.Reason != confirm.Unknown || r.Fits {
			t.Errorf("%.20q is %+v", id, r)
		}
	}
}

// TestApprovalEnds: with its window, with the phone, and with the user.
func TestApprovalEnds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(w *world)
		code   operation.Code
		reason string
	}{
		{"too late", func(w *world) { w.Clock.Advance(time.Minute) }, operation.Gone, "redeem_window"},
		{"the phone is lost", func(w *world) {
			_, err := w.Handset.Lose(w.T.Context(), w.Phone, handset.Lost, "")
			must(w.T, err)
		}, operation.NotAllowed, operation.ReasonDeviceRevoked},
		{"the user is locked", func(w *world) { w.People.Lock(user) }, operation.NotAllowed, operation.ReasonUserRevoked},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			o := w.ask()
			w.Approve(o.ID)
			test.change(w)
			if r := w.redeem(o.ID, question()); r.Code != test.code || r.Reason != test.reason {
				t.Errorf("it is %+v", r)
			}
		})
	}
}

// TestRepeated: who repeats a request that is asked about, or was approved, asks nobody; who sends another one, or the same after
// the end, does.
func TestRepeated(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		o := w.ask()
		same := func(step string) {
			t.Helper()
			again, created, err := w.Start(t.Context(), question())
			if err != nil || created || again.ID != o.ID {
				t.Errorf("%s: %v, %v, %v", step, again.ID, created, err)
			}
		}
		same("while it is asked")
		w.Approve(o.ID)
		same("when it is approved")
		for _, change := range []func(*confirm.Question){
			func(q *confirm.Question) { q.Session = "session:2" },
			func(q *confirm.Question) { q.Rule = "other" },
			func(q *confirm.Question) { q.ClientID = "other" },
			func(q *confirm.Question) { q.Binding.Body = "other" },
		} {
			if other := w.ask(change); other.ID == o.ID {
				t.Error("another request has the same operation")
			}
		}
		if r := w.redeem(o.ID, question()); r.Code != operation.Accepted {
			t.Fatalf("it is %+v", r)
		}
		second := w.ask()
		must(t, w.Answer(second.ID, envelope.Deny))
		third := w.ask()
		w.Clock.Advance(3 * time.Minute)
		fourth := w.ask()
		w.Approve(fourth.ID)
		w.Clock.Advance(time.Minute)
		fifth := w.ask()
		if second.ID == o.ID || third.ID == second.ID || fourth.ID == third.ID || fifth.ID == fourth.ID {
			t.Error("what has ended is asked again")
		}
	})
}

// TestAsked: whoever sends a request is told what was asked about it last, whatever came of that, as long as it can matter; nobody else is.
func TestAsked(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		stands := func(step, id string, state operation.State, change ...func(*confirm.Question)) {
			t.Helper()
			q := question(change...)
			o, found, err := w.Asked(t.Context(), &q)
			if err != nil || found != (id != "") || o.ID != id || o.State != state {
				t.Errorf("%s: %s is %s (%v), %v", step, o.ID, o.State, found, err)
			}
		}
		stands("before", "", "")
		o := w.ask()
		stands("asked", o.ID, operation.Pending)
		stands("another login", "", "", func(q *confirm.Question) { q.Session = "session:2" })
		stands("another request", "", "", func(q *confirm.Question) { q.Binding.Body = "other" })
		w.Approve(o.ID)
		stands("approved", o.ID, operation.Approved)
		if r := w.redeem(o.ID, question()); r.Code != operation.Accepted {
			t.Fatalf("it is %+v", r)
		}
		stands("passed", o.ID, operation.Redeemed)
		next := w.ask()
		must(t, w.Answer(next.ID, envelope.Deny))
		stands("denied", next.ID, operation.Denied)
		w.Clock.Advance(2*time.Minute + payer.Window)
		stands("long after", "", "")
		w.DB.Inject(storagetest.Fault{Op: storagetest.OnView, Err: payer.ErrDown})
		q := question()
		if _, _, err := w.Asked(t.Context(), &q); !errors.Is(err, payer.ErrDown) {
			t.Errorf("while the store is down: %v", err)
		}
	})
}

// TestStorm: of any number of callers that send the same request at once, on two nodes, one has the phone asked, and when all
// of them come with the approval, one passes.
func TestStorm(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		nodes := []*payer.Node{w.Node, w.Join()}
		ids := make([]string, 16)
		created := make([]bool, len(ids))
		for i, err := range mobiletest.Together(len(ids), func(i int) error {
			o, first, err := nodes[i%2].Start(t.Context(), question())
			ids[i], created[i] = o.ID, first
			return err
		}) {
			if err != nil {
				t.Fatalf("%d: %v", i, err)
			}
		}
		asked := 0
		for i := range ids {
			if ids[i] != ids[0] {
				t.Errorf("%s and %s are asked", ids[0], ids[i])
			}
			if created[i] {
				asked++
			}
		}
		w.Approve(ids[0])
		passed := make([]bool, len(ids))
		for i, err := range mobiletest.Together(len(ids), func(i int) error {
			r, err := nodes[i%2].Redeem(t.Context(), ids[0], question().Owner, question().Binding)
			passed[i] = err == nil && r.Code == operation.Accepted
			return err
		}) {
			if err != nil {
				t.Fatalf("%d: %v", i, err)
			}
		}
		through := 0
		for _, p := range passed {
			if p {
				through++
			}
		}
		if asked != 1 || through != 1 {
			t.Errorf("%d were asked and %d passed", asked, through)
		}
	})
}

// TestFind: who sent a request is told how it stands, and nobody else.
func TestFind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	o := w.ask()
	if got, err := w.Find(t.Context(), o.ID, question().Owner); err != nil || got.ID != o.ID || got.State != operation.Pending {
		t.Errorf("its owner is told %v, %v", got, err)
	}
	for _, change := range []func(*confirm.Question){
		func(q *confirm.Question) { q.UserID = "usr_2" },
		func(q *confirm.Question) { q.ClientID = "other" },
		func(q *confirm.Question) { q.Session = "session:2" },
	} {
		if _, err := w.Find(t.Context(), o.ID, question(change).Owner); !errors.Is(err, operation.ErrNotFound) {
			t.Errorf("somebody else is told %v", err)
		}
	}
	for _, id := range []string{"", "op_x", strings.Repeat("x", 999)} {
		if _, err := w.Find(t.Context(), id, question().Owner); !errors.Is(err, operation.ErrNotFound) {
			t.Errorf("%.10q is %v", id, err)
		}
	}
}

// TestLimits: a client, and a user, has so many questions asked at once; a request that is repeated is none.
func TestLimits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		limit  func(*confirm.Config, *limit.Limiter)
		others func(*confirm.Question)
	}{
		{"a client", func(c *confirm.Config, l *limit.Limiter) { c.Clients = l }, func(q *confirm.Question) { q.ClientID = "other" }},
		{"a user", func(c *confirm.Config, l *limit.Limiter) { c.Users = l }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			l, err := limit.New(limit.Config{Burst: 1, Every: time.Minute, Keys: 10, Now: w.Clock.Now})
			must(t, err)
			w.Node = w.Join(func(c *confirm.Config) { test.limit(c, l) })
			w.ask()
			if _, created, err := w.Start(t.Context(), question()); err != nil || created {
				t.Errorf("the same again: %v, %v", created, err)
			}
			other := func(q *confirm.Question) { q.Binding.Body = "other" }
			var limited *confirm.LimitedError
			if _, _, err := w.Start(t.Context(), question(other)); !errors.As(err, &limited) || !errors.Is(err, confirm.ErrLimited) || limited.After <= 0 || limited.Error() == "" {
				t.Errorf("one more: %v", err)
			}
			if test.others != nil {
				w.ask(test.others)
			}
			w.Clock.Advance(time.Minute)
			w.ask(other)
		})
	}
}

// TestLimitsOfCommonClient: what others ask by a client that everybody has is not held against anybody, and each user is bounded still.
func TestLimitsOfCommonClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	limiters := make([]*limit.Limiter, 2)
	for i, burst := range []int{1, 3} {
		var err error
		limiters[i], err = limit.New(limit.Config{Burst: burst, Every: time.Hour, Keys: 10, Now: w.Clock.Now})
		must(t, err)
	}
	w.Node = w.Join(func(c *confirm.Config) { c.Clients, c.Users = limiters[0], limiters[1] })
	common := func(body string) func(*confirm.Question) {
		return func(q *confirm.Question) { q.Common, q.Binding.Body = true, body }
	}
	for range 20 {
		if _, _, err := w.Start(t.Context(), question(common("x"), func(q *confirm.Question) { q.UserID = "usr_2" })); err == nil {
			t.Fatal("a user without a phone is asked")
		}
	}
	for _, body := range []string{"a", "b", "c"} {
		w.ask(common(body))
	}
	if _, _, err := w.Start(t.Context(), question(common("d"))); !errors.Is(err, confirm.ErrLimited) {
		t.Errorf("the user asks once more: %v", err)
	}
	if left := limiters[0].Len(); left != 0 {
		t.Errorf("the client is counted: %d", left)
	}
}

// TestNobodyToAsk: a user without a phone is told apart from a fault.
func TestNobodyToAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	if _, _, err := w.Start(t.Context(), question(func(q *confirm.Question) { q.UserID = "usr_2" })); !errors.Is(err, asking.ErrImpossible) {
		t.Errorf("a user without a phone: %v", err)
	}
}

// TestStoreDown: what cannot be read or written passes nothing, and says so; the approval is there when the store is again.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	o := w.ask()
	w.Approve(o.ID)
	w.DB.Inject(storagetest.Fault{Op: storagetest.OnView, Err: payer.ErrDown})
	w.DB.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: payer.ErrDown})
	if r, err := w.Redeem(t.Context(), o.ID, question().Owner, question().Binding); !errors.Is(err, payer.ErrDown) || r.Code == operation.Accepted || r.Fits {
		t.Errorf("redeeming: %+v, %v", r, err)
	}
	if _, _, err := w.Start(t.Context(), question()); !errors.Is(err, payer.ErrDown) {
		t.Errorf("starting: %v", err)
	}
	if _, err := w.Find(t.Context(), o.ID, question().Owner); !errors.Is(err, payer.ErrDown) {
		t.Errorf("finding: %v", err)
	}
	w.DB.Clear()
	if r := w.redeem(o.ID, question()); r.Code != operation.Accepted {
		t.Errorf("afterwards: %+v", r)
	}
}

// TestMissingParts: nothing is built without what it needs.
func TestMissingParts(t *testing.T) {
	t.Parallel()
	if _, err := confirm.New(confirm.Config{}); err == nil {
		t.Error("it is built of nothing")
	}
}
