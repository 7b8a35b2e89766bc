// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/rotation"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

func familyTable(sealer storage.Sealer) *storage.Table[rotation.Family] {
	return &storage.Table[rotation.Family]{
		Name: "family", Version: 1, Sealer: sealer,
		ID:     func(f *rotation.Family) string { return f.ID },
		Expiry: func(f *rotation.Family) time.Time { return f.ExpiresAt },
	}
}

// NewFamily draws a line of refresh tokens that begins now. The store fills in its grant when the code is redeemed.
func NewFamily(now time.Time, ttl, idle time.Duration) rotation.Family {
	return rotation.Family{
		ID: randid.New("rt"), Seed: []byte(randid.Secret()), Generation: 1, RotatedAt: now,
		IdleTTL: int64(idle / time.Second), IdleExpiresAt: now.Add(idle), ExpiresAt: now.Add(ttl),
	}
}

// LooksLikeRefreshToken reports whether text has the shape of a refresh token of ours.
func LooksLikeRefreshToken(text string) bool {
	_, ok := rotation.ParseToken(text)
	return ok
}

// RefreshOutcome is how a refresh ended.
type RefreshOutcome string

// Outcomes of a refresh. All of them are committed.
const (
	Rotated         RefreshOutcome = "rotated"
	Repeated        RefreshOutcome = "repeated" // within the grace window: the same successor again
	RefreshUnknown  RefreshOutcome = "unknown"  // not ours, expired, idle too long, or another client's
	RefreshUnproven RefreshOutcome = "unproven" // bound to a key that the sender does not prove; the token is untouched
	RefreshBarred   RefreshOutcome = "barred"   // with a version of an app that is refused; the token is untouched
	RefreshExceeds  RefreshOutcome = "exceeds"  // more than the grant has; the token is untouched
	RefreshRevoked  RefreshOutcome = "revoked"  // the family or its grant has ended
	RefreshReused   RefreshOutcome = "reused"   // used before: the family and its grant are now revoked
)

// RefreshResult is a refresh's outcome. Family is set when tokens may be minted; Grant also beside a refusal, for the audit
// trail, when the token was genuine.
type RefreshResult struct {
	Outcome     RefreshOutcome
	Family      rotation.Family
	Grant       Grant
	Revocations []Revocation
}

// Renewal is a presented refresh token.
type Renewal struct {
	Token    string
	ClientID string
	Key      string // that the sender has proven to hold, if any
	// Certificate is the thumbprint of the one that the connection shows, if any.
	Certificate string
	// Scopes is what is asked for; none is everything the grant has. It must lie within the grant, which keeps its own
	// scopes whatever is asked (RFC 6749 6).
	Scopes oauth.Scopes
	// Grace is for how long after a rotation the token before the current one is answered with the current one.
	Grace time.Duration
	// Applications knows which versions of apps are refused; nil refuses none.
	Applications realm.Applications
	// Fits, when set, judges the grant beside its scopes. It may run several times.
	Fits func(grant *Grant) bool
	// Within, when set, writes in the same transaction once the outcome is known: the audit trail. It may run several
	// times.
	Within func(tx storage.Tx, result RefreshResult) error
}

// Refresh rotates a refresh token of the client: rotation, detection of reuse and the grace window are one closure
// (RFC 9700 4.14.2). The token before the current one is answered with the current one for as long as grace lasts since
// the rotation, for clients that refresh in parallel or lost the answer. Any other genuine token that was used before
// revokes the family and the grant.
func (s *Store) Refresh(ctx context.Context, in Renewal) (RefreshResult, error) {
	presented, ok := rotation.ParseToken(in.Token)
	if !ok {
		return RefreshResult{Outcome: RefreshUnknown}, nil
	}
	draft := s.newRevocation(KindGrant, "")
	var result RefreshResult
	return certain(&result, s.db.Update(ctx, func(tx storage.Tx) error {
		result = RefreshResult{}
		family, ok, err := s.families.Find(tx, presented.Family)
		if err != nil {
			return err
		}
		result.Outcome = RefreshUnknown
		if ok && family.ClientID == in.ClientID && family.Genuine(presented) {
			result.Family = family
			result.Outcome, err = s.refresh(tx, presented.Generation, in, &result, draft)
		}
		if result.Outcome != Rotated && result.Outcome != Repeated {
			result.Family = rotation.Family{} // it could mint
		}
		if err != nil || in.Within == nil {
			return err
		}
		return in.Within(tx, result)
	}))
}

