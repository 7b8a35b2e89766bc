// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/cutoff"
	"github.com/gatehouse-id/gatehouse/authz/roster"
	"github.com/gatehouse-id/gatehouse/authz/rotation"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Store is the authorization server's records over a [storage.DB]. It holds no state of its own: two stores over one
// database are the same store. Its methods are safe for concurrent use.
type Store struct {
	db  storage.DB
	now func() time.Time

	requests     *storage.Table[Request]
	sessions     *storage.Table[Session]
	authSessions *storage.Table[AuthSession]
	codes        *storage.Table[Code]
	grants       *storage.Table[Grant]
	families     *storage.Table[rotation.Family]
	consents     *storage.Table[Consent]
	assertions   *storage.Table[assertion]
	revocations  *storage.Table[Revocation]
	cutoffs      *cutoff.Book
	rosters      *storage.Table[roster.Roster]
	devices      *roster.Book
}

// NewStore returns the records kept in db. Values that hold secrets are sealed with sealer; now is the clock of every
// expiry. All three are required.
func NewStore(db storage.DB, sealer storage.Sealer, now func() time.Time) (*Store, error) {
	if db == nil || sealer == nil || now == nil {
		return nil, errors.New("building the authorization records: a store, a sealer and a clock are required")
	}
	return &Store{
		db: db, now: now,
		requests:     requestTable(),
		sessions:     sessionTable(),
		authSessions: authSessionTable(),
		codes:        codeTable(),
		grants:       grantTable(),
		families:     familyTable(sealer),
		consents:     consentTable(),
		assertions:   assertionTable(),
		revocations:  revocationTable(),
		cutoffs:      cutoff.NewBook(MaxRefreshTTL),
		rosters:      rosterTable(),
		devices:      roster.NewBook(MaxRefreshTTL),
	}, nil
}

// Within writes beside a transition, in its transaction: the audit trail. It may run several times; nil writes nothing.
type Within func(tx storage.Tx) error

// after writes when the transition has written what it had to.
func (w Within) after(tx storage.Tx, err error) error {
	if err != nil || w == nil {
		return err
	}
	return w(tx)
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables(sealer storage.Sealer) []storage.Kind {
	return append(append(cutoff.Tables(), roster.Tables()...), requestTable(), sessionTable(), authSessionTable(), codeTable(), grantTable(),
		familyTable(sealer), consentTable(), assertionTable(), revocationTable(), rosterTable())
}

// Now returns the store's time: UTC, to the millisecond, as records keep it.
func (s *Store) Now() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// Healthy returns nil when the store can be read and, as far as it can tell without being written to, accepts writes.
func (s *Store) Healthy(ctx context.Context) error {
	err := s.db.View(ctx, func(tx storage.Tx) error {
		_, _, err := s.sessions.Find(tx, "none")
		return err
	})
	if err != nil {
		return err
	}
	return storage.Health(s.db)
}
