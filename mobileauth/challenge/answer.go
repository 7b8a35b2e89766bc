// SPDX-License-Identifier: Apache-2.0

package challenge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// Keys of what people are told about sending again.
const (
	messageResent     = "wait.resent"
	messageResendSoon = "wait.resend_soon"
	messageResendNo   = "wait.resend_no"
)

// reasonCode is why a code was refused, for the audit trail.
const reasonCode = "code_wrong"

// resendPause is the least time between two of the same, as somebody is shown who may know nothing.
const resendPause = 30 * time.Second

// code takes the code of a message.
func (c *call) code(ctx context.Context) (found, error) {
	if c.masked() {
		return c.codeMasked(ctx)
	}
	now, err := c.look(ctx)
	if err != nil || now.approved != nil || now.challenge.Wait.Stage != realm.StageCode {
		return now, err
	}
	out, err := c.verify(ctx)
	switch {
	case err != nil:
		return found{}, err
	case out.Code == operation.Accepted:
		return c.look(ctx)
	}
	return c.wrong(ctx)
}

// verify has the code of the state's operation judged. Spaces that people read between digits are none of it.
func (c *call) verify(ctx context.Context) (operation.Outcome, error) {
	code := strings.Join(strings.Fields(c.in.Fields[FieldCode]), "")
	out, err := c.Operations.Verify(ctx, c.state.Operation, "", code)
	if err != nil && !errors.Is(err, operation.ErrNotFound) {
		return operation.Outcome{}, fmt.Errorf("verifying a code: %w", err)
	}
	return out, nil
}

// wrong is what is said after a code that was not right: it was a guess, and counts as one.
func (c *call) wrong(ctx context.Context) (found, error) {
	now, err := c.look(ctx)
	if err != nil || now.approved != nil {
		return now, err
	}
	now.challenge.Further, now.challenge.Refusal = false, &realm.Refusal{Reason: reasonCode}
	if now.challenge.Wait.Stage.Open() {
		now.challenge.Message = messageCodeWrong
	}
	return now, nil
}

// codeMasked takes a code where nobody may know whether one was sent. The tries are counted in what is shown, and for the user where
// there is one.
func (c *call) codeMasked(ctx context.Context) (found, error) {
	began := c.Now()
	now, err := c.look(ctx)
	if err != nil || now.approved != nil || now.challenge.Wait.Stage != realm.StageCode {
		return now, err
	}
	if _, err := c.verify(ctx); err != nil {
		return found{}, err
	}
	if o, err := c.read(ctx); err == nil && c.good(&o) {
		return found{approved: &o}, nil
	} else if err != nil && !errors.Is(err, operation.ErrNotFound) {
		return found{}, err
	}
	c.state.Tries++
	if err := c.even(ctx, began); err != nil {
		return found{}, err
	}
	return c.wrong(ctx)
}

// resend sends the same once more.
func (c *call) resend(ctx context.Context) (found, error) {
	message, err := messageResent, error(nil)
	if c.masked() {
		message, err = c.resendMasked(ctx)
	} else if c.state.Operation != "" {
		_, err = c.Operations.Resend(ctx, c.state.Operation, "")
	}
	switch {
	case errors.Is(err, operation.ErrTooSoon):
		message = messageResendSoon
	case refusedResend(err):
		message = messageResendNo
	case err != nil:
		return found{}, fmt.Errorf("sending a question again: %w", err)
	}
	now, err := c.look(ctx)
	if err == nil && now.approved == nil && now.challenge.Wait.Stage.Open() {
		now.challenge.Message = message
	}
	return now, err
}

func refusedResend(err error) bool {
	for _, target := range []error{
		operation.ErrResendLimit, operation.ErrTransition, operation.ErrBlocked, operation.ErrChannel, operation.ErrNotFound,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// resendMasked says what would be said if there were somebody, by what was said before.
func (c *call) resendMasked(ctx context.Context) (message string, err error) {
	s, began := c.state, c.Now()
	t, ok := c.Types.Get(s.Type)
	switch {
	case !ok || s.Sent >= t.Resends || t.Method == mobiletype.OTP:
		return messageResendNo, nil
	case began.Sub(s.SentAt) < resendPause<<min(s.Sent, 2):
		return messageResendSoon, nil
	}
	s.Sent, s.SentAt = s.Sent+1, began
	_, err = c.Operations.Resend(ctx, s.Operation, "")
	if err != nil && !refusedResend(err) && !errors.Is(err, operation.ErrTooSoon) {
		return "", err
	}
	return messageResent, c.even(ctx, began)
}
