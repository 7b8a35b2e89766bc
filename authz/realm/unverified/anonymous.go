// SPDX-License-Identifier: Apache-2.0

package unverified

import (
	"context"
	"errors"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// Anonymous is an authenticator, and its own login module, that asks nothing and accepts everybody. What it proves is that
// requests come from one browser or app, and nothing about whose that is: its subjects are made up, and no user stands behind
// them.
type Anonymous struct {
	newID func(prefix string) string
}

// NewAnonymous returns an authenticator whose subjects newID makes; it has the signature of randid.New, and what it makes must be
// as hard to guess.
func NewAnonymous(newID func(prefix string) string) (*Anonymous, error) {
	if newID == nil {
		return nil, errors.New("letting people in anonymously: a source of ids is required")
	}
	return &Anonymous{newID: newID}, nil
}

// Collect asks for nothing.
func (a *Anonymous) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return realm.Credentials{ClientIP: in.ClientIP, Locale: in.Locale, Subject: in.Subject}, nil, nil
}

// Verify accepts a caller who is not known yet as a new anonymous subject, and one who is anonymous already as the same. It never
// says of a user that it is him: in the context of one it accepts without a subject, which does for a realm that need not
// determine the user and for no other.
func (a *Anonymous) Verify(_ context.Context, c realm.Credentials) (realm.Result, error) {
	result := realm.Result{Status: realm.Accepted}
	switch {
	case c.Subject == "":
		result.Identity.Subject = a.newID(realm.AnonymousPrefix)
	case realm.Anonymous(c.Subject):
		result.Identity.Subject = c.Subject
	}
	return result, nil
}
