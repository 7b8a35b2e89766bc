// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/storage"
)

// failures counts wrong passwords in a row for [Config].LockAfter. It stands beside the user so that a failed attempt does
// not rewrite the whole record and its indexes.
type failures struct {
	UserID string `json:"user"`
	Count  int    `json:"n"`
}

var failureTable = storage.Table[failures]{
	Name:    "login_failures",
	Version: 1,
	ID:      func(f *failures) string { return f.UserID },
}

// Update replaces the profile of a user whose version is the given one; otherwise it is [ErrVersion].
func (s *Store) Update(ctx context.Context, id string, version int64, p Profile) (User, error) {
	profile, err := p.normalize()
	if err != nil {
		return User{}, fmt.Errorf("updating user %q: %w", id, err)
	}
	return s.change(ctx, updating.of(id), func(tx storage.Tx, r *record, _ time.Time) error {
		if r.Version != version {
			return ErrVersion
		}
		r.Profile = profile
		if err := s.index(r); err != nil {
			return err
		}
		return s.clash(tx, r)
	})
}

// SetPassword replaces the user's password and revokes what the old one had opened.
func (s *Store) SetPassword(ctx context.Context, id, password string) (User, error) {
	if err := s.checkPassword(password); err != nil {
		return User{}, fmt.Errorf("setting the password of user %q: %w", id, err)
	}
	hash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return User{}, fmt.Errorf("setting the password of user %q: %w", id, err)
	}
	return s.change(ctx, newPassword.of(id), func(_ storage.Tx, r *record, now time.Time) error {
		next := credential{Hash: hash, Generation: 1}
		if r.Credential != nil {
			next.Generation = r.Credential.Generation + 1
		}
		r.Credential, r.PasswordSetAt, r.SessionsNotBefore = &next, now, now
		return nil
	}, s.revoke)
}

// checkPassword counts code points, as NIST SP 800-63B-4 (3.1.1.2) does, and has no rule about their kind.
func (s *Store) checkPassword(password string) error {
	switch {
	case len(password) > MaxPassword:
		return invalid("password", fmt.Sprintf("longer than %d bytes", MaxPassword))
	case !utf8.ValidString(password):
		return invalid("password", "not valid UTF-8")
	case utf8.RuneCount(prepare(password)) < s.minPassword:
		return invalid("password", fmt.Sprintf("shorter than %d characters", s.minPassword))
	}
	return nil
}

// Lock keeps the user out until [Store.Unlock] and revokes what is open. Locking again replaces the reason.
func (s *Store) Lock(ctx context.Context, id, reason string) (User, error) {
	return s.exclude(ctx, locking.of(id).because(reason), Locked)
}

// Deactivate keeps the user out for good and revokes what is open. The login names stay taken, so that nobody inherits
// them.
func (s *Store) Deactivate(ctx context.Context, id, reason string) (User, error) {
	return s.exclude(ctx, deactivating.of(id).because(reason), Deactivated)
}

func (s *Store) exclude(ctx context.Context, d deed, status Status) (User, error) {
	if err := checkReason(d.reason); err != nil {
		return User{}, fmt.Errorf("%s user %q: %w", d.verb, d.userID, err)
	}
	return s.change(ctx, d, func(_ storage.Tx, r *record, now time.Time) error {
		return r.exclude(status, d.reason, now)
	}, s.revoke)
}

func (r *record) exclude(status Status, reason string, now time.Time) error {
	if !r.Status.may(status) {
		return ErrTransition
	}
	r.Status, r.StatusReason, r.SessionsNotBefore = status, reason, now
	return nil
}

// Unlock lets a locked user log in again and forgets their wrong passwords over all addresses. For an active user it does
// the latter only; a deactivated user stays so: [ErrTransition].
func (s *Store) Unlock(ctx context.Context, id string) (User, error) {
	names, err := s.naming()
	if err != nil {
		return User{}, fmt.Errorf("unlocking user %q: %w", id, err)
	}
	return s.change(ctx, unlocking.of(id), func(tx storage.Tx, r *record, _ time.Time) error {
		if !r.Status.may(Active) {
			return ErrTransition
		}
		r.Status, r.StatusReason = Active, ""
		for _, login := range r.Logins {
			if err := counters.Delete(tx, names.login(login)); err != nil {
				return err
			}
		}
		return failureTable.Delete(tx, r.ID)
	})
}

// change is alter for what can only be done to a user who is still there.
func (s *Store) change(ctx context.Context, d deed, fn func(storage.Tx, *record, time.Time) error,
	then ...func(storage.Tx, User) error,
) (User, error) {
	return s.alter(ctx, d, func(tx storage.Tx, r *record, now time.Time) error {
		if !r.DeletedAt.IsZero() {
			return ErrDeleted
		}
		return fn(tx, r, now)
	}, then...)
}

// alter loads a user, applies fn, stores the result as a new version, runs then on it and tells the audit trail, all in one
// transaction.
func (s *Store) alter(ctx context.Context, d deed, fn func(storage.Tx, *record, time.Time) error,
	then ...func(storage.Tx, User) error,
) (User, error) {
	now, event := s.now(), s.prepare(ctx, d)
	var changed record
	err := s.db.Update(ctx, func(tx storage.Tx) error {
		r, err := s.users.Get(tx, d.userID)
		if err != nil {
			return err
		}
		if err := fn(tx, &r, now); err != nil {
			return err
		}
		changed = r
		if err := s.put(tx, &changed, now, then...); err != nil {
			return err
		}
		return s.tell(tx, event)
	})
	if err != nil {
		return User{}, fmt.Errorf("%s user %q: %w", d.verb, d.userID, err)
	}
	return changed.User, nil
}

func (s *Store) put(tx storage.Tx, r *record, now time.Time, then ...func(storage.Tx, User) error) error {
	r.Version++
	r.UpdatedAt = now
	if err := s.users.Put(tx, *r); err != nil {
		return err
	}
	for _, hook := range then {
		if err := hook(tx, r.User); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) revoke(tx storage.Tx, u User) error {
	for _, hook := range s.onRevoke {
		if err := hook(tx, u); err != nil {
			return fmt.Errorf("revoking what is open: %w", err)
		}
	}
	return nil
}
