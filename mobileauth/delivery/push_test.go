// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
)

func contains(text, word string) bool { return strings.Contains(text, word) }

// pushes returns a handler whose phones are all reached by one carrier.
func pushes(w *world, c *carrier) *delivery.Pushes {
	c.world = w
	return delivery.NewPushes(delivery.PushConfig{
		Operations: ops{w}, Devices: devices{w}, Audit: w, Now: w.Now, Observe: w.Observe,
		Route: func(d *handset.Device) (delivery.Route, bool) {
			return delivery.Route{Sender: c, App: "com.example." + d.Application, Sandbox: true}, d.Push.Service == "apple"
		},
	})
}

func TestPushIsSent(t *testing.T) {
	t.Parallel()
	w, c := newWorld(), &carrier{took: 30 * time.Millisecond}
	o, d := w.ask(), w.phone("dev_1")
	item, err := delivery.PushItem(&o, &d)
	if holds(t, item, d.Push.Address) {
		t.Error("the item holds the address")
	}
	if item.Lane != "apple" || item.Key != d.ID {
		t.Errorf("the item is in line %q of lane %q", item.Key, item.Lane)
	}
	w.now = start.Add(time.Second)
	for range 2 { // an outbox delivers at least once
		if err := deliver(t, pushes(w, c), item, err); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.pushes) != 2 || c.pushes[0].ID != c.pushes[1].ID {
		t.Fatalf("sent %v", c.pushes)
	}
	sent := c.pushes[0]
	if ok, _ := regexp.MatchString(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, sent.ID); !ok {
		t.Errorf("the id %q is no UUID of version 8", sent.ID)
	}
	if err := sent.Check(w.now); err != nil {
		t.Error(err)
	}
	sent.ID = ""
	want := push.Message{
		Operation: o.ID, Device: d.ID, Address: d.Push.Address, App: "com.example.bank", Sandbox: true, Expires: o.AnswerBy, StoredAt: d.Push.At,
	}
	if sent != want {
		t.Errorf("sent %#v for the address %q", sent, sent.Address)
	}
	if diff := cmp.Diff(delivery.Observation{
		Channel: operation.ByPush, Service: "apple", Outcome: delivery.Sent, Took: 30 * time.Millisecond, Age: 1030 * time.Millisecond,
	}, w.observed[0]); diff != "" {
		t.Error(diff)
	}
}

// TestPushIsNotSent: what has changed since the item was written.
func TestPushIsNotSent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(w *world)
		want   delivery.Outcome
	}{
		{"answered", func(w *world) { w.ask(func(o *operation.Operation) { o.State = operation.Approved }) }, delivery.Over},
		{"fetched", func(w *world) { w.ask(func(o *operation.Operation) { o.State = operation.Delivered }) }, delivery.Over},
		{"asked on another channel", func(w *world) { w.ask(func(o *operation.Operation) { o.Channel = operation.BySMS }) }, delivery.Over},
		{"over at this moment", func(w *world) { w.now = start.Add(2 * time.Minute) }, delivery.Over},
		{"forgotten", func(w *world) { delete(w.operations, "op_1") }, ""},
		{"a phone that is gone", func(w *world) { delete(w.devices, "dev_1") }, ""},
		{"a phone that is locked", func(w *world) { w.phone("dev_1", func(d *handset.Device) { d.Status = handset.Locked }) },
			delivery.NoAddress},
		{"a phone without address", func(w *world) { w.phone("dev_1", func(d *handset.Device) { d.Push = nil }) }, delivery.NoAddress},
		{"a dead address", func(w *world) { w.phone("dev_1", func(d *handset.Device) { d.Push.DeadAt = start }) }, delivery.NoAddress},
		{"a phone that has become another's", func(w *world) { w.phone("dev_1", func(d *handset.Device) { d.UserID = "usr_2" }) },
			delivery.NoAddress},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, carrier := newWorld(), new(carrier)
			o, d := w.ask(), w.phone("dev_1")
			item, err := delivery.PushItem(&o, &d)
			c.change(w)
			if err := deliver(t, pushes(w, carrier), item, err); err != nil {
				t.Fatal(err)
			}
			if len(carrier.pushes) > 0 {
				t.Error("it was sent")
			}
			var got delivery.Outcome
			if len(w.observed) > 0 {
				got = w.observed[0].Outcome
			}
			if got != c.want {
				t.Errorf("observed %q, want %q", got, c.want)
			}
		})
	}
}

