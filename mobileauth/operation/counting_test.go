// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// other returns a number that is not the one of an operation.
func other(o operation.Operation) string {
	if strings.HasPrefix(o.Number, "0") {
		return "1" + o.Number[1:]
	}
	return "0" + o.Number[1:]
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		typed func(o operation.Operation) string
		ok    bool
	}{
		{"right", func(o operation.Operation) string { return o.Number }, true},
		{"wrong", other, false},
		{"missing", func(operation.Operation) string { return "" }, false},
		{"cut", func(o operation.Operation) string { return o.Number[:5] }, false},
		{"with more behind it", func(o operation.Operation) string { return o.Number + "0" }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, start := range []func(*operation.Start){with("pin"), with("possession")} {
				w := newWorld(t, 0)
				p := w.phone("usr_1")
				o := w.ask("usr_1", digits(6), start)
				out := p.approve(o, number(test.typed(o)))
				if got := out.Code == operation.Accepted; got != test.ok {
					t.Fatalf("outcome %+v", out)
				}
				if !test.ok && (out.Code != operation.Refused || out.Reason != "number_wrong" || out.Remaining != 2 || w.get(o.ID).Tries != 1) {
					t.Errorf("outcome %+v, tries %d", out, w.get(o.ID).Tries)
				}
			}
		})
	}
}

// TestWrongAnswersLookAlike: from outside nobody can tell whether the number, the factor or both were wrong (Regulation (EU)
// 2018/389, article 4(3)(a)), at any point of the way to the end.
func TestWrongAnswersLookAlike(t *testing.T) {
	t.Parallel()
	wrongNumber := func(p *phone, o operation.Operation) operation.Outcome { return p.approve(o, number(other(o))) }
	wrongFactor := func(p *phone, o operation.Operation) operation.Outcome { return p.approve(o, wrongPIN) }
	both := func(p *phone, o operation.Operation) operation.Outcome {
		return p.approve(o, wrongPIN, number(other(o)))
	}
	type seen struct {
		Code      operation.Code
		Remaining int
		State     operation.State
	}
	var first []seen
	for i, way := range []func(*phone, operation.Operation) operation.Outcome{wrongNumber, wrongFactor, both} {
		w := newWorld(t, 0)
		p := w.phone("usr_1")
		var got []seen
		for range 2 {
			o := w.ask("usr_1", digits(2))
			for range 3 {
				out := way(p, o)
				got = append(got, seen{out.Code, out.Remaining, w.get(o.ID).State})
			}
		}
		if i == 0 {
			first = got
		}
		// The last of five wrong PINs disconnects the device, which it then sees by its next message.
		if diff := cmp.Diff(first[:5], got[:5]); diff != "" {
			t.Errorf("way %d differs from the first:\n%s", i, diff)
		}
	}
	want := []seen{
		{operation.Refused, 2, operation.Pending}, {operation.Refused, 1, operation.Pending}, {operation.Refused, 0, operation.Failed},
		{operation.Refused, 1, operation.Pending}, {operation.Refused, 0, operation.Failed}, {operation.Gone, 0, operation.Failed},
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFailuresBlock: five wrong answers over three operations block the sixth, which is right; no new operation resets the
// count, and each further wrong answer blocks for longer.
func TestFailuresBlock(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		p, q := w.phone("usr_1"), w.phone("usr_1")
		ops := []operation.Operation{w.ask("usr_1", digits(2)), w.ask("usr_1", digits(2)), w.ask("usr_1", digits(2)), w.ask("usr_1", digits(2))}
		for i, o := range []operation.Operation{ops[0], ops[0], ops[1], ops[1], ops[2]} {
			phone := []*phone{p, q}[i%2]
			if out := phone.approve(o, number(other(o))); out.Code != operation.Refused {
				t.Fatalf("answer %d: %+v", i, out)
			}
		}
		if got := w.get(ops[2].ID); got.State != operation.Failed || got.Reason != operation.ReasonUserBlocked {
			t.Errorf("the operation that blocked is %s for %q", got.State, got.Reason)
		}
		told := w.told("usr_1", "")
		if !slices.Contains(told, "last_try delivered") && !slices.Contains(told, "last_try pending") {
			t.Errorf("nobody was warned: %v", told)
		}
		if !slices.Contains(told, "blocked failed") {
			t.Errorf("nobody was told of the block: %v", told)
		}
		expect(t, p.approve(ops[3]), operation.NotAllowed, operation.ReasonUserBlocked)
		if _, _, err := w.Start(t.Context(), question("usr_1")); !errors.Is(err, operation.ErrBlocked) {
			t.Errorf("starting while blocked: %v", err)
		}
		expect(t, w.answer(p.denial(ops[3], envelope.Denied)), operation.Accepted, "denied")
		for i, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			standing := w.standing("usr_1")
			if want := w.clock.Now().Add(pause * time.Minute); !standing.BlockedUntil.Equal(want) || standing.Failures != 5+i {
				t.Fatalf("after %d wrong answers: %+v, want until %s", 5+i, standing, want)
			}
			w.clock.Advance(pause * time.Minute)
			o := w.ask("usr_1", digits(2))
			out := p.approve(o, number(other(o)))
			if out.Code != operation.Refused || out.Remaining != 0 || w.get(o.ID).State != operation.Failed {
				t.Fatalf("a wrong answer after a block: %+v", out)
			}
		}
		w.clock.Advance(time.Hour)
		expect(t, p.approve(w.ask("usr_1", digits(2))), operation.Accepted, "")
		if standing := w.standing("usr_1"); standing.Failures != 0 || !standing.BlockedUntil.IsZero() {
			t.Errorf("after a success: %+v", standing)
		}
	})
}

