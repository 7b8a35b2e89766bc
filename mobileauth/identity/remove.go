// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// hold keeps a name of a deleted user from being given to somebody else unnoticed. It tells the name only to whoever guesses
// it. The hash has no key, so that no change of the store's key gives names free.
type hold struct {
	Name   string `json:"name"`
	UserID string `json:"user"`
}

var holds = storage.Table[hold]{
	Name:    "user_hold",
	Version: 1,
	ID:      func(h *hold) string { return h.Name },
}

// held is the form in which a value of a unique index is held.
func held(index, value string) string {
	sum := sha256.Sum256([]byte("gatehouse held name\x00" + index + "\x00" + value))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Delete forgets a person whose version is the given one: names, external reference, attributes and password are erased, and
// what is open is revoked. What remains is a tombstone: the id, which is never given to anybody else, with status
// [Deactivated] and the time. Nothing can be changed about it any more: [ErrDeleted].
//
// The names stay taken, as hashes, so that nobody silently inherits what other systems still connect with them: adding a user
// by one of them is refused as if the person were still there, and so is [Store.Link]. [Store.ReleaseNames] gives them free.
func (s *Store) Delete(ctx context.Context, id string, version int64) (User, error) {
	return s.change(ctx, deleting.of(id), func(tx storage.Tx, r *record, now time.Time) error {
		if r.Version != version {
			return ErrVersion
		}
		var names []string
		for _, login := range r.Logins {
			names = append(names, held(byLogin, login))
		}
		if r.ExternalRef != "" {
			names = append(names, held(byExternalRef, r.ExternalRef))
		}
		for _, name := range names {
			if err := holds.Put(tx, hold{Name: name, UserID: r.ID}); err != nil {
				return err
			}
		}
		*r = record{Held: names, User: User{
			ID: r.ID, Profile: Profile{Logins: []string{}}, Status: Deactivated, SessionsNotBefore: now, DeletedAt: now,
			Version: r.Version, CreatedAt: r.CreatedAt,
		}}
		return failureTable.Delete(tx, r.ID)
	}, s.revoke)
}

// ReleaseNames lets the names of a deleted user be given to others. It is an act of its own, since whoever gets them may be
// taken for that person by systems that know people by name. For a user who is not deleted it is [ErrTransition].
func (s *Store) ReleaseNames(ctx context.Context, id string) (User, error) {
	return s.alter(ctx, releasing.of(id), func(tx storage.Tx, r *record, _ time.Time) error {
		if r.DeletedAt.IsZero() {
			return ErrTransition
		}
		for _, name := range r.Held {
			if err := holds.Delete(tx, name); err != nil {
				return err
			}
		}
		r.Held = nil
		return nil
	})
}

// holder returns the deleted user who had a name, or nobody.
func holder(tx storage.Tx, index, value string) (string, error) {
	h, _, err := holds.Find(tx, held(index, value))
	return h.UserID, err
}
