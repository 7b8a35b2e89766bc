// SPDX-License-Identifier: Apache-2.0

package native

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/attempt"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// rounds has every answer judged, and asks what is to be proven next: the challenges by realm, or nothing when all is proven.
// Each answer is judged once and for its own realm, and none for a realm that is not being asked.
func (c *call) rounds() (map[string]*challenge, error) {
	remaining := c.remaining()
	for name := range c.answers {
		if !names(remaining, name) {
			return nil, oauth.NewError(oauth.InvalidRequest, fmt.Sprintf("the realm %q is not being asked", name))
		}
	}
	for len(remaining) > 0 {
		asked := map[string]*challenge{}
		proven := false
		for _, next := range remaining {
			told, err := c.round(next.Realm)
			if err != nil {
				return nil, err
			}
			if told == nil {
				proven = true
				continue
			}
			asked[next.Realm] = told
		}
		if !proven {
			return asked, nil
		}
		remaining = c.remaining()
		if len(asked) > 0 && len(remaining) > 0 && names(remaining, anyOf(asked)) {
			return asked, nil // the step is not over
		}
	}
	return nil, nil
}

func (c *call) remaining() []realm.Requirement {
	return c.request.Remaining(c.Judge.Engine, c.session, c.Store.Now())
}

func names(requirements []realm.Requirement, name string) bool {
	for _, r := range requirements {
		if r.Realm == name {
			return true
		}
	}
	return false
}

func anyOf(asked map[string]*challenge) string {
	for name := range asked {
		return name
	}
	return ""
}

// round runs one round of a realm: nothing comes back when it was proven. A realm that breaks says so and lets the others go
// on.
func (c *call) round(name string) (*challenge, error) {
	fields := c.answers[name]
	delete(c.answers, name)
	visit := &attempt.Visit{
		Request: c.request, Session: c.session, Realm: name, Expected: c.request.Expects(c.session, c.Store.Now()),
		Hint: c.request.LoginHint, Locale: c.locale, Native: true,
	}
	told := new(challenge)
	outcome, err := c.Judge.Try(c.r, visit, fields)
	switch {
	case err != nil:
		c.log(name, err)
		told.fail(failureUnavailable, 0, c.text)
		return told, nil
	case outcome.Challenge != nil:
		told.write(outcome.Challenge, c.text)
		return told, c.lostUnless(c.Judge.Keep(c.r, visit, outcome.Challenge))
	case outcome.Result.Status == realm.Accepted:
		return nil, c.prove(visit, outcome)
	}
	return told, c.refused(visit, told, outcome.Result)
}

// refused asks again after an answer that led nowhere.
func (c *call) refused(visit *attempt.Visit, told *challenge, result realm.Result) error {
	if result.Status == realm.Refused {
		open, err := c.Store.RefuseRequest(c.r.Context(), c.request.ID)
		if err != nil && !errors.Is(err, authz.ErrRequestEnded) {
			return authz.Failure(err)
		}
		if !open {
			return invalidSession()
		}
	}
	again, err := c.Judge.Ask(c.r, visit)
	if err != nil {
		c.log(visit.Realm, err)
		told.fail(failureUnavailable, 0, c.text)
		return nil
	}
	told.write(again, c.text)
	told.fail(string(result.Status), result.RetryAfter, c.text)
	if result.Notice != nil {
		told.Notice = notified(result.Notice)
	}
	return c.lostUnless(c.Judge.Keep(c.r, visit, again))
}

// prove puts a proof where it belongs. The handle changes with it, so that an answer that was overheard is worth nothing.
func (c *call) prove(visit *attempt.Visit, outcome attempt.Outcome) (err error) {
	ctx := c.r.Context()
	if outcome.Early {
		c.request, err = c.Store.ProveRequest(ctx, c.request.ID, outcome.Proof)
		return c.settled(visit, outcome, err)
	}
	in := authz.NativeProof{
		Handle: c.handle, ClientID: c.client.ID,
		Raise: authz.Raise{Proof: outcome.Proof, Earlier: c.request.Proven},
	}
	if outcome.Proof.Subject != "" {
		drawn := c.Sessions.Draw(c.r, session.Login{Proof: outcome.Proof, Earlier: c.request.Proven, Began: c.began})
		in.Open, in.Raise.ExpiresAt = &drawn, drawn.ExpiresAt
	}
	next := c.handle.Next()
	in.SecretHash = next.Hash()
	proven, err := c.Store.ProveNative(ctx, in)
	if err == nil {
		c.session, c.handle = proven, next
	}
	return c.settled(visit, outcome, err)
}

// settled tells what became of a proof.
func (c *call) settled(visit *attempt.Visit, outcome attempt.Outcome, err error) error {
	switch {
	case err == nil:
		c.Judge.Counted(visit)
		return nil
	case errors.Is(err, authz.ErrOvertaken):
		if err := c.Judge.Overtaken(c.r, visit, outcome.Result); err != nil {
			return authz.Failure(err)
		}
		return invalidSession()
	}
	return c.lostUnless(err)
}

func (c *call) lostUnless(err error) error {
	if err == nil {
		return nil
	}
	return c.lost(err)
}

func (c *call) text(key string) string {
	if key == "" {
		return ""
	}
	return c.Texts.Text(c.locale, key)
}

func (c *call) log(name string, err error) {
	caller := httpx.CallerOf(c.r.Context())
	c.Logger.LogAttrs(c.r.Context(), slog.LevelError, "a realm could not be tried",
		slog.String("realm", name), slog.String("client_id", c.client.ID), slog.String("request_id", caller.RequestID),
		slog.Any("error", err))
}
