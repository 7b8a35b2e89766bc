// SPDX-License-Identifier: Apache-2.0

package challenge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

// floor is how long it takes to ask somebody of whom no more than a name is known, or nobody: whoever watches the clock learns
// nothing from what has to be written for one and not for the other.
const floor = 400 * time.Millisecond

// dropWithin bounds how long it takes to take a question back for whom nobody waits.
const dropWithin = 5 * time.Second

// maxRounds is how often one request may ask. Whoever needs more begins a new one, of which an address may have so many.
const maxRounds = 10

// start asks by a type, or for the name of who is to be asked.
func (c *call) start(ctx context.Context, typ, login string) (found, error) {
	t, ok := c.Types.Get(typ)
	if !ok {
		return found{}, fmt.Errorf("asking by the mobile type %q: %w", typ, mobiletype.ErrUnknown)
	}
	next := &state{Type: typ, Round: 1}
	if c.state != nil {
		next.Round = c.state.Round + 1
	}
	if next.Round > maxRounds {
		next.Ended = realm.StageImpossible
		c.state = next
		return c.look(ctx)
	}
	scans := t.Channel() == mobiletype.ByOTP
	switch {
	case scans || c.in.Subject != "":
		return c.open(ctx, next, scans)
	case login == "":
		return c.form(t)
	}
	next.Masked, next.Login = true, login
	return c.masquerade(ctx, t, next)
}

// open asks somebody who is known, or whoever scans.
func (c *call) open(ctx context.Context, next *state, scans bool) (found, error) {
	user := c.in.Subject
	if scans {
		user = ""
	}
	o, err := c.ask(ctx, next, user, c.Fallback)
	switch {
	case errors.Is(err, operation.ErrIdempotency):
		// The same was begun from elsewhere at this moment. What that has kept is to stay.
		return found{challenge: &realm.Challenge{
			Message: messages[realm.StageImpossible], Wait: &realm.Wait{Stage: realm.StageImpossible},
			Actions: []realm.Action{{Value: ActionAgain, Label: labelAgain}},
		}}, nil
	case impossible(err):
		next.Ended = realm.StageImpossible
	case err != nil:
		return found{}, err
	default:
		next.Operation = o.ID
	}
	c.state = next
	return c.look(ctx)
}

// masquerade asks the user with a login name, or nobody, and shows the same. Each time it asks anew, by no key: a page that is answered
// twice at once would find the question of the first answer again where somebody was asked, and none where nobody was.
func (c *call) masquerade(ctx context.Context, t mobiletype.Type, next *state) (found, error) {
	if c.Starts != nil {
		if wait := c.Starts(c.in.ClientIP); wait > 0 {
			return found{wait: wait}, nil
		}
	}
	began := c.Now()
	user, err := c.People.ByLogin(ctx, next.Login)
	if err != nil {
		return found{}, fmt.Errorf("finding who is to be asked: %w", err)
	}
	if user == "" {
		user = "nobody:" + digest("login", next.Login)
	}
	if next.Number, err = draw(c.Digits); err != nil {
		return found{}, err
	}
	if t.Method == mobiletype.SMS {
		next.Number = ""
	}
	next.Operation, next.User = decoy(&c.in, next.Round), user
	next.SentAt, next.Until = began, began.Add(t.TimeToLive)
	// What the type falls back to would show whether the user has a phone.
	o, err := c.ask(ctx, next, user, mobiletype.NoFallback)
	switch {
	case err == nil:
		next.Operation, next.User, next.Number, next.Until = o.ID, o.UserID, o.Number, o.AnswerBy
	case !impossible(err):
		return found{}, err
	}
	c.state = next
	if err := c.even(ctx, began); err != nil {
		return found{}, errors.Join(err, c.drop(ctx))
	}
	return c.look(ctx)
}

// drop takes back the question of a caller who has left before it was shown, as a browser does whose button is pressed twice: the answer
// to the second press is the one that is read, and nothing else is to wait on the phone.
func (c *call) drop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropWithin)
	defer cancel()
	_, err := c.Operations.Cancel(ctx, c.state.Operation, reasonWithdrawn)
	if err != nil && !errors.Is(err, operation.ErrTransition) && !errors.Is(err, operation.ErrNotFound) {
		return fmt.Errorf("taking back a question that nobody waits for: %w", err)
	}
	return nil
}

// ask starts the operation of a round.
func (c *call) ask(ctx context.Context, next *state, user string, fallback mobiletype.Fallbacks) (operation.Operation, error) {
	request := asking.Request{
		Type: next.Type, Kind: operation.Authentication, UserID: user, ExternalID: reference(&c.in), Language: c.language(),
		Origin: c.origin(), Fallback: fallback, Context: c.context(),
	}
	if !next.Masked {
		request.IdempotencyKey = key(&c.in, next.Type, user, next.Round)
	}
	t, ok := c.Types.Get(next.Type)
	if ok && t.Channel() == mobiletype.ByOTP {
		request.Fallback = ""
	}
	if ok && t.Channel() != mobiletype.BySMS {
		request.Context.Fields = c.whereabouts()
	}
	if approved := c.in.Transaction; approved != nil {
		// It is consented to as it stands, and the phone signs all of it, so that the receipt proves it; where it cannot be said or
		// signed nobody is asked.
		request.Kind, request.Context.Content = operation.Authorisation, approved.Message
		request.Data, request.MaySign = string(approved.Details), true
		if !ok || t.Channel() == mobiletype.BySMS {
			return operation.Operation{}, fmt.Errorf("asking a person: %w: a message signs nothing", asking.ErrImpossible)
		}
	}
	o, _, err := c.Asking.Start(ctx, request)
	if errors.Is(err, shown.ErrInvalid) && c.in.Transaction != nil {
		err = fmt.Errorf("%w: %w", asking.ErrImpossible, err) // no phone can show what somebody asks for
	}
	if err != nil {
		return operation.Operation{}, fmt.Errorf("asking a person: %w", err)
	}
	return o, nil
}

// impossible reports whether a start was refused because of the person, and not because of a fault.
func impossible(err error) bool {
	for _, target := range []error{
		asking.ErrImpossible, operation.ErrUser, operation.ErrDevice, operation.ErrBlocked, operation.ErrTooManyOpen, operation.ErrChannel,
		operation.ErrIdempotency,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