// TestPushFails: each class of failure, and what becomes of item, address and question.
func TestPushFails(t *testing.T) {
	t.Parallel()
	fail := func(class push.Class, after time.Duration) error {
		return &push.Failure{Class: class, Reason: "Word", RetryAfter: after}
	}
	for _, c := range []struct {
		name    string
		fail    error
		done    bool
		advice  outbox.Advice
		dead    bool
		notSent bool
		event   string
	}{
		{name: "dead", fail: fail(push.Dead, 0), done: true, dead: true, notSent: true, event: "dead: Word"},
		{name: "config", fail: fail(push.Config, 0), advice: outbox.Advice{Pause: delivery.Pause}, event: "config: Word"},
		{name: "throttled", fail: fail(push.Throttled, 7*time.Second), advice: outbox.Advice{After: 7 * time.Second}},
		{name: "overloaded", fail: fail(push.Overloaded, 9*time.Second), advice: outbox.Advice{Pause: 9 * time.Second}},
		{name: "overloaded without a time", fail: fail(push.Overloaded, 0), advice: outbox.Advice{Pause: delivery.Pause}},
		{name: "refused", fail: fail(push.Refused, 0), advice: outbox.Advice{Permanent: true}, event: "refused: Word"},
		{name: "transient", fail: fail(push.Transient, 0)},
		{name: "another error", fail: errors.New("a cable was cut")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, carrier := newWorld(), &carrier{fail: c.fail}
			o, d := w.ask(), w.phone("dev_1")
			item, err := delivery.PushItem(&o, &d)
			err = deliver(t, pushes(w, carrier), item, err)
			if c.done != (err == nil) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(c.advice, outbox.AdviceOf(err)); diff != "" {
				t.Error("advice:", diff)
			}
			if err != nil && contains(err.Error(), d.Push.Address) {
				t.Errorf("the error %q holds the address", err)
			}
			if c.dead != (len(w.dead) == 1) || c.notSent != (len(w.notSent) == 1) {
				t.Errorf("dead %v, not sent %v", w.dead, w.notSent)
			}
			if got := w.observed[0].Outcome; got != delivery.Outcome(push.ClassOf(c.fail)) {
				t.Errorf("observed %q", got)
			}
			if c.event == "" {
				if len(w.events) > 0 {
					t.Errorf("events %+v", w.events)
				}
				return
			}
			want := []audit.Event{{
				Name: "operation.send", Outcome: audit.Refused, Reason: c.event, By: "delivery", Object: "push:apple", Subject: "usr_1",
				ClientID: "portal", Operation: "op_1", DeviceID: "dev_1",
			}}
			if diff := cmp.Diff(want, w.events); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDeadAddressOfOneOfTwo: what takes over later does so at once only where no other phone can be notified.
func TestDeadAddressOfOneOfTwo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		ask     func(*operation.Operation)
		other   func(*handset.Device)
		notSent bool
	}{
		{"another phone", func(*operation.Operation) {}, func(*handset.Device) {}, false},
		{"another phone, whose address is dead as well", func(*operation.Operation) {},
			func(d *handset.Device) { d.Push.DeadAt = start }, true},
		{"another phone, which may not answer", func(o *operation.Operation) { o.DeviceID = "dev_1" }, func(*handset.Device) {}, true},
		{"another phone, with another app", func(o *operation.Operation) { o.Application = "bank" },
			func(d *handset.Device) { d.Application = "shop" }, true},
		{"another phone, which is lost", func(*operation.Operation) {}, func(d *handset.Device) { d.Status = handset.Lost }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			o, d := w.ask(c.ask), w.phone("dev_1")
			w.phone("dev_2", c.other)
			item, err := delivery.PushItem(&o, &d)
			if err := deliver(t, pushes(w, &carrier{fail: &push.Failure{Class: push.Dead}}), item, err); err != nil {
				t.Fatal(err)
			}
			if c.notSent != (len(w.notSent) == 1) {
				t.Errorf("told that nothing could be sent: %v", w.notSent)
			}
		})
	}
}

func TestPushServiceIsNotConfigured(t *testing.T) {
	t.Parallel()
	w := newWorld()
	o, d := w.ask(), w.phone("dev_1", func(d *handset.Device) { d.Push.Service = "a service of before" })
	item, err := delivery.PushItem(&o, &d)
	if item.Lane != "" {
		t.Errorf("the lane %q is none", item.Lane)
	}
	err = deliver(t, pushes(w, new(carrier)), item, err)
	if !outbox.AdviceOf(err).Permanent || w.observed[0].Outcome != delivery.NoService {
		t.Errorf("got %v, observed %+v", err, w.observed)
	}
}

// TestStoreDown: nothing is lost while the store is down.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	w := newWorld()
	o, d := w.ask(), w.phone("dev_1")
	item, err := delivery.PushItem(&o, &d)
	w.down = true
	if err := deliver(t, pushes(w, new(carrier)), item, err); !errors.Is(err, errDown) || outbox.AdviceOf(err).Permanent {
		t.Errorf("got %v", err)
	}
}

func TestDamagedItem(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for _, payload := range []string{"", "null", "{}", "[]", `{"operation":7}`, `{"operation":""}`} {
		for name, h := range map[string]outbox.Handler{"push": pushes(w, new(carrier)), "sms": messages(w, gateway(w, new(carrier)))} {
			err := h.Deliver(t.Context(), outbox.Delivery{Item: outbox.Item{Payload: []byte(payload)}, Try: 1})
			if !outbox.AdviceOf(err).Permanent {
				t.Errorf("%s: %q gives %v", name, payload, err)
			}
		}
	}
}
