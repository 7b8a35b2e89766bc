// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/client"
	"github.com/gatehouse-id/gatehouse/authz/cutoff"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Kind is what a revocation is about.
type Kind string

// Kinds of revocation.
const (
	KindToken   Kind = "token"   // one access token, by jti
	KindGrant   Kind = "grant"   // everything issued under a grant
	KindSession Kind = "session" // everything that rests on a browser session
	KindSubject Kind = "subject" // everything a user was issued up to a moment
	KindClient  Kind = "client"  // everything a client was issued up to a moment
	KindDevice  Kind = "device"  // everything that rests on proofs which a device gave up to a moment
)

const (
	// RevocationTTL is how long a revocation stays in the log that gates read: longer than any access token lives.
	RevocationTTL = 25 * time.Hour
	// MaxAccessTTL is the longest lifetime an access token may be configured with, and MaxRefreshTTL that of a refresh family.
	MaxAccessTTL, MaxRefreshTTL = client.MaxAccessTTL, client.MaxRefreshTTL
)

// Revocation says that tokens are dead before their time. The log of revocations is ordered by time, so that every node
// can read what is new; what one revocation covers is decided by the gate's view.
type Revocation struct {
	ID        string    `json:"id"`
	Kind      Kind      `json:"kind"`
	Target    string    `json:"target"`
	At        time.Time `json:"at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// RevocationTable is where the log of revocations is, for those who watch it.
const RevocationTable = "revocation"

func revocationTable() *storage.Table[Revocation] {
	return &storage.Table[Revocation]{
		Name: RevocationTable, Version: 1,
		ID:     func(r *Revocation) string { return r.ID },
		Expiry: func(r *Revocation) time.Time { return r.ExpiresAt },
	}
}

// kindLogin is the kind of a cut-off for sessions that are about to be opened. It is in no log: nothing was issued yet.
const kindLogin Kind = "login"

// Moment is a point in time: by the clock, and by how many cut-offs had been made.
type Moment = cutoff.Moment

// Moment returns the present moment. Whoever checks a user takes it before the check, and what rests on the check counts
// from then: a revocation that commits while the check goes on ends it.
func (s *Store) Moment(ctx context.Context) (Moment, error) {
	var moment Moment
	return certain(&moment, s.db.View(ctx, func(tx storage.Tx) (err error) {
		moment, err = s.cutoffs.Moment(tx, s.Now())
		return err
	}))
}

// newRevocation draws the id of a revocation. It is called outside closures, which must not draw anything.
func (s *Store) newRevocation(kind Kind, target string) Revocation {
	return s.named(randid.New("rev"), kind, target)
}

// named drafts a revocation whose id has a given end.
func (s *Store) named(end string, kind Kind, target string) Revocation {
	now := s.Now()
	return Revocation{ID: revocationID(now) + end, Kind: kind, Target: target, At: now, ExpiresAt: now.Add(RevocationTTL)}
}

// revocationID is the sortable beginning of a revocation's id.
func revocationID(t time.Time) string { return fmt.Sprintf("%013d.", t.UnixMilli()) }

// revoking runs a transition that may make the drafted revocation. It returns the revocation when it was made.
func (s *Store) revoking(ctx context.Context, draft *Revocation, transition func(tx storage.Tx) (made bool, err error)) ([]Revocation, error) {
	var made bool
	err := s.db.Update(ctx, func(tx storage.Tx) (err error) {
		made, err = transition(tx)
		return err
	})
	if err != nil || !made {
		return nil, err
	}
	return []Revocation{*draft}, nil
}

// revoke writes both forms of a revocation.
func (s *Store) revoke(tx storage.Tx, r Revocation) error {
	if err := s.revocations.Put(tx, r); err != nil {
		return err
	}
	if r.Kind == KindToken || r.Kind == KindGrant {
		return nil // nothing else is issued for a token, and a grant says by itself that it has ended
	}
	if r.Kind == KindSession {
		return s.cutoffs.End(tx, string(r.Kind), r.Target, r.At)
	}
	return s.cutoffs.Cut(tx, string(r.Kind), r.Target, r.At)
}

func (s *Store) cutOff(tx storage.Tx, kind Kind, target string, issued Moment) (bool, error) {
	return s.cutoffs.Dead(tx, string(kind), target, issued)
}

// CancelLogins keeps every login of a user that has begun from opening a session. Whoever ends all sessions of a user calls
// it before he looks which there are, so that none is opened behind his back.
func (s *Store) CancelLogins(ctx context.Context, subject string) error {
	now := s.Now()
	return s.db.Update(ctx, func(tx storage.Tx) error { return s.cutoffs.Cut(tx, string(kindLogin), subject, now) })
}

// Revoke records that a token is dead, or whatever a user or a client was issued until now. Grants and sessions are records
// and are ended by [Store.RevokeGrant] and [Store.EndSession]; asking for them here is an error.
func (s *Store) Revoke(ctx context.Context, kind Kind, target string) (Revocation, error) {
	if target == "" || kind != KindToken && kind != KindSubject && kind != KindClient {
		return Revocation{}, fmt.Errorf("revoking %s %q: no such target", kind, target)
	}
	r := s.newRevocation(kind, target)
	if err := s.db.Update(ctx, func(tx storage.Tx) error { return s.revoke(tx, r) }); err != nil {
		return Revocation{}, err
	}
	return r, nil
}

// RevokeSubject writes, in the caller's transaction, that everything the user was issued until now is dead. It is the hook
// that the identity store runs when a user is locked, deactivated or given a new password. The log id is derived from the
// user, so that a closure that runs twice writes one entry.
func (s *Store) RevokeSubject(tx storage.Tx, subject string) error {
	return s.revoke(tx, s.named(subject, KindSubject, subject))
}

// RevokeClient is [Store.RevokeSubject] for a client that is taken out. It returns the revocation, to be applied after the commit.
func (s *Store) RevokeClient(tx storage.Tx, id string) (Revocation, error) {
	r := s.named(id, KindClient, id)
	return r, s.revoke(tx, r)
}

// RevokeDevice writes, in the caller's transaction, that everything which rests on proofs of the device up to now is dead: sessions,
// grants, refresh families and access tokens. It is the hook that the store of devices runs when one is taken out, with a log id as
// [Store.RevokeSubject] has it. It makes three writes.
func (s *Store) RevokeDevice(tx storage.Tx, device string) error {
	return s.revoke(tx, s.named(device, KindDevice, device))
}

// deviceOut reports whether one of the proofs was given by a device that was revoked afterwards.
func (s *Store) deviceOut(tx storage.Tx, proofs realm.Proofs) (bool, error) {
	for _, p := range proofs {
		if p.Device == "" {
			continue
		}
		if cut, err := s.cutOff(tx, KindDevice, p.Device, Moment{At: p.Time, Cutoffs: p.Cutoffs}); cut || err != nil {
			return cut, err
		}
	}
	return false, nil
}

// RevocationsSince returns the log from a moment on. A reader asks again from a little before the newest entry it has
// seen, because transactions do not commit in the order of their clocks.
func (s *Store) RevocationsSince(ctx context.Context, since time.Time) ([]Revocation, error) {
	after := ""
	if !since.IsZero() {
		after = revocationID(since)
	}
	var all []Revocation
	return certain(&all, s.db.View(ctx, func(tx storage.Tx) error {
		all = nil
		for r, err := range s.revocations.All(tx, after, 0) {
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		return nil
	}))
}
