// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/rotation"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Grant is what a user allowed a client. Every token of the code flow names one; it is what a person sees and revokes.
type Grant struct {
	ID       string `json:"id"`
	ClientID string `json:"client_id"`
	Subject  string `json:"sub"`
	// SessionID is the browser session the grant came from.
	SessionID string `json:"sid,omitempty"`
	// AuthSessionID is the auth session that was handed out with the grant's tokens; it is taken back with them.
	AuthSessionID string `json:"auth_session,omitempty"`
	// Offline grants (offline_access) outlive a logout of the session (OpenID Connect Core 11).
	Offline   bool                 `json:"offline,omitempty"`
	Scopes    oauth.Scopes         `json:"scopes,omitempty"`
	Details   oauth.Details        `json:"authorization_details,omitempty"`
	Authn     realm.Authentication `json:"authn"`
	CreatedAt time.Time            `json:"created_at"`
	ExpiresAt time.Time            `json:"expires_at"`
	RevokedAt time.Time            `json:"revoked_at,omitzero"`
	// Cutoffs is how many cut-offs had been made when the grant was. The store fills it in.
	Cutoffs uint64 `json:"cutoffs,omitempty"`
}

// NewGrant draws a grant that begins now. Its lifetime has to cover that of every token issued under it.
func NewGrant(now time.Time, ttl time.Duration) Grant {
	return Grant{ID: randid.New("grt"), CreatedAt: now, ExpiresAt: now.Add(ttl)}
}

func grantTable() *storage.Table[Grant] {
	return &storage.Table[Grant]{
		Name: "grant", Version: 1,
		ID:      func(g *Grant) string { return g.ID },
		Expiry:  func(g *Grant) time.Time { return g.ExpiresAt },
		Indexes: []storage.Index[Grant]{{Name: "subject", Values: func(g *Grant) []string { return []string{g.Subject} }}},
	}
}

// insertGrant inserts a grant that begins now, and reports whether another one of the user had to give way.
func (s *Store) insertGrant(tx storage.Tx, g Grant, draft *Revocation) (full bool, err error) {
	now, err := s.cutoffs.Moment(tx, s.Now())
	if err != nil {
		return false, err
	}
	g.Cutoffs = now.Cutoffs
	if err := errors.Join(s.grants.Insert(tx, g), s.devices.Meet(tx, g.Subject, g.Authn.Devices, s.Now())); err != nil {
		return false, err
	}
	return s.enlist(tx, g, draft)
}

// insertFamily inserts the refresh tokens that come with a grant; nil is none.
func (s *Store) insertFamily(tx storage.Tx, family *rotation.Family, g *Grant) error {
	if family == nil {
		return nil
	}
	line := *family
	line.GrantID, line.ClientID, line.Ahead = g.ID, g.ClientID, append(s.rests(g), s.grants.Key(g.ID))
	return s.families.Insert(tx, line)
}

// rests returns where it stands that something has ended on which a grant rests. Mostly nothing has.
func (s *Store) rests(g *Grant) []string {
	keys := []string{s.cutoffs.Key(string(KindSubject), g.Subject), s.cutoffs.Key(string(KindClient), g.ClientID)}
	for _, device := range g.Authn.Devices {
		keys = append(keys, s.cutoffs.Key(string(KindDevice), device))
	}
	if !g.Offline && g.SessionID != "" {
		keys = append(keys, s.cutoffs.Key(string(KindSession), g.SessionID))
	}
	return keys
}

// active is the one judgement of a grant: it is what refresh asks, and it agrees with the view that gates, introspection
// and userinfo ask, since both are written by the same transitions.
func (s *Store) active(tx storage.Tx, g *Grant) (bool, error) {
	if !g.RevokedAt.IsZero() {
		return false, nil
	}
	storage.Presume(tx, s.rests(g)...)
	issued := Moment{At: g.CreatedAt, Cutoffs: g.Cutoffs}
	for kind, target := range map[Kind]string{KindSubject: g.Subject, KindClient: g.ClientID} {
		if cut, err := s.cutOff(tx, kind, target, issued); cut || err != nil {
			return false, err
		}
	}
	for _, device := range g.Authn.Devices {
		if cut, err := s.cutOff(tx, KindDevice, device, issued); cut || err != nil {
			return false, err
		}
	}
	if g.Offline || g.SessionID == "" {
		return true, nil
	}
	// A session does not begin again: whatever rests on it is dead once it has ended, whenever it was issued.
	ended, err := s.cutoffs.Ended(tx, string(KindSession), g.SessionID)
	return !ended && err == nil, err
}

