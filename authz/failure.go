// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
)

// passing are the failures of a store, and of a realm's guests, that are gone when the caller comes back. An unknown commit is
// among them: what was single-use is then spent or untouched, and either is safe to try again.
var passing = []error{
	storage.ErrConflict, storage.ErrClosed, storage.ErrUnknown, storage.ErrFull, storage.ErrReadOnly, storage.ErrUnavailable,
	context.Canceled, context.DeadlineExceeded, realm.ErrUnjudged,
}

// Failure returns the error to tell a caller when a transition failed: temporarily_unavailable when it will pass, else
// server_error. An error that is an [oauth.Error] already is returned as it is. The cause is for the log alone.
func Failure(err error) *oauth.Error {
	var known *oauth.Error
	if errors.As(err, &known) {
		return known
	}
	if Passing(err) {
		return oauth.Unavailable(err)
	}
	return oauth.Internal(err)
}

// Passing reports whether a failure is gone when the caller comes back.
func Passing(err error) bool {
	return slices.ContainsFunc(passing, func(p error) bool { return errors.Is(err, p) })
}

// Hint is what an ID token of ours says when an application hands it back as a hint (id_token_hint): whom it was issued
// about, to which client and in which session. It may have expired.
type Hint struct {
	Subject   string
	ClientID  string
	SessionID string
	IssuedAt  time.Time
	// Application tells that it speaks of an app in which the user has logged in.
	Application bool
}

// Gone reports whether an error means that a record is not there.
func Gone(err error) bool { return errors.Is(err, storage.ErrNotFound) }
