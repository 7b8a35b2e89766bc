// SPDX-License-Identifier: Apache-2.0

package challenge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// Fields and actions that the guest answers to.
const (
	// FieldLogin is the login name of whoever is to be asked, FieldCode the code of a message.
	FieldLogin = "username"
	FieldCode  = "code"

	// ActionAgain asks once more, ActionResend sends the same once more, and ActionCancel takes the question back. ActionUse, followed
	// by the name of a mobile type, asks by another.
	// ActionName takes it back to ask somebody else.
	ActionAgain  = "again"
	ActionName   = "name"
	ActionResend = "resend"
	ActionCancel = "cancel"
	ActionUse    = "use:"
)

// Values of credentials.
const (
	valueOperation = "operation"
	valueReference = "reference"
	valueUser      = "user"
	valueWait      = "wait"
)

// Reasons of a cancellation.
const (
	reasonWithdrawn = "withdrawn"   // the request was given up, or the person took it back
	reasonOtherWay  = "another_way" // the person has chosen another way
)

// Collect asks, says how far the question is, or returns the approved operation. A round without answers starts nothing but the
// first question for somebody who is known.
func (g *Guest) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	c, err := g.call(in)
	if err != nil {
		return realm.Credentials{}, nil, err
	}
	ctx = audit.WithActor(ctx, audit.Actor{By: "realm:" + in.Realm, ClientID: in.Client.ID, ClientIP: in.ClientIP})
	found, err := c.round(ctx)
	if err != nil {
		return realm.Credentials{}, nil, err
	}
	if found.wait > 0 {
		return realm.Credentials{Values: map[string]string{valueWait: found.wait.String()}, ClientIP: in.ClientIP, Locale: in.Locale}, nil, nil
	}
	if found.approved == nil {
		return realm.Credentials{}, found.challenge, nil
	}
	return realm.Credentials{
		Values: map[string]string{
			valueOperation: found.approved.ID, valueReference: reference(&in), valueUser: found.approved.UserID,
		},
		ClientIP: in.ClientIP, Locale: in.Locale, Subject: in.Subject,
	}, nil, nil
}

// found is what a round has led to: a challenge, or an operation that is approved and was not redeemed, or that somebody has to wait
// before anybody is asked.
type found struct {
	challenge *realm.Challenge
	approved  *operation.Operation
	wait      time.Duration
}

// round does what the answers ask for.
func (c *call) round(ctx context.Context) (found, error) {
	if c.in.Subject == "" && !c.in.Identifies {
		// Nobody is known whom the proof could belong to: something else comes first.
		return found{challenge: &realm.Challenge{Message: messageFirst, Further: true, Stuck: true, Wait: &realm.Wait{Stage: realm.StageName}}}, nil
	}
	action := c.in.Fields[realm.FieldAction]
	switch {
	case c.state == nil:
		return c.begin(ctx)
	case strings.HasPrefix(action, ActionUse):
		return c.use(ctx, strings.TrimPrefix(action, ActionUse))
	case action == ActionCancel:
		return c.cancel(ctx, realm.StageCancelled)
	case action == ActionName && c.in.Subject == "":
		return c.cancel(ctx, realm.StageName)
	case action == ActionAgain:
		return c.again(ctx)
	case action == ActionResend:
		return c.resend(ctx)
	case c.in.Fields[FieldCode] != "":
		return c.code(ctx)
	case c.in.Fields[FieldLogin] != "" && c.in.Subject == "":
		return c.again(ctx)
	}
	return c.look(ctx)
}

// begin asks for the first time.
func (c *call) begin(ctx context.Context) (found, error) {
	typ := c.Type
	if asked, ok := strings.CutPrefix(c.in.Fields[realm.FieldAction], ActionUse); ok && c.offers(asked) {
		typ = asked
	}
	return c.start(ctx, typ, strings.TrimSpace(c.in.Fields[FieldLogin]))
}

// offers reports whether a type may be chosen.
func (c *call) offers(name string) bool {
	for _, t := range c.all() {
		if t.Name == name {
			return true
		}
	}
	return false
}

// all are the types that may be chosen, the realm's own first.
func (c *call) all() []mobiletype.Type {
	var types []mobiletype.Type
	for _, name := range append([]string{c.Type}, c.Also...) {
		if t, ok := c.Types.Get(name); ok {
			types = append(types, t)
		}
	}
	return types
}

// use asks by another type.
func (c *call) use(ctx context.Context, typ string) (found, error) {
	if !c.offers(typ) {
		return c.look(ctx)
	}
	if over, err := c.over(ctx, reasonOtherWay); err != nil || over.approved != nil {
		return over, err
	}
	return c.start(ctx, typ, c.login())
}

// again asks by the same type once more, if the question is over.
func (c *call) again(ctx context.Context) (found, error) {
	now, err := c.look(ctx)
	if err != nil || now.approved != nil {
		return now, err
	}
	if w := now.challenge.Wait; w != nil && w.Stage.Open() {
		return now, nil
	}
	return c.start(ctx, c.state.Type, c.login())
}

// login is the name of who is to be asked, as it was typed.
func (c *call) login() string {
	if typed := strings.TrimSpace(c.in.Fields[FieldLogin]); typed != "" {
		return typed
	}
	return c.state.Login
}

// cancel takes the question back, and says so or asks whom to ask instead.
func (c *call) cancel(ctx context.Context, stage realm.Stage) (found, error) {
	if over, err := c.over(ctx, reasonWithdrawn); err != nil || over.approved != nil {
		return over, err
	}
	c.state.Ended = stage
	return c.ended(ctx, stage)
}

// over ends the question that is open. One that was approved meanwhile is found. Where no more than a name is known, it does and takes
// the same whether somebody was asked.
func (c *call) over(ctx context.Context, reason string) (found, error) {
	if c.state.Operation == "" {
		return found{}, nil
	}
	began := c.Now()
	_, err := c.Operations.Cancel(ctx, c.state.Operation, reason)
	if err != nil && !errors.Is(err, operation.ErrTransition) && !errors.Is(err, operation.ErrNotFound) {
		return found{}, fmt.Errorf("taking a question back: %w", err)
	}
	o, err := c.read(ctx)
	switch {
	case err == nil && c.good(&o):
		return found{approved: &o}, nil
	case err != nil && !errors.Is(err, operation.ErrNotFound):
		return found{}, err
	}
	return found{}, c.even(ctx, began)
}

// even waits, where no more than a name is known, until what began then has taken as long as it takes for anybody.
func (c *call) even(ctx context.Context, began time.Time) error {
	if !c.masked() {
		return nil
	}
	if err := c.Pause(ctx, floor-c.Now().Sub(began)); err != nil {
		return fmt.Errorf("taking as long as for anybody: %w", err)
	}
	return nil
}

// Withdraw cancels the question that the request began, because that was given up.
func (g *Guest) Withdraw(ctx context.Context, in realm.Input) error {
	c, err := g.call(in)
	if err != nil || c.state == nil {
		return err
	}
	ctx = audit.WithActor(ctx, audit.Actor{By: "realm:" + in.Realm, ClientID: in.Client.ID, ClientIP: in.ClientIP})
	_, err = c.over(ctx, reasonWithdrawn)
	return err
}
