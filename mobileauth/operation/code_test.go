// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

const phoneNumber = "+31612345678"

// texting is an authentication over SMS.
func texting(s *operation.Start) {
	s.Kind, s.Methods, s.Context = operation.Authentication, nil, operation.Context{Content: "Sign in"}
	s.Asked = "sms_code"
	s.Way = operation.Way{
		Channel: operation.BySMS, Type: "sms_code", Of: mobiletype.SMS, Named: "bronze", Attempts: 3, Resends: 2,
		SMS: &operation.Texting{To: phoneNumber, Masked: "+31 ** *** **78", Text: "Your code: {code}", Origin: "id.example.com"},
	}
}

func attempts(n int) func(*operation.Start) { return func(s *operation.Start) { s.Attempts = n } }

// off is a code that is not the given one.
func off(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

func (w *world) verify(o operation.Operation, code string) operation.Outcome {
	w.t.Helper()
	out, err := w.Verify(w.t.Context(), o.ID, "portal", code)
	must(w.t, err)
	return out
}

func TestCodeApproves(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		o := w.ask("usr_1", texting)
		if len(o.SMS.Code) != 6 || strings.Trim(o.SMS.Code, "0123456789") != "" || o.Push != "" || len(o.Methods) != 0 || o.Number != "" ||
			len(o.Display) != 0 || o.AnswerBy.Sub(o.CreatedAt) != 5*time.Minute {
			t.Fatalf("it began as %+v", o)
		}
		out := w.verify(o, o.SMS.Code)
		expect(t, out, operation.Accepted, "")
		got := w.get(o.ID)
		if diff := cmp.Diff(out.Operation, got); diff != "" {
			t.Error(diff)
		}
		if got.State != operation.Approved || got.Used != mobiletype.SMS || got.ACR != "bronze" || !slices.Equal(got.AMR, []string{"sms"}) ||
			got.Method != "sms" || got.Factor || got.AnsweredBy != "" || got.Receipt != "" || !got.RedeemBy.Equal(w.clock.Now().Add(time.Minute)) {
			t.Errorf("approved as %+v", got)
		}
		if got.SMS.Code != "" {
			t.Error("the code outlives its use")
		}
		expect(t, w.verify(o, o.SMS.Code), operation.Gone, "is_approved") // accepted once
		redeemed, err := w.Redeem(t.Context(), o.ID, "portal")
		must(t, err)
		expect(t, redeemed, operation.Accepted, "")
		if diff := cmp.Diff([]string{"started pending", "ended approved", "redeemed redeemed"}, w.told("usr_1", o.ID)); diff != "" {
			t.Error(diff)
		}
		want := []string{"start accepted", "verify accepted", "verify refused is_approved", "redeem accepted"}
		if diff := cmp.Diff(sorted(want), sorted(w.reasons(o.ID))); diff != "" {
			t.Error(diff)
		}
	})
}

// sorted orders what happened at the same moment.
func sorted(lines []string) []string { return slices.Sorted(slices.Values(lines)) }

func TestCodesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		before func(w *world, o operation.Operation)
		client string
		code   operation.Code
		reason string
	}{
		{"another client's", nil, "shop", operation.NotAllowed, "other_client"},
		{"too late", func(w *world, _ operation.Operation) { w.clock.Advance(5 * time.Minute) }, "portal", operation.Gone, "is_expired"},
		{"cancelled", func(w *world, o operation.Operation) {
			_, err := w.Cancel(w.t.Context(), o.ID, "client")
			must(w.t, err)
		}, "portal", operation.Gone, "is_cancelled"},
		{"of a user who is locked", func(w *world, _ operation.Operation) { w.inactive("usr_1") }, "portal", operation.NotAllowed, "user_revoked"},
		{"of an operation that is put to a phone", nil, "portal", operation.NotAllowed, "channel"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			o := w.ask("usr_1", texting)
			code := o.SMS.Code
			if test.reason == "channel" {
				w.phone("usr_1")
				o = w.ask("usr_1")
			}
			if test.before != nil {
				test.before(w, o)
			}
			out, err := w.Verify(t.Context(), o.ID, test.client, code)
			must(t, err)
			expect(t, out, test.code, test.reason)
		})
	}
	w := newWorld(t, 0)
	if _, err := w.Verify(t.Context(), "op_none", "portal", "000000"); !errors.Is(err, operation.ErrNotFound) {
		t.Errorf("an operation that is not there: %v", err)
	}
}