// activeGrant returns a grant and whether it is there and active.
func (s *Store) activeGrant(tx storage.Tx, id string) (Grant, bool, error) {
	g, ok, err := s.grants.Find(tx, id)
	if err != nil || !ok {
		return Grant{}, false, err
	}
	ok, err = s.active(tx, &g)
	return g, ok, err
}

// revokeGrant ends a grant; false when it was already over.
func (s *Store) revokeGrant(tx storage.Tx, revocation Revocation) (bool, error) {
	g, ok, err := s.grants.Find(tx, revocation.Target)
	if err != nil || !ok || !g.RevokedAt.IsZero() {
		return false, err
	}
	g.RevokedAt = s.Now()
	if err := s.grants.Put(tx, g); err != nil {
		return false, err
	}
	return true, s.revoke(tx, revocation)
}

// revokeAll also ends the auth session that came with the grant's tokens; a grant that only makes room leaves it.
func (s *Store) revokeAll(tx storage.Tx, revocation Revocation) (bool, error) {
	g, ok, err := s.grants.Find(tx, revocation.Target)
	if err == nil && ok && g.AuthSessionID != "" {
		err = s.endAuthSession(tx, g.AuthSessionID)
	}
	if err != nil {
		return false, err
	}
	return s.revokeGrant(tx, revocation)
}

// RevokeGrant ends a grant of the given user ("" is any user's): its access and refresh tokens are dead. An unknown grant,
// or one of somebody else, is [storage.ErrNotFound].
func (s *Store) RevokeGrant(ctx context.Context, id, subject string) ([]Revocation, error) {
	draft := s.newRevocation(KindGrant, id)
	return s.revoking(ctx, &draft, func(tx storage.Tx) (bool, error) {
		g, err := s.grants.Get(tx, id)
		if err == nil && subject != "" && g.Subject != subject {
			err = storage.ErrNotFound
		}
		if err != nil {
			return false, err
		}
		return s.revokeAll(tx, draft)
	})
}

// GrantsOf returns the active grants of a user.
func (s *Store) GrantsOf(ctx context.Context, subject string) ([]Grant, error) {
	var grants []Grant
	return certain(&grants, s.db.View(ctx, func(tx storage.Tx) error {
		grants = nil
		for g, err := range s.grants.List(tx, "subject", subject, "", 0) {
			if err != nil {
				return err
			}
			ok, err := s.active(tx, &g)
			if err != nil {
				return err
			}
			if ok {
				grants = append(grants, g)
			}
		}
		return nil
	}))
}

// Grant returns an active grant or [storage.ErrNotFound].
func (s *Store) Grant(ctx context.Context, id string) (Grant, error) {
	var grant Grant
	return certain(&grant, s.db.View(ctx, func(tx storage.Tx) error {
		found, ok, err := s.activeGrant(tx, id)
		if err == nil && !ok {
			return storage.ErrNotFound
		}
		grant = found
		return err
	}))
}

// certain returns what a transition made of result, or nothing beside an error: what a closure found before the commit
// failed did not happen.
func certain[T any](result *T, err error) (T, error) {
	if err != nil {
		var nothing T
		return nothing, err
	}
	return *result, nil
}

// Bestowal is a grant that rests on a proof alone: whoever gave it used no browser, and no session is left behind.
type Bestowal struct {
	Grant Grant
	Proof realm.Proof
	// Family is inserted where the client may refresh; its grant and its client are filled in.
	Family *rotation.Family
	// Spend uses up, in the same transaction, what the grant is made for. Its error makes none. It may run several times.
	Spend func(tx storage.Tx) error
}

// Bestow inserts a grant. [ErrOvertaken] means that the user, the client or the device was revoked after the proof was given. Where
// the client holds [MaxGrants] of the user already, one of those is ended, and the revocation returned.
func (s *Store) Bestow(ctx context.Context, b Bestowal) ([]Revocation, error) {
	draft := s.newRevocation(KindGrant, "")
	rests := map[Kind]string{KindSubject: b.Grant.Subject, KindClient: b.Grant.ClientID, KindDevice: b.Proof.Device}
	return s.revoking(ctx, &draft, func(tx storage.Tx) (bool, error) {
		if err := b.Spend(tx); err != nil {
			return false, err
		}
		for kind, target := range rests {
			if out, err := s.cutOff(tx, kind, target, Moment{At: b.Proof.Time, Cutoffs: b.Proof.Cutoffs}); out || err != nil {
				return false, cmp.Or(err, ErrOvertaken)
			}
		}
		if err := s.insertFamily(tx, b.Family, &b.Grant); err != nil {
			return false, err
		}
		return s.insertGrant(tx, b.Grant, &draft)
	})
}
