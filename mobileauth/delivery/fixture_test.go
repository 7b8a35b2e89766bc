// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

var start = time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)

var errDown = errors.New("the store is down")

// world is what delivery works on.
type world struct {
	sync.Mutex
	now        time.Time
	operations map[string]operation.Operation
	devices    map[string]handset.Device
	// down fails every call of the store.
	down     bool
	notSent  []string
	dead     []string
	events   []audit.Event
	observed []delivery.Observation
}

func newWorld() *world {
	return &world{now: start, operations: map[string]operation.Operation{}, devices: map[string]handset.Device{}}
}

func (w *world) Now() time.Time { return w.now }

func (w *world) Observe(o delivery.Observation) { w.observed = append(w.observed, o) }

func (w *world) Record(_ context.Context, e audit.Event) error {
	if w.down {
		return errDown
	}
	w.events = append(w.events, e)
	return nil
}

// operations and devices have methods of the same names.
type (
	ops     struct{ *world }
	devices struct{ *world }
)

func (w ops) Get(_ context.Context, id string) (operation.Operation, error) {
	if w.down {
		return operation.Operation{}, errDown
	}
	o, found := w.operations[id]
	if !found {
		return operation.Operation{}, operation.ErrNotFound
	}
	return o, nil
}

func (w ops) NotSent(_ context.Context, id string, channel operation.Channel) (operation.Operation, error) {
	if w.down {
		return operation.Operation{}, errDown
	}
	w.notSent = append(w.notSent, id+" "+string(channel))
	return w.operations[id], nil
}

func (w devices) Get(_ context.Context, id string) (handset.Device, error) {
	if w.down {
		return handset.Device{}, errDown
	}
	d, found := w.devices[id]
	if !found {
		return handset.Device{}, handset.ErrNotFound
	}
	return d, nil
}

func (w devices) ByUser(_ context.Context, userID string) (found []handset.Device, err error) {
	if w.down {
		return nil, errDown
	}
	for _, d := range w.devices {
		if d.UserID == userID {
			found = append(found, d)
		}
	}
	return found, nil
}

func (w devices) PushDead(_ context.Context, id, service, address string) (handset.Device, error) {
	if w.down {
		return handset.Device{}, errDown
	}
	w.dead = append(w.dead, id)
	d := w.devices[id]
	if d.Push != nil && d.Push.Service == service && d.Push.Address == address {
		moved := *d.Push
		moved.DeadAt = w.now
		d.Push = &moved
		w.devices[id] = d
	}
	return d, nil
}

// ask puts an operation over push.
func (w *world) ask(change ...func(*operation.Operation)) operation.Operation {
	o := operation.Operation{
		ID: "op_1", Kind: operation.Authentication, State: operation.Pending, UserID: "usr_1", ClientID: "portal", CreatedAt: start,
		SentAt: start, AnswerBy: start.Add(2 * time.Minute), Version: 1, Push: operation.PushQueued,
	}
	o.Channel = operation.ByPush
	for _, c := range change {
		c(&o)
	}
	w.operations[o.ID] = o
	return o
}

func (w *world) phone(id string, change ...func(*handset.Device)) handset.Device {
	d := handset.Device{
		ID: id, UserID: "usr_1", Application: "bank", Platform: "ios", Status: handset.Active,
		Push: &handset.Push{Service: "apple", Address: "address-of-" + id, At: start.Add(-time.Hour)},
	}
	for _, c := range change {
		c(&d)
	}
	w.devices[id] = d
	return d
}

// carrier sends notifications and messages: it remembers them, and fails as it is told.
type carrier struct {
	fail     error
	pushes   []push.Message
	messages []sms.Message
	id       string
	took     time.Duration
	world    *world
}

func (c *carrier) Check(string) error { return nil }

func (c *carrier) Send(_ context.Context, m push.Message) error {
	c.world.now = c.world.now.Add(c.took)
	if c.fail == nil {
		c.pushes = append(c.pushes, m)
	}
	return c.fail
}

type texter struct{ *carrier }

func (c texter) Send(_ context.Context, m sms.Message) (string, error) {
	c.world.now = c.world.now.Add(c.took)
	if c.fail != nil {
		return "", c.fail
	}
	c.messages = append(c.messages, m)
	return c.id, nil
}

// deliver has a handler deliver an item, as the outbox does.
func deliver(t *testing.T, h outbox.Handler, item outbox.Item, err error) error {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if len(item.ID) > outbox.MaxKey || item.At.IsZero() || item.Key == "" {
		t.Errorf("the outbox would refuse %+v", item)
	}
	return h.Deliver(t.Context(), outbox.Delivery{Item: item, Try: 1})
}

// holds reports whether an item holds any of the words.
func holds(t *testing.T, item outbox.Item, words ...string) bool {
	t.Helper()
	text, err := json.Marshal(item)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range words {
		if contains(string(text)+string(item.Payload), word) {
			return true
		}
	}
	return false
}
