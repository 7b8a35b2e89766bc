// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Link returns the user with the given external reference, with the attributes that are known of him elsewhere, and adds him
// when there is none. The reference of a deleted user is refused, as [Store.Delete] says. Attributes that are not given stay; where nothing changes, nothing is written. The status of the user
// is his own: the caller looks at it. What breaks a rule is a [FieldError].
func (s *Store) Link(ctx context.Context, ref string, attributes map[string]string) (User, error) {
	fresh, err := s.newRecord(NewUser{Profile: Profile{ExternalRef: ref, Attributes: attributes}})
	if err != nil {
		return User{}, fmt.Errorf("linking a user: %w", err)
	}
	now := s.now()
	if found, err := s.ByExternalRef(ctx, ref); err == nil && covers(found.Attributes, fresh.Attributes) {
		return found, nil
	}
	added, updated := s.prepare(ctx, adding.of(fresh.ID)), s.prepare(ctx, updating)
	var linked record
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		linked, err = s.users.Lookup(tx, byExternalRef, ref)
		if errors.Is(err, storage.ErrNotFound) {
			linked = fresh
			if err := s.clash(tx, &linked); err != nil {
				return err
			}
			if err := s.users.Insert(tx, linked); err != nil {
				return err
			}
			return s.tell(tx, added)
		}
		if err != nil || covers(linked.Attributes, fresh.Attributes) {
			return err
		}
		merged := maps.Clone(linked.Attributes)
		if merged == nil {
			merged = map[string]string{}
		}
		maps.Copy(merged, fresh.Attributes)
		updated.Subject = linked.ID
		if linked.Attributes, err = checkAttributes(merged); err != nil {
			return err
		}
		if err := s.index(&linked); err != nil {
			return err
		}
		if err := s.put(tx, &linked, now); err != nil {
			return err
		}
		return s.tell(tx, updated)
	})
	if err != nil {
		return User{}, fmt.Errorf("linking a user: %w", err)
	}
	return linked.User, nil
}

// covers reports whether all of some attributes are there already, with the same values.
func covers(have, want map[string]string) bool {
	for key, value := range want {
		if held, ok := have[key]; !ok || held != value {
			return false
		}
	}
	return true
}
