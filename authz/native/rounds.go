// SPDX-License-Identifier: Apache-2.0

package native

import (
	"log/slog"
	"maps"

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
		switch {
		case names(remaining, name):
		case c.context.SessionID != "" && c.session.ID == "":
			return nil, oauth.SessionLost() // it has ended, and what is missing is more than the app was told
		default:
			return nil, oauth.NewError(oauth.InvalidRequest, "an answer is for a realm that is not being asked")
		}
	}
	for len(remaining) > 0 {
		asked, progress, err := c.step(remaining)
		if err != nil {
			return nil, err
		}
		if !progress {
			return asked, nil
		}
		remaining = c.remaining()
		maps.DeleteFunc(asked, func(name string, _ *challenge) bool { return !names(remaining, name) })
		if len(asked) > 0 {
			return asked, nil // the step is not over
		}
	}
	return nil, nil
}

// step runs one round of each realm, and reports whether one of them was proven.
func (c *call) step(remaining []realm.Requirement) (asked map[string]*challenge, progress bool, err error) {
	asked = map[string]*challenge{}
	for _, next := range remaining {
		told, err := c.round(c.visit(next.Realm))
		if err != nil {
			return nil, false, err
		}
		if told == nil {
			c.proven[next.Realm], progress = true, true
			continue
		}
		asked[next.Realm] = told
	}
	return asked, progress, nil
}

// visit is what is known when a realm is tried.
func (c *call) visit(name string) *attempt.Visit {
	return &attempt.Visit{
		Request: c.request, Session: c.session, Realm: name, Expected: c.request.Expects(c.session, c.Store.Now()),
		Hint: c.request.LoginHint, Locale: c.locale, Native: true, ClientName: c.client.DisplayName(),
	}
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

// round runs one round of a realm: nothing comes back when it was proven. A realm that breaks says so and lets the others go
// on. None is proven twice in a call: a proof that does not count, such as one from the very moment at which the request came,
// would not count the next time either.
func (c *call) round(visit *attempt.Visit) (*challenge, error) {
	fields := c.answers[visit.Realm]
	delete(c.answers, visit.Realm)
	told := new(challenge)
	if c.proven[visit.Realm] {
		return told, c.ask(visit, told)
	}
	outcome, err := c.Judge.Try(c.r, visit, fields)
	switch {
	case err != nil:
		c.unavailable(visit, told, err)
		return told, nil
	case outcome.Challenge != nil:
		if err := c.countRefusal(visit.Realm, outcome.Challenge.Refusal); err != nil {
			return nil, err
		}
		told.write(outcome.Challenge, c.text)
		return told, c.lostUnless(c.Judge.Keep(c.r, visit, outcome.Challenge))
	case outcome.Result.Status == realm.Accepted:
		return nil, c.accepted(visit, outcome)
	}
	return told, c.refused(visit, told, outcome.Result)
}

// accepted puts a proof where it belongs, and keeps what people are told with it for the answer.
func (c *call) accepted(visit *attempt.Visit, outcome attempt.Outcome) error {
	if err := c.prove(visit, outcome); err != nil {
		return err
	}
	if told := notified(outcome.Result.Notice); told != nil {
		told.Realm = visit.Realm
		c.notices = append(c.notices, told)
	}
	return nil
}

// ask tells what a realm wants to know, and has nothing judged.
func (c *call) ask(visit *attempt.Visit, told *challenge) error {
	asked, err := c.Judge.Ask(c.r, visit)
	if err != nil {
		c.unavailable(visit, told, err)
		return nil
	}
	told.write(asked, c.text)
	return c.lostUnless(c.Judge.Keep(c.r, visit, asked))
}

// refused asks again after an answer that led nowhere.
func (c *call) refused(visit *attempt.Visit, told *challenge, result realm.Result) error {
	if result.Status == realm.Refused {
		if err := c.countRefusal(visit.Realm, &realm.Refusal{Blameless: result.Blameless}); err != nil {
			return err
		}
	}
	err := c.ask(visit, told)
	if told.Failure == nil {
		told.fail(string(result.Status), result.RetryAfter, c.text)
	}
	if result.Notice != nil {
		told.Notice = notified(result.Notice)
	}
	return err
}

// countRefusal counts a refusal by a realm against the auth session, which ends when there were too many.
func (c *call) countRefusal(name string, refusal *realm.Refusal) error {
	if refusal == nil || refusal.Blameless {
		return nil
	}
	open, err := c.Store.RefuseNative(c.r.Context(), c.handle.ID, name)
	if err == nil && !open {
		return oauth.SessionLost()
	}
	return c.lostUnless(err)
}

// unavailable says that a realm broke. Why is for the log.
func (c *call) unavailable(visit *attempt.Visit, told *challenge, err error) {
	caller := httpx.CallerOf(c.r.Context())
	c.Logger.LogAttrs(c.r.Context(), slog.LevelError, "a realm could not be tried",
		slog.String("realm", visit.Realm), slog.String("client_id", c.client.ID), slog.String("request_id", caller.RequestID),
		slog.Any("error", err))
	told.fail(failureUnavailable, 0, c.text)
}

// prove puts a proof where it belongs. The handle changes with it, so that an answer that was overheard is worth nothing.
func (c *call) prove(visit *attempt.Visit, outcome attempt.Outcome) (err error) {
	ctx := c.r.Context()
	outcome.Proof.Cutoffs = c.began.Cutoffs
	if outcome.Early {
		c.request, err = c.Store.ProveRequest(ctx, c.request.ID, outcome.Proof, outcome.Within)
		return c.settled(visit, outcome, err)
	}
	in := authz.NativeProof{
		Handle: c.handle, ClientID: c.client.ID, RequestID: c.request.ID,
		Raise: authz.Raise{Proof: outcome.Proof, Earlier: c.request.Proven, Within: outcome.Within},
	}
	if outcome.Proof.Subject != "" {
		drawn := c.Sessions.Draw(c.r, session.Login{Proof: outcome.Proof, Earlier: c.request.Proven, Began: c.began})
		in.Open, in.Raise.ExpiresAt = &drawn, drawn.ExpiresAt
	}
	next := c.handle.Next()
	in.SecretHash = next.Hash()
	proven, err := c.Sessions.Prove(ctx, in)
	if err == nil {
		c.session, c.handle = proven, next
	}
	return c.settled(visit, outcome, err)
}

// settled tells what became of a proof.
func (c *call) settled(visit *attempt.Visit, outcome attempt.Outcome, err error) error {
	if err == nil {
		c.Judge.Counted(c.r, visit, outcome)
		return nil
	}
	if err := c.Judge.Void(c.r, visit, outcome, err); err != nil {
		return authz.Failure(err)
	}
	return oauth.SessionLost()
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
