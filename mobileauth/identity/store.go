// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity/phc"
	"github.com/gatehouse-id/gatehouse/storage"
)

// DefaultMinPassword is the default of [Config].MinPassword. NIST SP 800-63B-4 (3.1.1.2) asks for 8 beside a second
// factor and 15 alone.
const DefaultMinPassword = 8

// Sizes of a page of [Store.List].
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// Config describes a [Store]. DB, Hasher and Now are required.
type Config struct {
	DB     storage.DB
	Hasher *Hasher
	Now    func() time.Time
	// Sealer encrypts the records of users; nil leaves them readable to whoever reads the store.
	Sealer storage.Sealer
	// CounterKey returns the key of the hash under which login counters are stored, so that a copy of the store does not
	// tell what was typed into login fields. It is asked at each attempt; an error ends the attempt. All nodes of one store
	// need the same key, and with another the counters begin anew. Nil is a plain hash.
	CounterKey func() ([]byte, error)
	// Throttle slows guessing down. Zero fields take the defaults.
	Throttle Throttle
	// LockAfter locks a user after so many wrong passwords in a row, over all addresses and login names, until an
	// operator unlocks. Zero is never: it hands everybody who knows a login name the power to lock its owner out.
	LockAfter int
	// MinPassword is the least number of characters (Unicode code points) of a new password. Default: 8.
	MinPassword int
	// Searchable are the attributes by which users can be found ([Store.ByAttribute]), at most [MaxSearchable]. After a change
	// of the list [Store.Reindex] is to run.
	Searchable []string
	// Audit is told of every change of a user, in its transaction; nil tells nobody. It may write four items.
	Audit Auditor
	// OnRevoke runs in the transaction that locks, deactivates or deletes a user or replaces a password, so that what ends their
	// sessions commits with it or not at all. Being part of a transaction closure it may run several times, and it has
	// no more than 30 writes.
	OnRevoke []func(tx storage.Tx, user User) error
}

// Store keeps users. It is safe for concurrent use, holds nothing in memory between calls, and any number of stores may
// stand over one database.
type Store struct {
	db          storage.DB
	hasher      *Hasher
	clock       func() time.Time
	users       storage.Table[record]
	counterKey  func() ([]byte, error)
	throttle    Throttle
	lockAfter   int
	minPassword int
	searchable  []string
	audit       Auditor
	onRevoke    []func(storage.Tx, User) error
}

// record is a user as stored.
type record struct {
	User
	Credential *credential `json:"credential,omitempty"`
	// Found are the values under which the attribute index holds the record.
	Found []string `json:"found,omitempty"`
	// Held are the names of a deleted user, as [holds] has them.
	Held []string `json:"held,omitempty"`
}

type credential struct {
	Hash string `json:"hash"`
	// Generation tells a new password from a new hash of the same one.
	Generation int64 `json:"generation"`
}

const (
	byLogin       = "login"
	byExternalRef = "external_ref"
)

// New returns a store. It reads and writes nothing yet.
func New(c Config) (*Store, error) {
	if c.DB == nil || c.Hasher == nil || c.Now == nil {
		return nil, errors.New("creating an identity store: DB, Hasher and Now are required")
	}
	throttle, err := c.Throttle.normalize()
	if err != nil {
		return nil, fmt.Errorf("creating an identity store: %w", err)
	}
	if c.LockAfter < 0 || c.MinPassword < 0 {
		return nil, errors.New("creating an identity store: LockAfter and MinPassword must not be negative")
	}
	if err := checkSearchable(c.Searchable); err != nil {
		return nil, fmt.Errorf("creating an identity store: %w", err)
	}
	if c.MinPassword == 0 {
		c.MinPassword = DefaultMinPassword
	}
	if c.CounterKey == nil {
		c.CounterKey = func() ([]byte, error) { return nil, nil }
	}
	return &Store{
		db:          c.DB,
		hasher:      c.Hasher,
		clock:       c.Now,
		users:       userTable(c.Sealer),
		counterKey:  c.CounterKey,
		throttle:    throttle,
		lockAfter:   c.LockAfter,
		minPassword: c.MinPassword,
		searchable:  slices.Clone(c.Searchable),
		audit:       c.Audit,
		onRevoke:    slices.Clone(c.OnRevoke),
	}, nil
}

func userTable(sealer storage.Sealer) storage.Table[record] {
	return storage.Table[record]{
		Name:    "user",
		Version: 1,
		ID:      func(r *record) string { return r.ID },
		Sealer:  sealer,
		Indexes: []storage.Index[record]{
			{Name: byLogin, Unique: true, Values: func(r *record) []string { return r.Logins }},
			{Name: byExternalRef, Unique: true, Values: func(r *record) []string {
				if r.ExternalRef == "" {
					return nil
				}
				return []string{r.ExternalRef}
			}},
			{Name: byAttribute, Values: func(r *record) []string { return r.Found }},
		},
	}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables(sealer storage.Sealer) []storage.Kind {
	users := userTable(sealer)
	return []storage.Kind{&users, &counters, &searchMarks, &holds, &failureTable}
}

// now has the precision that every engine keeps.
func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Millisecond) }

// Get returns the user with the given id or storage.ErrNotFound.
func (s *Store) Get(ctx context.Context, id string) (User, error) {
	return s.view(ctx, func(tx storage.Tx) (record, error) { return s.users.Get(tx, id) })
}

// ByLogin returns the user with the given login name, in any spelling, or storage.ErrNotFound.
func (s *Store) ByLogin(ctx context.Context, login string) (User, error) {
	name, err := Canonical(login)
	if err != nil {
		return User{}, fmt.Errorf("reading user by login: %w", storage.ErrNotFound)
	}
	return s.view(ctx, func(tx storage.Tx) (record, error) { return s.users.Lookup(tx, byLogin, name) })
}

