// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Candidate is a user who was checked and is not stored yet. It may hold a plain password and is not to be logged.
type Candidate struct {
	record   record
	password string // plain; to be hashed
	owner    string // who has the names already, where that was looked up before hashing
}

// Fate is what became of a candidate.
type Fate struct {
	// UserID is the user added, or the one to whom all the candidate's names belong already.
	UserID string
	Added  bool
	// Err is a [FieldError]: some name is another user's.
	Err error
}

// Candidate checks everything about a new user that can be checked without the store and without hashing. What breaks a rule
// is a [FieldError].
func (s *Store) Candidate(n NewUser) (Candidate, error) {
	r, err := s.newRecord(n)
	return Candidate{record: r, password: n.Password}, err
}

// Writes returns how many items the candidate takes of the [storage.MaxWrites] of one batch.
func (c *Candidate) Writes() int {
	n := 1 + len(c.record.Logins) + len(c.record.Found)
	if c.record.ExternalRef != "" {
		n++
	}
	return n
}

// AddAll adds in one transaction those candidates who are not users yet and returns the fate of each, and how many passwords
// were hashed. A candidate whose names all belong to one user is left alone, without hashing. Passwords wait their turn where
// a login would be refused, and leave one of the hasher's slots to people who log in meanwhile.
//
// The audit trail does not hear of each: whoever adds many says so once.
func (s *Store) AddAll(ctx context.Context, batch []Candidate) ([]Fate, int, error) {
	if err := s.findOwners(ctx, batch); err != nil {
		return nil, 0, fmt.Errorf("looking for users: %w", err)
	}
	hashed, err := s.hashBatch(ctx, batch)
	if err != nil {
		return nil, 0, fmt.Errorf("hashing passwords: %w", err)
	}
	var fates []Fate
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		fates = make([]Fate, 0, len(batch))
		for i := range batch {
			fate, err := s.settleCandidate(tx, &batch[i])
			if err != nil {
				return err
			}
			fates = append(fates, fate)
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("adding users: %w", err)
	}
	return fates, hashed, nil
}

func (s *Store) settleCandidate(tx storage.Tx, c *Candidate) (Fate, error) {
	if c.owner != "" {
		return Fate{UserID: c.owner}, nil
	}
	fate, err := s.fate(tx, c, nil)
	if err != nil || !fate.Added {
		return fate, err
	}
	return fate, s.users.Insert(tx, c.record)
}

// fate says what becomes of a candidate where some more names have owners.
func (s *Store) fate(tx storage.Tx, c *Candidate, more map[string]string) (Fate, error) {
	owner, err := s.ownerAmong(tx, &c.record, more)
	var clash *FieldError
	switch {
	case errors.As(err, &clash):
		return Fate{Err: err}, nil
	case err != nil:
		return Fate{}, err
	case owner != "":
		return Fate{UserID: owner}, nil
	}
	return Fate{UserID: c.record.ID, Added: true}, nil
}

// Rehearsal remembers whom earlier batches would have added. The zero value is ready.
type Rehearsal struct{ owners map[string]string }

// Rehearse returns what [Store.AddAll] would make of a batch, after those rehearsed before it, and changes and hashes nothing.
func (s *Store) Rehearse(ctx context.Context, batch []Candidate, before *Rehearsal) ([]Fate, error) {
	if before.owners == nil {
		before.owners = map[string]string{}
	}
	var fates []Fate
	err := s.db.View(ctx, func(tx storage.Tx) error {
		for i := range batch {
			fate, err := s.fate(tx, &batch[i], before.owners)
			if err != nil {
				return err
			}
			fates = append(fates, fate)
			if fate.Added {
				before.claim(&batch[i].record)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for users: %w", err)
	}
	return fates, nil
}

func (h *Rehearsal) claim(r *record) {
	for _, value := range r.unique() {
		h.owners[value] = r.ID
	}
}

// findOwners spares a repeated import the hashes of those whom it will skip.
func (s *Store) findOwners(ctx context.Context, batch []Candidate) error {
	if !slices.ContainsFunc(batch, func(c Candidate) bool { return c.password != "" }) {
		return nil
	}
	owners := make([]string, len(batch))
	err := s.db.View(ctx, func(tx storage.Tx) error {
		for i := range batch {
			if batch[i].password == "" {
				continue
			}
			var clash *FieldError // left to settleCandidate
			var err error
			if owners[i], err = s.ownerAmong(tx, &batch[i].record, nil); err != nil && !errors.As(err, &clash) {
				return err
			}
		}
		return nil
	})
	for i, owner := range owners {
		batch[i].owner = owner
	}
	return err
}

// hashBatch replaces the plain passwords of a batch by their hashes and reports how many there were.
func (s *Store) hashBatch(ctx context.Context, batch []Candidate) (int, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, s.hasher.turns.Concurrent()-1))
	hashed := 0
	for i := range batch {
		if batch[i].password == "" || batch[i].owner != "" {
			continue
		}
		hashed++
		group.Go(func() error {
			p := s.hasher.admit()
			defer p.release()
			hash, err := p.hash(ctx, batch[i].password)
			if err == nil {
				batch[i].record.Credential.Hash = hash
			}
			return err
		})
	}
	return hashed, group.Wait()
}

// unique returns the values of the unique fields of r, in the order in which they are looked up.
func (r *record) unique() []string {
	if r.ExternalRef == "" {
		return r.Logins
	}
	return append(slices.Clone(r.Logins), "\x00"+r.ExternalRef) // no login holds a control character
}

// ownerAmong returns the id of the one user to whom all unique fields of r belong, nothing if they are all free, and a
// [FieldError] if neither is the case: then r is somebody else than the user it overlaps with. Some more have ids already,
// by their unique values.
func (s *Store) ownerAmong(tx storage.Tx, r *record, more map[string]string) (string, error) {
	var owner, clash string
	values, at := r.unique(), 0
	err := s.eachHolder(tx, r, func(field, holder string) error {
		if holder == "" {
			holder = more[values[at]]
		}
		if at == 0 {
			owner = holder
		}
		if holder != owner && clash == "" {
			clash = field
		}
		at++
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case clash != "":
		return "", taken(clash)
	}
	return owner, nil
}
