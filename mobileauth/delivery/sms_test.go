// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation/record"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

const (
	number = "+31612345678"
	code   = "493027"
)

func gateway(w *world, c *carrier) delivery.Gateway {
	c.world = w
	return delivery.Gateway{Name: "twilio", Sender: texter{c}}
}

func second(w *world, c *carrier) delivery.Gateway {
	c.world = w
	return delivery.Gateway{Name: "second", Sender: texter{c}}
}

func messages(w *world, gateways ...delivery.Gateway) *delivery.Messages {
	return delivery.NewMessages(delivery.SMSConfig{Operations: ops{w}, Audit: w, Gateways: gateways, Now: w.Now, Observe: w.Observe})
}

func bySMS(o *operation.Operation) {
	o.Channel = operation.BySMS
	o.SMS = &record.Texting{To: number, Masked: "+31 ** *** **78", Text: "Your code: {code}", Origin: "login.example.com", Code: code}
}

func TestSMSIsSent(t *testing.T) {
	t.Parallel()
	w, c := newWorld(), &carrier{id: "SM1"}
	o := w.ask(bySMS)
	item, err := delivery.SMSItem(&o)
	if holds(t, item, code, number, "345678") {
		t.Error("the item holds the code or the number")
	}
	if err := deliver(t, messages(w, gateway(w, c)), item, err); err != nil {
		t.Fatal(err)
	}
	want := []sms.Message{{
		ID: item.ID, To: number, Text: "Your code: 493027\n@login.example.com #493027", Expires: o.AnswerBy,
	}}
	if diff := cmp.Diff(want, c.messages); diff != "" {
		t.Error(diff)
	}
	if got := w.observed[0]; got.Outcome != delivery.Sent || got.Service != "twilio" || got.Channel != operation.BySMS {
		t.Errorf("observed %+v", got)
	}
}

func TestSMSIsNotSent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(w *world)
	}{
		{"answered", func(w *world) { w.ask(bySMS, func(o *operation.Operation) { o.State = operation.Approved }) }},
		{"over at this moment", func(w *world) { w.now = start.Add(2 * time.Minute) }},
		{"asked on another channel", func(w *world) { w.ask() }},
		{"forgotten", func(w *world) { delete(w.operations, "op_1") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, carrier := newWorld(), new(carrier)
			o := w.ask(bySMS)
			item, err := delivery.SMSItem(&o)
			c.change(w)
			if err := deliver(t, messages(w, gateway(w, carrier)), item, err); err != nil {
				t.Fatal(err)
			}
			if len(carrier.messages) > 0 || len(w.notSent) > 0 {
				t.Errorf("sent %v, told %v", carrier.messages, w.notSent)
			}
		})
	}
}

// TestSMSFails: each class of failure, with a second gateway and without.
func TestSMSFails(t *testing.T) {
	t.Parallel()
	const sent, repeated, ended, lost = "sent by the second", "tried again", "ended", "not repeated"
	for _, c := range []struct {
		class        sms.Class
		alone, twice string
		events       int
	}{
		{sms.Number, ended, ended, 1},
		{sms.Blocked, ended, ended, 1},
		{sms.Refused, ended, ended, 1},
		{sms.Ambiguous, lost, lost, 1},
		{sms.Config, repeated, sent, 1},
		{sms.Throttled, repeated, sent, 0},
		{sms.Transient, repeated, sent, 0},
	} {
		for _, two := range []bool{false, true} {
			name, want := string(c.class)+" alone", c.alone
			if two {
				name, want = string(c.class)+" with a second gateway", c.twice
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w, other := newWorld(), &carrier{id: "2"}
				gateways := []delivery.Gateway{gateway(w, &carrier{fail: &sms.Failure{Class: c.class}})}
				if two {
					gateways = append(gateways, second(w, other))
				}
				o := w.ask(bySMS)
				item, err := delivery.SMSItem(&o)
				err = deliver(t, messages(w, gateways...), item, err)
				got := lost
				switch {
				case err != nil && !outbox.AdviceOf(err).Permanent:
					got = repeated
				case len(other.messages) == 1:
					got = sent
				case len(w.notSent) == 1:
					got = ended
				}
				if got != want {
					t.Errorf("%s (%v), want %s", got, err, want)
				}
				if len(w.events) != c.events {
					t.Errorf("events %+v", w.events)
				}
				for _, e := range w.events {
					if contains(e.Reason+e.Object, number) || contains(e.Reason, code) {
						t.Errorf("the event %+v says too much", e)
					}
				}
			})
		}
	}
}