// TestAttemptsEndAnOperation: three wrong codes, then the right one is of no use.
func TestAttemptsEndAnOperation(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		o := w.ask("usr_1", texting)
		for i, remaining := range []int{2, 1, 0} {
			out := w.verify(o, off(o.SMS.Code))
			if expect(t, out, operation.Refused, "code_wrong"); out.Remaining != remaining {
				t.Errorf("%d. wrong code leaves %d", i+1, out.Remaining)
			}
		}
		if got := w.get(o.ID); got.State != operation.Failed || got.Reason != operation.ReasonAttempts || got.Tries != 3 || got.SMS.Code != "" {
			t.Errorf("it is %+v", got)
		}
		expect(t, w.verify(o, o.SMS.Code), operation.Gone, "is_failed")
		if s := w.standing("usr_1"); s.Failures != 3 || len(s.Open) != 0 {
			t.Errorf("standing %+v", s)
		}
	})
}

// TestCodesAreCountedForTheUser: a new operation, a new code and another address reset nothing, and neither does a right PIN.
func TestCodesAreCountedForTheUser(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		first := w.ask("usr_1", texting)
		for range 3 {
			w.verify(first, off(first.SMS.Code))
		}
		p := w.phone("usr_1")
		expect(t, p.approve(w.ask("usr_1")), operation.Accepted, "")
		second := w.ask("usr_1", texting)
		expect(t, w.verify(second, off(second.SMS.Code)), operation.Refused, "code_wrong")
		out := w.verify(second, off(second.SMS.Code))
		if expect(t, out, operation.Refused, "code_wrong"); out.Remaining != 0 || out.Operation.Reason != operation.ReasonUserBlocked {
			t.Errorf("the fifth in a row: %+v", out)
		}
		if _, _, err := w.Start(t.Context(), question("usr_1", texting)); !errors.Is(err, operation.ErrBlocked) {
			t.Errorf("asked while blocked: %v", err)
		}
		w.clock.Advance(time.Minute)
		third := w.ask("usr_1", texting)
		expect(t, w.verify(third, third.SMS.Code), operation.Accepted, "")
		if s := w.standing("usr_1"); s.Failures != 0 {
			t.Errorf("a right code leaves %+v", s)
		}
	})
}

// TestRightCodeClearsCodesAlone: whoever has the number of a phone has not shown that they know its PIN.
func TestRightCodeClearsCodesAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	p := w.phone("usr_1")
	expect(t, p.approve(w.ask("usr_1"), wrongPIN), operation.Refused, "factor_wrong")
	matched := w.ask("usr_1", digits(2))
	expect(t, p.approve(matched, number(off2(matched.Number))), operation.Refused, "number_wrong")
	o := w.ask("usr_1", texting)
	w.verify(o, off(o.SMS.Code))
	expect(t, w.verify(o, o.SMS.Code), operation.Accepted, "")
	if s := w.standing("usr_1"); s.Failures != 2 {
		t.Errorf("standing %+v", s)
	}
}