func (s *Store) refresh(tx storage.Tx, generation uint64, in Renewal, result *RefreshResult, draft Revocation) (RefreshOutcome, error) {
	now, family := s.Now(), &result.Family
	if !family.RevokedAt.IsZero() {
		return RefreshRevoked, nil
	}
	if err := storage.Prefetch(tx, family.Ahead...); err != nil {
		return "", err
	}
	grant, active, err := s.activeGrant(tx, family.GrantID)
	if err != nil || !active {
		return RefreshRevoked, err
	}
	result.Grant = grant
	inGrace := generation+1 == family.Generation && now.Sub(family.RotatedAt) < in.Grace
	switch {
	case family.Key != "" && family.Key != in.Key, family.Certificate != "" && family.Certificate != in.Certificate:
		return RefreshUnproven, nil
	case generation != family.Generation && !inGrace:
		return RefreshReused, s.revokeFamily(tx, family, result, draft)
	case !now.Before(family.IdleExpiresAt):
		return RefreshUnknown, nil
	case grant.Authn.Application.Barred(in.Applications):
		return RefreshBarred, nil
	case !in.Scopes.Within(grant.Scopes) || in.Fits != nil && !in.Fits(&grant):
		return RefreshExceeds, nil
	case inGrace:
		return Repeated, nil
	}
	family.Rotate(now)
	return Rotated, s.families.Put(tx, *family)
}

func (s *Store) revokeFamily(tx storage.Tx, family *rotation.Family, result *RefreshResult, draft Revocation) error {
	family.RevokedAt = s.Now()
	if err := s.families.Put(tx, *family); err != nil {
		return err
	}
	draft.Target = family.GrantID
	ok, err := s.revokeAll(tx, draft)
	if ok {
		result.Revocations = []Revocation{draft}
	}
	return err
}

// FamilyByToken returns the family and grant of a refresh token without using it, for introspection: false when the token
// is not a current one, or is not active.
func (s *Store) FamilyByToken(ctx context.Context, token string) (family rotation.Family, grant Grant, ok bool, err error) {
	presented, parsed := rotation.ParseToken(token)
	if !parsed {
		return rotation.Family{}, Grant{}, false, nil
	}
	err = s.db.View(ctx, func(tx storage.Tx) error {
		var found bool
		if family, found, err = s.families.Find(tx, presented.Family); err != nil || !found {
			return err
		}
		live := family.RevokedAt.IsZero() && s.Now().Before(family.IdleExpiresAt) &&
			presented.Generation == family.Generation && family.Genuine(presented)
		if live {
			grant, ok, err = s.activeGrant(tx, family.GrantID)
		}
		return err
	})
	if err != nil || !ok {
		return rotation.Family{}, Grant{}, false, err
	}
	return family, grant, true, nil
}

// RevokeRefreshToken ends the grant of a refresh token of the client (RFC 7009 2.1). An unknown token, or one of another
// client, is no error and revokes nothing.
func (s *Store) RevokeRefreshToken(ctx context.Context, token, clientID string) ([]Revocation, error) {
	presented, ok := rotation.ParseToken(token)
	if !ok {
		return nil, nil
	}
	draft := s.newRevocation(KindGrant, "")
	var result RefreshResult
	err := s.db.Update(ctx, func(tx storage.Tx) error {
		result = RefreshResult{}
		family, ok, err := s.families.Find(tx, presented.Family)
		if err != nil || !ok || family.ClientID != clientID || !family.Genuine(presented) || !family.RevokedAt.IsZero() {
			return err
		}
		return s.revokeFamily(tx, &family, &result, draft)
	})
	return certain(&result.Revocations, err)
}
