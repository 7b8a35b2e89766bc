// SPDX-License-Identifier: Apache-2.0

package identitystore

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
)

// AttributeLogin is the attribute of a proof that holds the user's login name, so that a later form can be prefilled.
const AttributeLogin = "login"

// methodPassword is the authentication method of RFC 8176 2.
const methodPassword = "pwd"

// Reasons of a refusal that this package adds to those of [identity.Reason].
const (
	reasonAnotherUser = "another_user"
	reasonNoUser      = "unknown_user"
)

// Users is what a [Module] and [Profiles] need of the identity store.
type Users interface {
	Authenticate(ctx context.Context, a identity.Attempt) (identity.Outcome, error)
	Get(ctx context.Context, id string) (identity.User, error)
}

// Module is a login module: it verifies a user name and a password. Throttling, equal work for unknown users and the bound
// on concurrent hashing are the identity store's.
type Module struct {
	Users Users
	// UserField and PasswordField are the answers it looks at. Default: username and password.
	UserField, PasswordField string
}

// Verify judges the credentials. When they come without a user name, they are those of the user that the context belongs
// to; when they come with one, a user other than that is refused after the same work.
func (m *Module) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	attempt := identity.Attempt{
		Login:    c.Values[cmp.Or(m.UserField, "username")],
		Password: c.Values[cmp.Or(m.PasswordField, "password")],
		ClientIP: c.ClientIP,
	}
	if attempt.Login == "" && c.Subject != "" {
		user, err := m.Users.Get(ctx, c.Subject)
		switch {
		case errors.Is(err, storage.ErrNotFound) || err == nil && len(user.Logins) == 0:
			return realm.Result{Status: realm.Refused, Reason: reasonNoUser, Account: c.Subject}, nil
		case err != nil:
			return realm.Result{}, fmt.Errorf("reading the user to verify: %w", err)
		}
		attempt.Login = user.Logins[0]
	}
	outcome, err := m.Users.Authenticate(ctx, attempt)
	if err != nil {
		return realm.Result{}, err
	}
	if outcome.Result == identity.Accepted && c.Subject != "" && outcome.User.ID != c.Subject {
		return realm.Result{Status: realm.Refused, Reason: reasonAnotherUser, Account: outcome.User.ID}, nil
	}
	return translate(outcome), nil
}

// translate maps an outcome; one that is not known is a refusal.
func translate(o identity.Outcome) realm.Result {
	result := realm.Result{Status: realm.Refused, Reason: string(o.Reason), RetryAfter: o.RetryAfter, Account: o.UserID}
	switch o.Result {
	case identity.Accepted:
		result.Status = realm.Accepted
		result.Identity = realm.Identity{Subject: o.User.ID, Name: DisplayName(&o.User), AMR: []string{methodPassword}}
		if len(o.User.Logins) > 0 {
			result.Identity.Attributes = map[string]string{AttributeLogin: o.User.Logins[0]}
		}
	case identity.Throttled:
		result.Status = realm.Throttled
	case identity.Busy:
		result.Status = realm.Busy
	case identity.Refused:
	}
	return result
}