// TestCodeToAnotherNumberClearsNothing: whoever has a code sent to a number of their own has not shown that they have the user's, and
// gets no more guesses at codes that go there.
func TestCodeToAnotherNumberClearsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	guessed := w.ask("usr_1", texting)
	w.verify(guessed, off(guessed.SMS.Code))
	w.verify(guessed, off(guessed.SMS.Code))
	o := w.ask("usr_1", texting, func(s *operation.Start) { s.SMS.To, s.SMS.Other = "+31687654321", true })
	expect(t, w.verify(o, o.SMS.Code), operation.Accepted, "")
	if s := w.standing("usr_1"); s.Failures != 2 {
		t.Errorf("standing %+v", s)
	}
	expect(t, w.verify(guessed, guessed.SMS.Code), operation.Accepted, "")
	if s := w.standing("usr_1"); s.Failures != 0 {
		t.Errorf("standing %+v", s)
	}
}

// TestThousandGuesses: a code is guessed a thousand times, from many addresses and over many operations that allow any number of
// attempts. The pauses grow, and in the end only an operator helps.
func TestThousandGuesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	taken, refused := 0, 0
	var o operation.Operation
	for i := 0; i < 1000; {
		next, _, err := w.Start(t.Context(), question("usr_1", texting, attempts(operation.Unlimited)))
		if errors.Is(err, operation.ErrBlocked) {
			refused++
			i++
			w.clock.Advance(10 * time.Minute)
			continue
		}
		must(t, err)
		o = next
		for ; i < 1000 && w.get(o.ID).State.Open(); i++ {
			ctx := audit.WithActor(t.Context(), audit.Actor{By: "client:portal", ClientIP: fmt.Sprintf("192.0.2.%d", i%250)})
			out, err := w.Verify(ctx, o.ID, "portal", off(o.SMS.Code))
			must(t, err)
			taken++
			if out.Code != operation.Refused {
				t.Fatalf("guess %d: %+v", i, out)
			}
		}
	}
	s := w.standing("usr_1")
	if taken > 100 || refused == 0 || s.Failures != taken {
		t.Errorf("%d guesses were taken, %d refused, standing %+v", taken, refused, s)
	}
	for !w.standing("usr_1").Barred {
		w.clock.Advance(2 * time.Hour)
		o := w.ask("usr_1", texting)
		w.verify(o, off(o.SMS.Code))
	}
	w.clock.Advance(1000 * time.Hour)
	if _, _, err := w.Start(t.Context(), question("usr_1", texting)); !errors.Is(err, operation.ErrBlocked) {
		t.Errorf("after a hundred wrong ones: %v", err)
	}
	must(t, w.Unblock(t.Context(), "usr_1", "called"))
	o = w.ask("usr_1", texting)
	expect(t, w.verify(o, o.SMS.Code), operation.Accepted, "")
}

// TestCodesAtOnce: of many that type the right code at once one is accepted, and of many wrong ones no more than may are taken.
func TestCodesAtOnce(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		o, wrong := w.ask("usr_1", texting), w.ask("usr_2", texting)
		outs := make(chan operation.Outcome, 16)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { outs <- w.verify(o, o.SMS.Code) })
			wg.Go(func() { outs <- w.verify(wrong, off(wrong.SMS.Code)) })
		}
		wg.Wait()
		close(outs)
		got := map[operation.Code]int{}
		for out := range outs {
			got[out.Code]++
		}
		want := map[operation.Code]int{operation.Accepted: 1, operation.Refused: 3, operation.Gone: 12}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestCodesAreDrawnEvenly: each digit stands in each place about as often, and no two codes in a row are the same.
func TestCodesAreDrawnEvenly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	var seen [6][10]int
	const codes = 2000
	for i := range codes {
		o := w.ask(fmt.Sprint("usr_", i), texting)
		for place, digit := range o.SMS.Code {
			seen[place][digit-'0']++
		}
	}
	for place := range seen {
		for digit, n := range seen[place] {
			if n < codes/10-100 || n > codes/10+100 { // seven standard deviations
				t.Errorf("digit %d stands %d times in place %d", digit, n, place)
			}
		}
	}
}