// ByExternalRef returns the user with the given external reference or storage.ErrNotFound.
func (s *Store) ByExternalRef(ctx context.Context, ref string) (User, error) {
	if ref == "" || len(ref) > MaxExternalRef {
		return User{}, fmt.Errorf("reading user by external_ref: %w", storage.ErrNotFound)
	}
	return s.view(ctx, func(tx storage.Tx) (record, error) { return s.users.Lookup(tx, byExternalRef, ref) })
}

// Active returns nil when the user may do things now, and an error that is [mobileauth.ErrInactive] when they may not: they are
// locked, deactivated, deleted or were never there. Any other error means that it could not be found out.
func (s *Store) Active(tx storage.Tx, id string) error {
	r, found, err := s.users.Find(tx, id)
	switch {
	case err != nil:
		return err
	case !found || r.Status != Active:
		return fmt.Errorf("user %q: %w", id, mobileauth.ErrInactive)
	}
	return nil
}

// Find returns a user in the caller's transaction, whatever their status. False says that there is none of the id.
func (s *Store) Find(tx storage.Tx, id string) (User, bool, error) {
	r, found, err := s.users.Find(tx, id)
	return r.User, found, err
}

func (s *Store) view(ctx context.Context, read func(storage.Tx) (record, error)) (User, error) {
	var found record
	err := s.db.View(ctx, func(tx storage.Tx) (err error) {
		found, err = read(tx)
		return err
	})
	if err != nil {
		return User{}, err
	}
	return found.User, nil
}

// List returns users in ascending order of their id, beginning after the given one: at most limit of them, which is
// [DefaultPage] when it is not positive and [MaxPage] at most. A page shorter than that is the last.
func (s *Store) List(ctx context.Context, after string, limit int) ([]User, error) {
	limit = pageSize(limit)
	var page []User
	err := s.db.View(ctx, func(tx storage.Tx) error {
		page = make([]User, 0, limit)
		for r, err := range s.users.All(tx, after, limit) {
			if err != nil {
				return err
			}
			page = append(page, r.User)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing users: %w", err)
	}
	return page, nil
}

// Add stores a new user and returns it. What breaks a rule is a [FieldError]; it wraps storage.ErrExists where another
// user holds the login name or external reference.
func (s *Store) Add(ctx context.Context, n NewUser) (User, error) {
	r, err := s.newRecord(n)
	if err != nil {
		return User{}, fmt.Errorf("adding a user: %w", err)
	}
	if n.Password != "" {
		if r.Credential.Hash, err = s.hasher.Hash(ctx, n.Password); err != nil {
			return User{}, fmt.Errorf("adding a user: %w", err)
		}
	}
	event := s.prepare(ctx, adding.of(r.ID))
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		if n.Also != nil {
			if err := n.Also(tx, r.ID); err != nil {
				return err
			}
		}
		if err := s.clash(tx, &r); err != nil {
			return err
		}
		if err := s.users.Insert(tx, r); err != nil {
			return err
		}
		return s.tell(tx, event)
	})
	if err != nil {
		return User{}, fmt.Errorf("adding a user: %w", err)
	}
	return r.User, nil
}

// newRecord checks everything that can be checked without the store and without hashing.
func (s *Store) newRecord(n NewUser) (record, error) {
	profile, err := n.normalize()
	if err != nil {
		return record{}, err
	}
	if n.Status == "" {
		n.Status = Active
	}
	if !Active.may(n.Status) {
		return record{}, invalid("status", "want active, locked or deactivated")
	}
	if err := checkReason(n.StatusReason); err != nil {
		return record{}, err
	}
	now := s.now()
	r := record{User: User{
		ID: randid.New("usr"), Profile: profile, Status: n.Status, StatusReason: n.StatusReason,
		Version: 1, CreatedAt: now, UpdatedAt: now,
	}}
	if err := s.index(&r); err != nil {
		return record{}, err
	}
	switch {
	case n.Password != "" && n.PasswordHash != "":
		return record{}, invalid("password_hash", "given beside a password")
	case n.Password != "":
		if err := s.checkPassword(n.Password); err != nil {
			return record{}, err
		}
	case n.PasswordHash != "":
		if _, err := phc.Parse(n.PasswordHash); err != nil {
			return record{}, &FieldError{Field: "password_hash", Problem: err.Error(), Err: err}
		}
	default:
		return r, nil
	}
	r.Credential, r.PasswordSetAt = &credential{Hash: n.PasswordHash, Generation: 1}, now
	return r, nil
}

// clash names the first unique field of r that another user holds.
func (s *Store) clash(tx storage.Tx, r *record) error {
	return s.eachHolder(tx, r, func(field, holder string) error {
		if holder == "" || holder == r.ID {
			return nil
		}
		return taken(field)
	})
}

func taken(field string) error {
	return &FieldError{Field: field, Problem: "belongs to another user", Err: storage.ErrExists}
}

// eachHolder visits every unique field of r with the id of the user who holds its value, deleted or not, empty for nobody.
func (s *Store) eachHolder(tx storage.Tx, r *record, visit func(field, holder string) error) error {
	look := func(index, value, field string) error {
		r, err := s.users.Lookup(tx, index, value)
		id := r.ID
		if errors.Is(err, storage.ErrNotFound) {
			id, err = holder(tx, index, value)
		}
		if err != nil {
			return err
		}
		return visit(field, id)
	}
	for i, login := range r.Logins {
		if err := look(byLogin, login, loginField(i)); err != nil {
			return err
		}
	}
	if r.ExternalRef == "" {
		return nil
	}
	return look(byExternalRef, r.ExternalRef, byExternalRef)
}
