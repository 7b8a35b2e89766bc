// SPDX-License-Identifier: Apache-2.0

package phones

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/caddymodule/meter"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
)

// ErrTrial is wrapped by what is said where there is nothing to try: the configuration, the phone or the request has to change first.
var ErrTrial = errors.New("it cannot be tried")

// testOperation begins the ids of operations that do not exist: a phone that asks for one is told that it is gone.
const testOperation = "op_test"

// trialTime bounds a trial: nothing waits for it, and what it sends is of use for so long.
const trialTime = time.Minute

// Trial is what came of sending one notification or message for an operator. It holds no secret, address or number.
type Trial struct {
	DryRun bool `json:"dry_run,omitempty"`
	// Sent tells that the service or gateway accepted it. Whether it arrives is seen on the phone.
	Sent bool `json:"sent"`
	// Milliseconds is how long the service or gateway took.
	Milliseconds int64 `json:"milliseconds,omitempty"`
	// Failure is why it was not accepted, or, of a dry run, would not be sent.
	Failure *Trouble `json:"failure,omitempty"`
}

// Trouble is why something was not accepted, and what an operator can do.
type Trouble struct {
	// Class is one of packages push and sms, or "policy" where Gatehouse itself does not send.
	Class string `json:"class"`
	// Reason is the service's or gateway's own word.
	Reason string `json:"reason,omitempty"`
	// Status is that of its answer.
	Status int `json:"status,omitempty"`
	// RetryAfter is for how many seconds it wants to be left alone.
	RetryAfter int    `json:"retry_after,omitempty"`
	Advice     string `json:"advice"`
}

// PushTrial is a notification that was sent to a phone, or would be.
type PushTrial struct {
	Trial
	Device      string `json:"device"`
	User        string `json:"user"`
	Application string `json:"application"`
	Version     string `json:"version,omitempty"`
	Platform    string `json:"platform"`
	// Service is its name in the configuration, Kind the guest: apns, fcm, webpush, webhook.
	Service string `json:"service"`
	Kind    string `json:"kind"`
	// App is what the service knows the application by, Environment whether that is a build for development.
	App         string `json:"app"`
	Environment string `json:"environment"`
	// Operation is all that the notification says.
	Operation string `json:"operation,omitempty"`
}

// TestPush sends a notification of a question that does not exist to a phone. Dry, it says what it would do. A phone that cannot be
// notified is [ErrTrial]; one that there is not is handset.ErrNotFound.
//
// It counts in the metrics as others do, and an address of which the service says that it is gone is marked as dead.
func (p *Phones) TestPush(ctx context.Context, deviceID string, dry bool) (PushTrial, error) {
	d, err := p.devices.Get(ctx, deviceID)
	switch {
	case errors.Is(err, handset.ErrNotFound): // whose text repeats the whole of what may be no id at all
		return PushTrial{}, fmt.Errorf("looking for the device %.80q: %w", deviceID, handset.ErrNotFound)
	case err != nil:
		return PushTrial{}, fmt.Errorf("looking for a device: %w", err)
	}
	route, err := p.trialRoute(&d)
	if err != nil {
		return PushTrial{}, err
	}
	t := PushTrial{
		Trial: Trial{DryRun: dry}, Device: d.ID, User: d.UserID, Application: d.Application, Version: d.AppVersion, Platform: d.Platform,
		Service: d.Push.Service, Kind: kindOf(route.Sender), App: route.App, Environment: "production",
	}
	if route.Sandbox {
		t.Environment = "development"
	}
	if dry {
		return t, nil
	}
	t.Operation = randid.New(testOperation)
	return t, p.tryPush(ctx, &t, &d, route)
}

// trialRoute finds the way to a phone, or says what is missing.
func (p *Phones) trialRoute(d *handset.Device) (delivery.Route, error) {
	wrong := func(format string, a ...any) (delivery.Route, error) {
		return delivery.Route{}, fmt.Errorf("the device %s: %w: %s", d.ID, ErrTrial, fmt.Sprintf(format, a...))
	}
	switch {
	case d.Status != handset.Active:
		return wrong("it is %s, and only an active one is notified", d.Status)
	case d.Push == nil:
		return wrong("it has no push address: the app has not told one, or takes questions by asking for them")
	case !d.Push.DeadAt.IsZero():
		return wrong("the push service %s said on %s that its address is gone: the app tells a new one when it is opened",
			d.Push.Service, d.Push.DeadAt.UTC().Format(time.RFC3339))
	}
	if _, known := p.carriers.guests.Push[d.Push.Service]; !known {
		return wrong("its address is for the push service %q, which the configuration does not have: add \"push %s\" to \"mobile\"",
			d.Push.Service, d.Push.Service)
	}
	route, notified := p.carriers.route(d)
	if !notified {
		return wrong("the application %s does not name the push service %q for %s: add it to \"push\" of the platform",
			d.Application, d.Push.Service, d.Platform)
	}
	return route, nil
}

func (p *Phones) tryPush(ctx context.Context, t *PushTrial, d *handset.Device, route delivery.Route) error {
	began := p.parts.Now()
	err := route.Sender.Send(ctx, push.Message{
		ID: uuidOf(t.Operation), Operation: t.Operation, Device: d.ID, Address: d.Push.Address, App: route.App, Sandbox: route.Sandbox,
		Expires: began.Add(trialTime), StoredAt: d.Push.At,
	})
	took, class := p.parts.Now().Sub(began), push.ClassOf(err)
	t.tell(took, err == nil)
	seen := delivery.Observation{Channel: operation.ByPush, Service: t.Service, Outcome: delivery.Sent, Took: took, Age: took}
	if err != nil {
		seen.Outcome = delivery.Outcome(class)
	}
	meter.Send(seen)
	if err == nil {
		return nil
	}
	f := new(push.Failure)
	_ = errors.As(err, &f) // another error has said nothing beside its class
	t.Failure = trouble(string(class), f.Reason, f.Status, f.RetryAfter)
	t.Failure.Advice = pushAdvice(t.Kind, class, f.Reason)
	if class != push.Dead {
		return nil
	}
	_, err = p.devices.PushDead(ctx, d.ID, d.Push.Service, d.Push.Address)
	return err
}

func (t *Trial) tell(took time.Duration, sent bool) {
	t.Milliseconds, t.Sent = took.Milliseconds(), sent
}

func trouble(class, reason string, status int, after time.Duration) *Trouble {
	return &Trouble{Class: class, Reason: reason, Status: status, RetryAfter: int((after + time.Second - 1) / time.Second)}
}

// kindOf names a guest as the Caddyfile does.
func kindOf(guest any) string {
	if m, ok := guest.(caddy.Module); ok {
		return m.CaddyModule().ID.Name()
	}
	return ""
}

// uuidOf returns a UUID for an operation (RFC 9562, section 5.8).
func uuidOf(id string) string {
	sum := sha256.Sum256([]byte("gatehouse trial v1\n" + id))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