func TestResend(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		o := w.ask("usr_1", texting, func(s *operation.Start) { s.Resends = 4; s.TimeToLive = 10 * time.Minute })
		for i, pause := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 2 * time.Minute} {
			w.clock.Advance(pause - time.Millisecond)
			early, err := w.Resend(t.Context(), o.ID, "portal")
			if !errors.Is(err, operation.ErrTooSoon) || early.ResendAt().Sub(w.clock.Now()) != time.Millisecond {
				t.Fatalf("%d. resend a millisecond early: %v", i+1, err)
			}
			w.clock.Advance(time.Millisecond)
			again, err := w.Resend(t.Context(), o.ID, "portal")
			must(t, err)
			if again.SMS.Code != o.SMS.Code || again.Resent != i+1 || again.Resends != 3-i || again.Tries != 0 {
				t.Errorf("%d. resend: %+v", i+1, again)
			}
		}
		w.clock.Advance(2 * time.Minute)
		if o, err := w.Resend(t.Context(), o.ID, "portal"); !errors.Is(err, operation.ErrResendLimit) || o.Resends != 0 {
			t.Errorf("beyond the limit: %v", err)
		}
		want := []string{"started pending", "resent pending", "resent pending", "resent pending", "resent pending"}
		if diff := cmp.Diff(want, w.told("usr_1", o.ID)); diff != "" {
			t.Error(diff)
		}
		expect(t, w.verify(o, o.SMS.Code), operation.Accepted, "")
		if _, err := w.Resend(t.Context(), o.ID, "portal"); !errors.Is(err, operation.ErrTransition) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestResendsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		client string
		change func(*operation.Start)
		before func(w *world, o operation.Operation)
		want   error
	}{
		{"another client's", "shop", texting, nil, operation.ErrNotFound},
		{"none allowed", "portal", func(s *operation.Start) { texting(s); s.Resends = 0 }, nil, operation.ErrResendLimit},
		{"too late", "portal", texting, func(w *world, _ operation.Operation) { w.clock.Advance(5 * time.Minute) }, operation.ErrTransition},
		{"a user who is blocked", "portal", texting, func(w *world, o operation.Operation) {
			for range 2 {
				other := w.ask("usr_1", texting)
				for range 3 {
					w.verify(other, off(other.SMS.Code))
				}
			}
		}, operation.ErrBlocked},
		{"a phone that has it", "portal", func(s *operation.Start) { s.Resends = 2 }, func(w *world, o operation.Operation) {
			_, err := w.Deliver(w.t.Context(), o.ID, o.DeviceID)
			must(w.t, err)
		}, operation.ErrTransition},
		{"no notification left", "portal", func(s *operation.Start) { s.Resends = 2 }, func(w *world, o operation.Operation) {
			for range 5 {
				_, err := w.Cancel(w.t.Context(), w.ask("usr_1").ID, "client")
				must(w.t, err)
			}
		}, operation.ErrResendLimit},
		{"what is scanned", "portal", func(s *operation.Start) { scanning(s); s.Resends = 2 }, nil, operation.ErrTransition},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			p := w.phone("usr_1")
			o := w.ask("usr_1", at(p), func(s *operation.Start) {
				if test.change(s); s.Channel != "" {
					s.DeviceID = ""
				}
			})
			w.clock.Advance(40 * time.Second)
			if test.before != nil {
				test.before(w, o)
			}
			if _, err := w.Resend(t.Context(), o.ID, test.client); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

// TestResendNotifiesThePhone: the notification of a phone is repeated too, out of the same budget.
func TestResendNotifiesThePhone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.phone("usr_1")
	o := w.ask("usr_1", func(s *operation.Start) { s.Resends = 1 })
	w.clock.Advance(30 * time.Second)
	o, err := w.Resend(t.Context(), o.ID, "portal")
	must(t, err)
	if o.Push != operation.PushQueued || o.Resends != 0 || w.standing("usr_1").Pushes != 2 {
		t.Errorf("again %+v, %+v", o, w.standing("usr_1"))
	}
}

