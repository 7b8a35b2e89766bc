// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

// SMSKind is that of messages with codes in the outbox.
const SMSKind = "sms"

// SMSItem returns the message of an operation as it is now, in line with the others of that operation.
func SMSItem(o *operation.Operation) (outbox.Item, error) {
	id := fmt.Sprintf("sms_%s.%d", o.ID, o.Version)
	return with(payload{Operation: o.ID}, outbox.Item{Kind: SMSKind, ID: id, Key: o.ID, At: o.SentAt})
}

// Gateway is one way to send messages.
type Gateway struct {
	Name   string
	Sender sms.Sender
}

// Accepted is a message that a gateway took.
type Accepted struct {
	Operation *operation.Operation
	// Gateway took it, and calls it ID. A gateway need not call it anything.
	Gateway, ID string
	At          time.Time
}

// SMSConfig is what [Messages] needs. Operations, Audit, Gateways and Now are required.
type SMSConfig struct {
	Operations Operations
	Audit      Audit
	// Gateways are tried in this order. At least one.
	Gateways []Gateway
	// Accepted is told of each message that a gateway took.
	Accepted func(ctx context.Context, a Accepted) error
	Observe  func(o Observation)
	Now      func() time.Time
}

// Messages sends codes. It is the outbox's handler of [SMSKind].
type Messages struct{ config SMSConfig }

// NewMessages returns a sender of messages.
func NewMessages(c SMSConfig) *Messages {
	if c.Observe == nil {
		c.Observe = func(Observation) {}
	}
	if c.Accepted == nil {
		c.Accepted = func(context.Context, Accepted) error { return nil }
	}
	return &Messages{c}
}

// Deliver sends one message, if there is still a reason to.
func (m *Messages) Deliver(ctx context.Context, delivery outbox.Delivery) error {
	_, o, found, err := read(ctx, m.config.Operations, delivery.Payload)
	if err != nil || !found {
		return err
	}
	now := m.config.Now()
	if !open(&o, operation.BySMS, now) || o.SMS == nil {
		m.config.Observe(Observation{Channel: operation.BySMS, Outcome: Over, Age: now.Sub(delivery.At)})
		return nil
	}
	text, err := sms.Compose(o.SMS.Text, o.SMS.Code, o.SMS.Origin)
	if err != nil {
		return m.never(ctx, &o, "", "text")
	}
	return m.send(ctx, &o, sms.Message{ID: delivery.ID, To: o.SMS.To, Text: text, Expires: o.AnswerBy}, delivery.At)
}

// send hands a message to the first gateway that takes it.
func (m *Messages) send(ctx context.Context, o *operation.Operation, message sms.Message, at time.Time) error {
	var failures []error
	for _, g := range m.config.Gateways {
		began := m.config.Now()
		id, err := g.Sender.Send(ctx, message)
		now, class := m.config.Now(), sms.ClassOf(err)
		m.config.Observe(Observation{
			Channel: operation.BySMS, Service: g.Name, Outcome: cmp.Or(Outcome(class), Sent), Took: now.Sub(began), Age: now.Sub(at),
		})
		if err == nil {
			// The message is on its way: that its reports will be of nobody is no reason to send it again.
			_ = m.config.Accepted(ctx, Accepted{Operation: o, Gateway: g.Name, ID: id, At: now})
			return nil
		}
		f := new(sms.Failure)
		_ = errors.As(err, &f) // another error has said nothing beside its class
		switch class {
		case sms.Ambiguous:
			return m.record(ctx, o, g.Name, because(string(class), f.Reason))
		case sms.Number, sms.Blocked, sms.Refused:
			return m.never(ctx, o, g.Name, because(string(class), f.Reason))
		case sms.Config: // another gateway may know our credential, and the operator should know
			if err := m.record(ctx, o, g.Name, because(string(class), f.Reason)); err != nil {
				return err
			}
		case sms.Throttled, sms.Transient:
		}
		failures = append(failures, err)
	}
	return later(failures)
}

func (m *Messages) record(ctx context.Context, o *operation.Operation, gateway, reason string) error {
	return m.config.Audit.Record(ctx, failure(o, operation.BySMS, gateway, reason))
}

// never ends an operation whose message nobody will send.
func (m *Messages) never(ctx context.Context, o *operation.Operation, gateway, reason string) error {
	if err := m.record(ctx, o, gateway, reason); err != nil {
		return err
	}
	_, err := m.config.Operations.NotSent(ctx, o.ID, operation.BySMS)
	return err
}

// later returns the failure of a message that no gateway took, to be tried again when one of them may.
func later(failures []error) error {
	wait := time.Duration(-1)
	for _, err := range failures {
		var f *sms.Failure
		if errors.As(err, &f) && f.Class != sms.Config && (wait < 0 || f.RetryAfter < wait) {
			wait = f.RetryAfter
		}
	}
	err := errors.Join(failures...)
	if wait < 0 { // no gateway that our credential opens
		return outbox.Pause(Pause, err)
	}
	return outbox.Retry(wait, err)
}
