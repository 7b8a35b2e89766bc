// SPDX-License-Identifier: Apache-2.0

package realm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
)

// Attempt is what one round of a realm led to: either a challenge, or a judgement.
type Attempt struct {
	// Challenge asks for what is missing; Result is then empty.
	Challenge *Challenge
	Result    Result
}

// Try runs one round of the named realm: collect, and verify when everything is there. The default outcome is deny: an
// unknown realm is an error, a fault, a panic or a time-out of a guest is [ErrUnjudged], and an accepted identity without a
// subject does not determine a user. A realm other than an identity realm must prove the user the context already belongs to.
// An identity that is known by an id from elsewhere is linked to the issuer's user first.
func (e *Engine) Try(ctx context.Context, name string, in Input) (Attempt, error) {
	r, ok := e.realms[name]
	if !ok {
		return Attempt{}, fmt.Errorf("trying the realm %q: it is not defined", name)
	}
	in = e.known(r, in)
	attempt, err := e.await(ctx, name, func(ctx context.Context) (Attempt, error) { return e.round(ctx, r, in) })
	return attempt, unjudgedBy(err)
}

// ErrUnjudged is what every error of a guest is, whatever has broken: to who is waiting it makes no difference, and who has
// broken it is not to learn how.
var ErrUnjudged = errors.New("a realm could not be judged")

// unjudged is an error of a guest, as it was.
type unjudged struct{ error }

// Is reports whether the target is [ErrUnjudged].
func (unjudged) Is(target error) bool { return target == ErrUnjudged }

// Unwrap returns the error as it was.
func (u unjudged) Unwrap() error { return u.error }

func unjudgedBy(err error) error {
	if err == nil {
		return nil
	}
	return unjudged{err}
}

// Ask returns what the named realm asks, and judges nothing: nil when it asks nothing, because what the input presents is there
// to be judged or because there is nothing to know.
func (e *Engine) Ask(ctx context.Context, name string, in Input) (*Challenge, error) {
	r, ok := e.realms[name]
	if !ok {
		return nil, fmt.Errorf("asking for the realm %q: it is not defined", name)
	}
	in = e.known(r, in)
	attempt, err := e.await(ctx, name, func(ctx context.Context) (Attempt, error) {
		_, challenge, err := collect(ctx, r, in)
		return Attempt{Challenge: challenge}, err
	})
	return attempt.Challenge, unjudgedBy(err)
}

// collect has the realm's authenticator collect what its login module needs.
func collect(ctx context.Context, r *Realm, in Input) (Credentials, *Challenge, error) {
	credentials, challenge, err := r.Authenticator.Collect(ctx, in)
	if err != nil {
		return Credentials{}, nil, fmt.Errorf("collecting for the realm %q: %w", r.Name, err)
	}
	credentials.Realm, credentials.Locale = r.Name, cmp.Or(credentials.Locale, in.Locale)
	return credentials, challenge, nil
}

// round has the realm's guests collect and verify.
func (e *Engine) round(ctx context.Context, r *Realm, in Input) (Attempt, error) {
	name := r.Name
	credentials, challenge, err := collect(ctx, r, in)
	if err != nil {
		return Attempt{}, err
	}
	if challenge != nil {
		return Attempt{Challenge: challenge}, nil
	}
	if credentials.Refusal != nil {
		return Attempt{Result: e.confine(name, in.Subject, credentials.Refusal.result())}, nil
	}
	result, err := r.LoginModule.Verify(ctx, credentials)
	if err != nil {
		return Attempt{}, fmt.Errorf("verifying for the realm %q: %w", name, err)
	}
	if err := ctx.Err(); err != nil {
		return Attempt{}, fmt.Errorf("verifying for the realm %q: %w", name, err)
	}
	if result, err = e.link(ctx, r, result); err != nil {
		return Attempt{}, fmt.Errorf("finding the user for the realm %q: %w", name, err)
	}
	return Attempt{Result: e.confine(name, in.Subject, result)}, nil
}

// link sets the subject of an identity that is known by an id from elsewhere. One with both has no place to come from.
func (e *Engine) link(ctx context.Context, r *Realm, result Result) (Result, error) {
	if result.Status != Accepted || result.Identity.ExternalID == "" {
		return result, nil
	}
	if e.linker == nil || result.Identity.Subject != "" {
		return Result{Status: Refused, Reason: "not_linked", Account: result.Account}, nil
	}
	subject, err := e.linker.Link(ctx, r.Users, result.Identity)
	if errors.Is(err, ErrLocked) {
		return Result{Status: Refused, Reason: "locked", Account: cmp.Or(subject, result.Account)}, nil
	}
	if err == nil && subject == "" {
		err = errors.New("the user has no id")
	}
	if err != nil {
		return Result{}, err
	}
	result.Identity.Subject, result.Identity.ExternalID = subject, ""
	result.Account = subject
	return result, nil
}

// confine turns an acceptance that does not fit the context, and a judgement that is none, into a refusal. A refusal has
// no identity; the account it was about stays, for the audit trail.
func (e *Engine) confine(name, subject string, result Result) Result {
	switch {
	case result.Status == Throttled || result.Status == Busy:
		return Result{
			Status: result.Status, RetryAfter: result.RetryAfter, Reason: result.Reason, Account: result.Account, Notice: result.Notice,
		}
	case result.Status != Accepted:
		return Result{
			Status: Refused, Reason: result.Reason, Account: result.Account, Notice: result.Notice, Blameless: result.Blameless,
		}
	case e.DeterminesUser(name) && result.Identity.Subject == "":
		return Result{Status: Refused, Reason: "no_subject", Account: result.Account}
	case !e.DeterminesUser(name) && result.Identity.Subject != "" && result.Identity.Subject != subject:
		return Result{Status: Refused, Reason: "another_user", Account: cmp.Or(result.Account, result.Identity.Subject)}
	}
	return result
}