// TestSuccessWithoutFactorClearsNothing: whoever holds the phone and guesses its PIN cannot start and approve logins that need
// none to be allowed five guesses more.
func TestSuccessWithoutFactorClearsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	p := w.phone("usr_1")
	wrongs := 0
	for range 4 {
		o := w.ask("usr_1")
		if out := p.approve(o, wrongPIN); out.Code != operation.Refused {
			t.Fatalf("guess %d: %+v", wrongs, out)
		}
		wrongs++
		_, err := w.Cancel(t.Context(), o.ID, "")
		must(t, err)
		easy := w.ask("usr_1", login, with("possession"), digits(2))
		expect(t, p.approve(easy, by("possession", p)), operation.Accepted, "")
		if got := w.standing("usr_1").Failures; got != wrongs {
			t.Fatalf("after %d wrong PINs and an approval without one, %d count", wrongs, got)
		}
	}
	o := w.ask("usr_1")
	p.approve(o, wrongPIN)
	if got := w.get(o.ID); got.State != operation.Failed || got.Reason != operation.ReasonFactorLimit {
		t.Errorf("the fifth wrong PIN left it %s for %q", got.State, got.Reason)
	}
	d, err := w.handset.Get(t.Context(), p.id)
	must(t, err)
	if d.Status != handset.Deactivated {
		t.Errorf("the device is %s", d.Status)
	}
}

func TestNumberFailuresClear(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	p := w.phone("usr_1")
	o := w.ask("usr_1", login, with("possession"), digits(2))
	p.approve(o, by("possession", p), number(other(o)))
	expect(t, p.approve(w.ask("usr_1", login, with("possession")), by("possession", p)), operation.Accepted, "")
	if got := w.standing("usr_1").Failures; got != 1 {
		t.Errorf("an approval that asked no number cleared the count: %d", got)
	}
	expect(t, p.approve(o, by("possession", p)), operation.Accepted, "")
	if got := w.standing("usr_1").Failures; got != 0 {
		t.Errorf("the right number left %d", got)
	}
}

// TestDisconnectEndsEverythingThatRestsOnTheDevice: the last wrong PIN fails the operation it was sent for, and cancels those
// that nobody else can answer.
func TestDisconnectEndsEverythingThatRestsOnTheDevice(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		w.phone("usr_1")
		mine, also, anyone := w.ask("usr_1", at(p)), w.ask("usr_1", at(p)), w.ask("usr_1")
		guess := []operation.Operation{mine, mine, also, also}
		for _, o := range guess {
			p.approve(o, wrongPIN)
		}
		must(t, w.Unblock(t.Context(), "usr_1", "test")) // the user's count, not the device's
		out := p.approve(mine, wrongPIN)
		expect(t, out, operation.Refused, handset.FactorWrong)
		for _, want := range []struct {
			id     string
			state  operation.State
			reason string
		}{
			{mine.ID, operation.Failed, operation.ReasonFactorLimit},
			{also.ID, operation.Cancelled, operation.ReasonDeviceRevoked},
			{anyone.ID, operation.Pending, ""},
		} {
			if got := w.get(want.id); got.State != want.state || got.Reason != want.reason {
				t.Errorf("%s for %q, want %s for %q", got.State, got.Reason, want.state, want.reason)
			}
		}
		if diff := cmp.Diff([]string{anyone.ID}, w.standing("usr_1").Open); diff != "" {
			t.Errorf("open:\n%s", diff)
		}
	})
}

func TestBarredForGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, func(c *operation.Config) { c.Limits = operation.Limits{Failures: 2, FailuresForGood: 4} })
	p := w.phone("usr_1")
	for range 4 {
		o := w.ask("usr_1", digits(2))
		p.approve(o, number(other(o)))
		w.clock.Advance(time.Hour)
	}
	w.clock.Advance(1000 * time.Hour)
	if standing := w.standing("usr_1"); !standing.Barred {
		t.Fatalf("standing: %+v", standing)
	}
	if _, _, err := w.Start(t.Context(), question("usr_1")); !errors.Is(err, operation.ErrBlocked) {
		t.Errorf("starting: %v", err)
	}
	if err := w.Unblock(t.Context(), "usr_1", "a\x00b"); !errors.Is(err, operation.ErrInvalid) {
		t.Errorf("a reason that forges lines: %v", err)
	}
	must(t, w.Unblock(t.Context(), "usr_1", "identified at the desk"))
	if diff := cmp.Diff(operation.Standing{}, w.standing("usr_1")); diff != "" {
		t.Errorf("after unblocking:\n%s", diff)
	}
	expect(t, p.approve(w.ask("usr_1")), operation.Accepted, "")
}

func TestPushBudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	p := w.phone("usr_1")
	ask := func() (o operation.Operation) {
		o = w.ask("usr_1")
		_, err := w.Cancel(t.Context(), o.ID, "")
		must(t, err)
		return o
	}
	pushes := func(n int) (got []string) {
		for range n {
			got = append(got, ask().Push)
		}
		return got
	}
	queued := func(n int, then ...string) []string {
		return append(slices.Repeat([]string{operation.PushQueued}, n), then...)
	}
	if diff := cmp.Diff(queued(5, operation.PushHeldBudget, operation.PushHeldBudget), pushes(7)); diff != "" {
		t.Errorf("in one minute:\n%s", diff)
	}
	w.clock.Advance(time.Minute)
	if diff := cmp.Diff(queued(5, operation.PushHeldBudget), pushes(6)); diff != "" {
		t.Errorf("in the next:\n%s", diff)
	}
	w.clock.Advance(time.Hour)
	if diff := cmp.Diff([]string{operation.PushHeldBudget}, pushes(1)); diff != "" {
		t.Errorf("after ten without a success:\n%s", diff)
	}
	p.approve(w.ask("usr_1"))
	if diff := cmp.Diff(queued(1), pushes(1)); diff != "" {
		t.Errorf("after a success:\n%s", diff)
	}
	o := w.ask("usr_1", func(s *operation.Start) { s.Kind = operation.Registration })
	if o.Push != "" {
		t.Errorf("a registration is pushed: %q", o.Push)
	}
}

// TestPushesAreForgottenAfterADay: ten operations that nobody saw do not silence a phone for ever.
func TestPushesAreForgottenAfterADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.phone("usr_1")
	for range 10 {
		if o := w.ask("usr_1"); o.Push != operation.PushQueued {
			t.Fatalf("held: %q", o.Push)
		}
		w.clock.Advance(2 * time.Minute)
	}
	if o := w.ask("usr_1"); o.Push != operation.PushHeldBudget {
		t.Errorf("the eleventh: %q", o.Push)
	}
	w.clock.Advance(24 * time.Hour)
	if o := w.ask("usr_1"); o.Push != operation.PushQueued {
		t.Errorf("a day later: %q", o.Push)
	}
}

// TestNotMeStopsPushes until the person approves something.
func TestNotMeStopsPushes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	p := w.phone("usr_1")
	w.answer(p.denial(w.ask("usr_1"), envelope.NotMe))
	w.clock.Advance(48 * time.Hour)
	o := w.ask("usr_1")
	if o.Push != operation.PushHeldNotMe {
		t.Errorf("after not_me: %q", o.Push)
	}
	pending, err := w.Pending(t.Context(), p.id, 0)
	must(t, err)
	if len(pending) != 1 || pending[0].ID != o.ID {
		t.Errorf("the phone finds %d operations", len(pending))
	}
	p.approve(o)
	if o := w.ask("usr_1"); o.Push != operation.PushQueued {
		t.Errorf("after a success: %q", o.Push)
	}
	w.answer(p.denial(o, envelope.NotMe))
	w.answer(p.denial(w.ask("usr_1"), envelope.NotMe))
	must(t, w.Unblock(t.Context(), "usr_1", ""))
	if o := w.ask("usr_1"); o.Push != operation.PushQueued {
		t.Errorf("after an operator lifted it: %q", o.Push)
	}
}
