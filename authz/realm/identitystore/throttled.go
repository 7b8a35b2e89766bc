// SPDX-License-Identifier: Apache-2.0

package identitystore

import (
	"cmp"
	"context"
	"errors"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
)

// Counters count guesses. An [identity.Store] does.
type Counters interface {
	Enter(ctx context.Context, g identity.Guess) (identity.Entry, error)
	Settle(ctx context.Context, e identity.Entry, right bool) error
}

// Throttled slows guessing down before a login module that asks somebody else, who may or may not: each name from each
// address, and each name over all addresses, as for the issuer's own users. A guess that comes too early is not judged.
type Throttled struct {
	Module   realm.LoginModule
	Counters Counters
	// People names whose names these are, and Field the answer that holds one.
	People, Field string
}

// Verify counts a guess, has it judged, and takes it back if it was right or could not be judged. A caller who hangs up takes
// nothing back: whoever judges may have done so already, and guesses would be free for those who do not wait for the answer.
func (t *Throttled) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	// Without the answer it is a guess at the user who is known, or at an empty name: a module that does without one would judge it for
	// free.
	name := cmp.Or(c.Values[t.Field], c.Subject)
	entry, err := t.Counters.Enter(ctx, identity.Guess{People: t.People, Login: name, ClientIP: c.ClientIP})
	if err != nil {
		return realm.Result{}, err
	}
	if entry.RetryAfter > 0 {
		return realm.Result{Status: realm.Throttled, RetryAfter: entry.RetryAfter, Reason: string(entry.Reason)}, nil
	}
	result, err := t.Module.Verify(ctx, c)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return result, errors.Join(err, ctx.Err())
	case err != nil || result.Status == realm.Busy:
		// The time may be up; the count is mended all the same.
		return result, errors.Join(err, t.Counters.Settle(context.WithoutCancel(ctx), entry, false))
	case result.Status == realm.Accepted:
		if err := t.Counters.Settle(ctx, entry, true); err != nil {
			return realm.Result{}, err
		}
	}
	return result, nil
}

// NeedsLogin tells what the module that judges needs: without the name there would be no guess to count either.
func (t *Throttled) NeedsLogin() bool {
	m, ok := t.Module.(realm.NeedsLogin)
	return ok && m.NeedsLogin()
}