// TestSecretsArePrintedAsNothing: neither the code nor the number of the phone stands in a log or an error.
func TestSecretsArePrintedAsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	o := w.ask("usr_1", texting)
	for _, text := range []string{fmt.Sprint(o), fmt.Sprintf("%+v", *o.SMS), fmt.Sprintf("%#v", *o.SMS), o.LogValue().String(), o.SMS.LogValue().String()} {
		if strings.Contains(text, phoneNumber) || strings.Contains(text, "Code:"+o.SMS.Code) {
			t.Errorf("it says %s", text)
		}
	}
}

func TestWaysThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.phone("usr_1")
	text := func(change func(*operation.Texting)) func(*operation.Start) {
		return func(s *operation.Start) { texting(s); change(s.SMS) }
	}
	for _, test := range []struct {
		name   string
		change func(*operation.Start)
		field  string
	}{
		{"another channel", func(s *operation.Start) { s.Channel = "email" }, "channel"},
		{"sms without number", func(s *operation.Start) { texting(s); s.SMS = nil }, "phone_number"},
		{"a number without sms", func(s *operation.Start) { texting(s); s.Channel = operation.ByPush }, "phone_number"},
		{"a national number", text(func(x *operation.Texting) { x.To = "0612345678" }), "phone_number"},
		{"a number with more", text(func(x *operation.Texting) { x.To += "\n" }), "phone_number"},
		{"a mask that shows all", text(func(x *operation.Texting) { x.Masked = x.To }), "phone_number"},
		{"a text of two lines", text(func(x *operation.Texting) { x.Text = "a\nb" }), "message"},
		{"a long text", text(func(x *operation.Texting) { x.Text = strings.Repeat("x", 700) }), "message"},
		{"a code of one's own", text(func(x *operation.Texting) { x.Code = "123456" }), "code"},
		{"an origin with a path", text(func(x *operation.Texting) { x.Origin = "a/b" }), "origin"},
		{"sms to a device", func(s *operation.Start) { texting(s); s.DeviceID = "dev_1" }, "channel"},
		{"a signature over sms", func(s *operation.Start) { texting(s); s.Kind = operation.Signature }, "channel"},
		{"nobody", func(s *operation.Start) { s.UserID = "" }, "user_id"},
		{"scanned by somebody", func(s *operation.Start) { scanning(s); s.UserID = "usr_1" }, "user_id"},
		{"scanned by a device", func(s *operation.Start) { scanning(s); s.DeviceID = "dev_1" }, "device_id"},
		{"scanned without number", func(s *operation.Start) { scanning(s); s.NumberMatch = operation.NoNumber }, "number_match"},
		{"too many attempts", func(s *operation.Start) { s.Attempts = 11 }, "attempts"},
		{"too many resends", func(s *operation.Start) { s.Resends = 6 }, "resends"},
		{"an acr of two lines", func(s *operation.Start) { s.Named = "a\nb" }, "acr"},
		{"a type of two lines", func(s *operation.Start) { s.Type = "a\nb" }, "type"},
		{"a reason in words", func(s *operation.Start) { s.Skipped = []operation.Skipped{{Type: "a", Reason: "no phone!"}} }, "type"},
		{"late and later", func(s *operation.Start) { late(s); s.Late.After = 2 * time.Minute }, "fallback"},
		{"late and at once", func(s *operation.Start) { late(s); s.Late.After = 0 }, "fallback"},
		{"late to a phone", func(s *operation.Start) { late(s); s.Late.Way = operation.Way{Channel: operation.ByPush} }, "fallback"},
		{"late after sms", func(s *operation.Start) { texting(s); s.Late = lateSMS() }, "fallback"},
		{"a late signature", func(s *operation.Start) { late(s); s.Kind = operation.Signature }, "channel"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := w.Start(t.Context(), question("usr_1", test.change))
			var field *operation.FieldError
			if !errors.As(err, &field) || field.Field != test.field {
				t.Errorf("error %v, want one about %s", err, test.field)
			}
		})
	}
}
