// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// Pause is how long a service is left alone that does not say for how long, and one that our credential does not open.
const Pause = time.Minute

// Outcome is what came of a try.
type Outcome string

// The outcomes, beside the classes of failures of packages push and sms, which are told by their names.
const (
	// Sent was accepted by the service. Whether it arrives is another matter.
	Sent Outcome = "sent"
	// Over was not sent: the question is not open any more, was fetched, or is asked on another channel.
	Over Outcome = "over"
	// NoAddress was not sent: the phone is out, or takes no notifications at the address of then.
	NoAddress Outcome = "no_address"
	// NoService was not sent: the configuration does not know the service any more.
	NoService Outcome = "no_service"
)

// Observation is one try, for metrics.
type Observation struct {
	Channel operation.Channel
	// Service is the name of the push service or gateway in the configuration.
	Service string
	Outcome Outcome
	// Took is how long the service needed, Age how long after the question it was.
	Took, Age time.Duration
}

// Operations is what is asked of operations. An operation.Store is one.
type Operations interface {
	Get(ctx context.Context, id string) (operation.Operation, error)
	NotSent(ctx context.Context, id string, channel operation.Channel) (operation.Operation, error)
}

// Devices is what is asked of phones. A handset.Store is one.
type Devices interface {
	Get(ctx context.Context, id string) (handset.Device, error)
	ByUser(ctx context.Context, userID string) ([]handset.Device, error)
	PushDead(ctx context.Context, id, service, address string) (handset.Device, error)
}

// Audit is where failures are written down that an operator can do something about. An audit.Trail is one.
type Audit interface {
	Record(ctx context.Context, e audit.Event) error
}

// payload is what an item holds.
type payload struct {
	Operation string `json:"operation"`
	Device    string `json:"device,omitempty"`
}

var lane = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// with returns an outbox item with its payload; one whose lane has no name that the outbox takes shares one with others.
func with(what payload, item outbox.Item) (outbox.Item, error) {
	data, err := json.Marshal(what)
	if err != nil {
		return outbox.Item{}, fmt.Errorf("an item of the kind %s: %w", item.Kind, err)
	}
	if !lane.MatchString(item.Lane) {
		item.Lane = ""
	}
	item.Payload = data
	return item, nil
}

// read returns the operation that an item is about, and false where it is gone.
func read(ctx context.Context, operations Operations, data []byte) (p payload, o operation.Operation, found bool, err error) {
	if err := json.Unmarshal(data, &p); err != nil || p.Operation == "" {
		return p, o, false, outbox.Permanent(errors.New("the item names no operation"))
	}
	o, err = operations.Get(ctx, p.Operation)
	if errors.Is(err, operation.ErrNotFound) {
		return p, o, false, nil
	}
	return p, o, err == nil, err
}

// open reports whether a question is still put on a channel.
func open(o *operation.Operation, channel operation.Channel, now time.Time) bool {
	return o.State.Open() && o.Channel == channel && now.Before(o.AnswerBy)
}

// uuidOf returns a UUID for an item, always the same (RFC 9562, section 5.8).
func uuidOf(id string) string {
	sum := sha256.Sum256([]byte("gatehouse delivery v1\n" + id))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// failure is the audit event of what could not be sent.
func failure(o *operation.Operation, channel operation.Channel, service, reason string) audit.Event {
	return audit.Event{
		Name: "operation.send", Outcome: audit.Refused, Reason: reason, By: "delivery", Object: string(channel) + ":" + service,
		Subject: o.UserID, ClientID: o.ClientID, Operation: o.ID,
	}
}

// because returns the reason of an event: the class of a failure, and the service's own word for it.
func because(class, word string) string {
	if word == "" {
		return class
	}
	return class + ": " + word
}
