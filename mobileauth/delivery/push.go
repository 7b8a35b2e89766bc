// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
)

// PushKind is that of notifications in the outbox.
const PushKind = "push"

// PushItem returns the notification of a phone of an operation as it is now, in line with the others of that phone.
func PushItem(o *operation.Operation, d *handset.Device) (outbox.Item, error) {
	id := fmt.Sprintf("psh_%s.%d.%s", o.ID, o.Version, d.ID)
	return with(payload{Operation: o.ID, Device: d.ID}, outbox.Item{
		Kind: PushKind, Lane: d.Push.Service, ID: id, Key: d.ID, At: o.SentAt,
	})
}

// Reachable reports whether a notification can be sent to a phone.
func Reachable(d *handset.Device) bool {
	return d.Status == handset.Active && d.Push != nil && d.Push.DeadAt.IsZero()
}

// Route is how a phone is reached.
type Route struct {
	Sender push.Sender
	// App is the application's name on the phone's platform, Sandbox whether that is a build for development.
	App     string
	Sandbox bool
}

// PushConfig is what [Pushes] needs. All but Observe is required.
type PushConfig struct {
	Operations Operations
	Devices    Devices
	Audit      Audit
	// Route finds the way to a phone by its application, platform and service. False says that the configuration knows none.
	Route   func(d *handset.Device) (Route, bool)
	Observe func(o Observation)
	Now     func() time.Time
}

// readers is how many notifications are looked up at once. Many more may be under way, which costs nothing while a service takes its
// time; but many that are looked up at once stand before the requests of people.
const readers = 4

// Pushes sends notifications. It is the outbox's handler of [PushKind].
type Pushes struct {
	config  PushConfig
	reading chan struct{}
}

// NewPushes returns a sender of notifications.
func NewPushes(c PushConfig) *Pushes {
	if c.Observe == nil {
		c.Observe = func(Observation) {}
	}
	return &Pushes{config: c, reading: make(chan struct{}, readers)}
}

// Deliver sends one notification, if there is still a reason to.
func (p *Pushes) Deliver(ctx context.Context, delivery outbox.Delivery) error {
	o, d, outcome, err := p.look(ctx, delivery.Payload)
	if err != nil || outcome == gone {
		return err
	}
	seen := Observation{
		Channel: operation.ByPush, Service: delivery.Lane, Outcome: outcome, Age: p.config.Now().Sub(delivery.At),
	}
	if outcome != Sent {
		p.config.Observe(seen)
		return nil
	}
	seen.Service = d.Push.Service
	return p.send(ctx, &o, &d, delivery.ID, seen)
}

// gone is an operation or a phone that is not there any more, which nobody is told of.
const gone Outcome = ""

// look reads what is to be sent, and says [Sent] where it is.
func (p *Pushes) look(ctx context.Context, payload []byte) (o operation.Operation, d handset.Device, outcome Outcome, err error) {
	select {
	case p.reading <- struct{}{}:
		defer func() { <-p.reading }()
	case <-ctx.Done():
		return o, d, gone, fmt.Errorf("waiting to look up a notification: %w", ctx.Err())
	}
	what, o, found, err := read(ctx, p.config.Operations, payload)
	switch {
	case err != nil || !found:
		return o, d, gone, err
	case !open(&o, operation.ByPush, p.config.Now()) || o.State != operation.Pending:
		return o, d, Over, nil
	}
	d, err = p.config.Devices.Get(ctx, what.Device)
	switch {
	case errors.Is(err, handset.ErrNotFound):
		return o, d, gone, nil
	case err != nil:
		return o, d, gone, err
	case d.UserID != o.UserID || !Reachable(&d):
		return o, d, NoAddress, nil
	}
	return o, d, Sent, nil
}

func (p *Pushes) send(ctx context.Context, o *operation.Operation, d *handset.Device, id string, seen Observation) error {
	route, found := p.config.Route(d)
	if !found {
		seen.Service, seen.Outcome = "", NoService // the name is what a phone says, and no metric has a label of that
		p.config.Observe(seen)
		return outbox.Permanent(fmt.Errorf("no push service %q is configured for the application of the phone", d.Push.Service))
	}
	began := p.config.Now()
	err := route.Sender.Send(ctx, push.Message{
		ID: uuidOf(id), Operation: o.ID, Device: d.ID, Address: d.Push.Address, App: route.App, Sandbox: route.Sandbox,
		Expires: o.AnswerBy, StoredAt: d.Push.At,
	})
	now := p.config.Now()
	seen.Took, seen.Age = now.Sub(began), seen.Age+now.Sub(began)
	seen.Outcome = cmp.Or(Outcome(push.ClassOf(err)), Sent)
	p.config.Observe(seen)
	if err == nil {
		return nil
	}
	return p.failed(ctx, o, d, err)
}

// failed decides what a failure means for the address, the service and the question.
func (p *Pushes) failed(ctx context.Context, o *operation.Operation, d *handset.Device, err error) error {
	class, f := push.ClassOf(err), new(push.Failure)
	_ = errors.As(err, &f) // another error has said nothing beside its class
	e := failure(o, operation.ByPush, d.Push.Service, because(string(class), f.Reason))
	e.DeviceID = d.ID
	switch class {
	case push.Dead:
		if _, err := p.config.Devices.PushDead(ctx, d.ID, d.Push.Service, d.Push.Address); err != nil {
			return err
		}
		return errors.Join(p.config.Audit.Record(ctx, e), p.unreachable(ctx, o))
	case push.Refused:
		return errors.Join(outbox.Permanent(err), p.config.Audit.Record(ctx, e))
	case push.Config:
		return errors.Join(outbox.Pause(Pause, err), p.config.Audit.Record(ctx, e))
	case push.Overloaded:
		return outbox.Pause(cmp.Or(f.RetryAfter, Pause), err)
	case push.Throttled:
		return outbox.Retry(f.RetryAfter, err)
	case push.Transient:
	}
	return err
}

// unreachable lets what would take over later do so now, if no phone that may answer can be notified any more.
func (p *Pushes) unreachable(ctx context.Context, o *operation.Operation) error {
	devices, err := p.config.Devices.ByUser(ctx, o.UserID)
	if err != nil {
		return err
	}
	for i := range devices {
		d := &devices[i]
		if Reachable(d) && (o.DeviceID == "" || o.DeviceID == d.ID) && (o.Application == "" || o.Application == d.Application) {
			return nil
		}
	}
	_, err = p.config.Operations.NotSent(ctx, o.ID, operation.ByPush)
	return err
}
