// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/registration/metadata"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Times after which an instance that nobody uses is forgotten. The least is longer than any access token lives, so that no token
// outlives its client.
const (
	DefaultUnused = 90 * 24 * time.Hour
	MinUnused     = 2 * authz.MaxAccessTTL
	// Trial is how long an instance has to authenticate for the first time: whoever only registers is forgotten soon.
	Trial = 24 * time.Hour
)

// Config describes a [Store]. All fields are required but Unused, and Judge where no application
// asks for evidence.
type Config struct {
	DB storage.DB
	// Grants keeps what instances were issued.
	Grants *authz.Store
	Reader *metadata.Reader
	Trail  *audit.Trail
	// Revoke is told of the revocations that are made.
	Revoke func(...authz.Revocation)
	// Unused is after how long an instance that nobody uses is forgotten. Default: [DefaultUnused].
	Unused time.Duration
	// Judge judges what instances show.
	Judge Judge
}

// Store keeps the instances. Two stores over one database are the same store. Its methods are safe for concurrent use.
type Store struct {
	Config
	instances *storage.Table[Instance]
	initials  *storage.Table[InitialToken]

	challenges *storage.Table[challenge]
}

var _ authz.Registered = (*Store)(nil)

// NewStore returns a store, or an error when something is missing.
func NewStore(c Config) (*Store, error) {
	if c.DB == nil || c.Grants == nil || c.Reader == nil || c.Trail == nil || c.Revoke == nil {
		return nil, errors.New("building the records of instances: store, grants, reader, trail and revocations are required")
	}
	if c.Reader.AsksAny() && c.Judge == nil {
		return nil, errors.New("building the records of instances: an application asks for evidence, and nobody judges it")
	}
	if c.Unused == 0 {
		c.Unused = DefaultUnused
	}
	if c.Unused < MinUnused {
		return nil, fmt.Errorf("building the records of instances: one that is unused is forgotten after %s at least", MinUnused)
	}
	return &Store{Config: c, instances: instanceTable(), initials: initialTable(), challenges: challengeTable()}, nil
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables() []storage.Kind {
	return []storage.Kind{instanceTable(), initialTable(), challengeTable()}
}

// recorded runs a transition and stores an event in the same transaction.
func (s *Store) recorded(ctx context.Context, e audit.Event, transition func(tx storage.Tx) error) error {
	e.Outcome = audit.Accepted
	e = s.Trail.Prepare(e.From(ctx))
	err := s.DB.Update(ctx, func(tx storage.Tx) error {
		if err := transition(tx); err != nil {
			return err
		}
		return s.Trail.Append(tx, e)
	})
	if err == nil {
		s.Trail.Log(ctx, e)
	}
	return err
}

// Admission is why somebody may register.
type Admission struct {
	// Initial is the initial access token as it came; empty where there is none.
	Initial string
	// Authority is the issuer of the software statement; empty where there is none.
	Authority string
	ClientIP  string
	// Attested is what [Store.Attest] has returned.
	Attested Attested
}

// reason says it for operators.
func (a *Admission) reason(initial string) string {
	switch {
	case initial != "" && a.Authority != "":
		return "token and statement"
	case initial != "":
		return "token"
	case a.Authority != "":
		return "statement"
	}
	return "anyone"
}

// Register registers an instance, spends one use of its initial access token in the same transaction, and returns it with its
// registration access token. [ErrToken] means that there was no use left, or no token any more: of two that spend the last use one
// wins. [ErrChallenge] means the same of the challenge that it has answered.
func (s *Store) Register(ctx context.Context, m metadata.Metadata, a Admission) (i Instance, token string, err error) {
	handle, _ := randid.ParseHandle(tokenPrefix, a.Initial)
	token, now := randid.Secret(), s.Grants.Now()
	i = Instance{
		ID: newID(), Metadata: m, TokenHash: randid.Hash(token), InitialToken: handle.ID, Authority: a.Authority, ClientIP: a.ClientIP,
		Attested:  a.Attested,
		CreatedAt: now, ExpiresAt: now.Add(Trial),
	}
	event := audit.Event{Name: "client.register", ClientID: i.ID, Object: "application:" + i.Application(), Reason: a.reason(handle.ID)}
	err = s.recorded(ctx, event, func(tx storage.Tx) error {
		if a.Initial != "" {
			if err := s.spend(tx, handle, i.Application()); err != nil {
				return err
			}
		}
		if err := s.answer(tx, &a.Attested); err != nil {
			return err
		}
		return s.instances.Insert(tx, i)
	})
	if err != nil {
		return Instance{}, "", fmt.Errorf("registering an instance: %w", err)
	}
	return i, token, nil
}

// spend takes one use of an initial access token.
func (s *Store) spend(tx storage.Tx, handle randid.Handle, application string) error {
	t, err := s.initial(tx, handle)
	switch {
	case err != nil:
		return err
	case t.Application != application:
		return ErrToken
	}
	t.Used++
	return s.initials.Put(tx, t)
}

// Open returns the instance that a registration access token is for, or [ErrToken]: for an unknown instance as for a wrong token.
func (s *Store) Open(ctx context.Context, id, token string) (i Instance, err error) {
	err = s.DB.View(ctx, func(tx storage.Tx) (err error) {
		i, err = s.opened(tx, id, token)
		return err
	})
	if err != nil {
		return Instance{}, fmt.Errorf("opening a registration: %w", err)
	}
	return i, nil
}

func (s *Store) opened(tx storage.Tx, id, token string) (Instance, error) {
	i, ok, err := s.instances.Find(tx, id)
	switch {
	case err != nil:
		return i, err
	case !i.opens(token) || !ok:
		return Instance{}, ErrToken
	}
	return i, nil
}

// Update replaces what is registered of an instance, and its registration access token by the one returned (RFC 7592 2.2). Whoever comes
// with the token from before, after another update or after the instance was deleted, gets [ErrToken]. An instance
// that has shown something of its key keeps that key: another one is [ErrEvidence].
func (s *Store) Update(ctx context.Context, id, token string, m metadata.Metadata) (i Instance, next string, err error) {
	next = randid.Secret()
	now, hash := s.Grants.Now(), randid.Hash(next)
	event := audit.Event{Name: "client.update", ClientID: id, Object: "application:" + m.SoftwareID}
	err = s.recorded(ctx, event, func(tx storage.Tx) (err error) {
		if i, err = s.opened(tx, id, token); err != nil {
			return err
		}
		if i.Application() != m.SoftwareID {
			return ErrToken // an instance does not become one of another application
		}
		if err := i.keeps(&m); err != nil {
			return err
		}
		before := i
		i.Metadata, i.TokenHash, i.UpdatedAt = m, hash, now
		return s.instances.Replace(tx, &before, i)
	})
	if err != nil {
		return Instance{}, "", fmt.Errorf("updating an instance: %w", err)
	}
	return i, next, nil
}

// Delete takes an instance out that shows its registration access token (RFC 7592 2.3): everything it was issued is dead. Of two
// deletions one wins, the other gets [ErrToken].
func (s *Store) Delete(ctx context.Context, id, token string) error {
	return s.delete(ctx, id, "itself", func(tx storage.Tx) error {
		_, err := s.opened(tx, id, token)
		return err
	})
}

// Remove is Delete for the operator. An instance that is not there is [storage.ErrNotFound].
func (s *Store) Remove(ctx context.Context, id string) error {
	return s.delete(ctx, id, "operator", func(tx storage.Tx) error {
		_, err := s.instances.Get(tx, id)
		return err
	})
}

func (s *Store) delete(ctx context.Context, id, by string, found func(tx storage.Tx) error) error {
	var made authz.Revocation
	err := s.recorded(ctx, audit.Event{Name: "client.delete", ClientID: id, Reason: by}, func(tx storage.Tx) (err error) {
		if err := found(tx); err != nil {
			return err
		}
		if err := s.instances.Delete(tx, id); err != nil {
			return err
		}
		made, err = s.Grants.RevokeClient(tx, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("deleting an instance: %w", err)
	}
	s.Revoke(made)
	return nil
}

// Client returns the client that an instance is, within what its application may have by now. One that is not there, or whose
// application is not, is [storage.ErrNotFound].
func (s *Store) Client(ctx context.Context, id string) (*authz.Client, error) {
	i, err := s.Instance(ctx, id)
	if err != nil {
		return nil, err
	}
	c, ok, err := s.Reader.Client(id, &i.Metadata)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("finding the application of an instance: %w", storage.ErrNotFound)
	}
	c.Attestation = i.Attested.Grade
	return &c, nil
}

// Used notes that an instance has authenticated. It writes seldom: once in a tenth of the time after which an unused one is forgotten,
// and no more than once a day.
func (s *Store) Used(ctx context.Context, id string) error {
	now := s.Grants.Now()
	i, err := s.Instance(ctx, id)
	if err != nil || now.Sub(i.UsedAt) < min(s.Unused/10, 24*time.Hour) {
		return err
	}
	err = s.DB.Update(ctx, func(tx storage.Tx) error {
		i, err := s.instances.Get(tx, id)
		if err != nil {
			return err
		}
		before := i
		i.UsedAt, i.ExpiresAt = now, now.Add(s.Unused)
		return s.instances.Replace(tx, &before, i)
	})
	if err != nil {
		return fmt.Errorf("noting the use of an instance: %w", err)
	}
	return nil
}

// Instance returns an instance or [storage.ErrNotFound].
func (s *Store) Instance(ctx context.Context, id string) (i Instance, err error) {
	err = s.DB.View(ctx, func(tx storage.Tx) (err error) {
		i, err = s.instances.Get(tx, id)
		return err
	})
	if err != nil {
		return Instance{}, fmt.Errorf("finding an instance: %w", err)
	}
	return i, nil
}

// Query says which instances are wanted. Empty text and zero ask for all.
type Query struct {
	Application string
	// InitialToken is the id of the token that admitted them. It goes before Application.
	InitialToken string
	After        string
	Limit        int
}

// List returns instances in the order of their ids.
func (s *Store) List(ctx context.Context, q Query) (found []Instance, err error) {
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		found = nil
		rows := s.instances.All(tx, q.After, q.Limit)
		switch {
		case q.InitialToken != "":
			rows = s.instances.List(tx, byToken, q.InitialToken, q.After, q.Limit)
		case q.Application != "":
			rows = s.instances.List(tx, byApplication, q.Application, q.After, q.Limit)
		}
		for i, err := range rows {
			if err != nil {
				return err
			}
			found = append(found, i)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing instances: %w", err)
	}
	return found, nil
}