// TestSMSIsTriedAgain: when the first of the gateways may take it, or never before a pause where our credentials are wrong.
func TestSMSIsTriedAgain(t *testing.T) {
	t.Parallel()
	throttled := func(after time.Duration) *carrier {
		return &carrier{fail: &sms.Failure{Class: sms.Throttled, RetryAfter: after}}
	}
	for _, c := range []struct {
		name          string
		first, second *carrier
		want          outbox.Advice
	}{
		{"the sooner of two", throttled(20 * time.Second), throttled(5 * time.Second), outbox.Advice{After: 5 * time.Second}},
		{"the one that our credential opens", &carrier{fail: &sms.Failure{Class: sms.Config}}, throttled(5 * time.Second),
			outbox.Advice{After: 5 * time.Second}},
		{"none that our credential opens", &carrier{fail: &sms.Failure{Class: sms.Config}},
			&carrier{fail: &sms.Failure{Class: sms.Config}}, outbox.Advice{Pause: delivery.Pause}},
		{"at once, where nobody says when", throttled(0), &carrier{fail: &sms.Failure{Class: sms.Transient}}, outbox.Advice{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			o := w.ask(bySMS)
			item, err := delivery.SMSItem(&o)
			err = deliver(t, messages(w, gateway(w, c.first), second(w, c.second)), item, err)
			if err == nil {
				t.Fatal("it was not to be tried again")
			}
			if diff := cmp.Diff(c.want, outbox.AdviceOf(err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSMSTextThatCannotBeSent ends the operation: no try will make it another text.
func TestSMSTextThatCannotBeSent(t *testing.T) {
	t.Parallel()
	w := newWorld()
	o := w.ask(bySMS, func(o *operation.Operation) { o.SMS.Text = "{code} \u202e" })
	item, err := delivery.SMSItem(&o)
	if err := deliver(t, messages(w, gateway(w, new(carrier))), item, err); err != nil || len(w.notSent) != 1 {
		t.Errorf("%v, told %v", err, w.notSent)
	}
}

func TestSMSStoreDown(t *testing.T) {
	t.Parallel()
	w := newWorld()
	o := w.ask(bySMS)
	item, err := delivery.SMSItem(&o)
	w.down = true
	if err := deliver(t, messages(w, gateway(w, new(carrier))), item, err); !errors.Is(err, errDown) {
		t.Errorf("got %v", err)
	}
}

// TestAcceptedThatCannotBeNoted: the message is on its way, and is not sent twice.
func TestAcceptedThatCannotBeNoted(t *testing.T) {
	t.Parallel()
	w, c := newWorld(), &carrier{id: "SM1"}
	o := w.ask(bySMS)
	m := delivery.NewMessages(delivery.SMSConfig{
		Operations: ops{w}, Audit: w, Gateways: []delivery.Gateway{gateway(w, c)}, Now: w.Now,
		Accepted: func(_ context.Context, a delivery.Accepted) error {
			if a.Gateway != "twilio" || a.ID != "SM1" || a.Operation.ID != o.ID {
				t.Errorf("accepted %+v", a)
			}
			return errDown
		},
	})
	item, err := delivery.SMSItem(&o)
	if err := deliver(t, m, item, err); err != nil || len(c.messages) != 1 {
		t.Errorf("%v, sent %d", err, len(c.messages))
	}
}
