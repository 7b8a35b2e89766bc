// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/registration/metadata"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// ChallengeTTL is how long a challenge may be answered.
const ChallengeTTL = 5 * time.Minute

// Why what an instance shows is not taken.
var (
	// ErrChallenge is for a challenge that was never set, was answered before, or is over.
	ErrChallenge = errors.New("the challenge is not valid")
	// ErrEvidence is for evidence that is missing, wrong or too little; the error has the reason for the audit trail.
	ErrEvidence = errors.New("the evidence is not enough")
)

// Evidence is what an instance shows of its app and key.
type Evidence struct {
	Application, Platform string
	// Challenge is what evidence about a key is made for, and Bound what all other evidence is: see [Bound].
	Challenge, Bound []byte
	// Key is the one of the instance.
	Key crypto.PublicKey
	// Raw is an object with a "format".
	Raw []byte
}

// Judge returns the grade of evidence and, where it is less than least, the reason for the audit trail. An error says that nobody could
// judge. It is safe for concurrent use.
type Judge func(ctx context.Context, e Evidence, least string) (grade, reason string, err error)

// Attested is what an instance has shown when it registered. It belongs to its key.
type Attested struct {
	Grade string    `json:"grade,omitempty"`
	Key   string    `json:"key,omitempty"`
	At    time.Time `json:"at,omitzero"`
	// Challenge is the hash of the challenge that it has answered, which its registration spends.
	Challenge string `json:"challenge,omitempty"`
}

// Bound returns what evidence is made for that answers a challenge of an issuer: about a key by itself, as Android keys are made for it; and
// of an app for a key, by the name that [metadata.Metadata.Key] gives it.
func Bound(issuer, challenge, key string) (alone, bound [sha256.Size]byte) {
	asked := "gatehouse registration v1\n" + issuer + "\n" + challenge
	return sha256.Sum256([]byte(asked)), sha256.Sum256([]byte(asked + "\n" + key))
}

// challenge is one that was set and not answered yet.
type challenge struct {
	ID    string    `json:"id"` // [randid.Hash] of what was given out
	Until time.Time `json:"until"`
}

func challengeTable() *storage.Table[challenge] {
	return &storage.Table[challenge]{
		Name: "regchallenge", Version: 1, ID: func(c *challenge) string { return c.ID }, Expiry: func(c *challenge) time.Time { return c.Until },
	}
}

// Challenge sets a challenge, which is good for one registration within [ChallengeTTL], on every node. Whoever calls it bounds how often.
func (s *Store) Challenge(ctx context.Context) (string, error) {
	drawn := randid.Secret()
	c := challenge{ID: randid.Hash(drawn), Until: s.Grants.Now().Add(ChallengeTTL)}
	if err := s.DB.Update(ctx, func(tx storage.Tx) error { return s.challenges.Insert(tx, c) }); err != nil {
		return "", fmt.Errorf("setting a challenge: %w", err)
	}
	return drawn, nil
}

// Attest judges what an instance shows, where its application asks for it. Nothing is spent: [Store.Register] does that. [ErrChallenge] and
// [ErrEvidence] are refusals.
func (s *Store) Attest(ctx context.Context, shown *metadata.Attestation, m *metadata.Metadata) (Attested, error) {
	least := s.Reader.Asks(m.SoftwareID)
	if least == "" {
		return Attested{}, nil
	}
	if shown == nil || len(shown.Evidence) == 0 {
		return Attested{}, fmt.Errorf("%w: attestation_absent", ErrEvidence)
	}
	key, name, err := m.Key()
	if err != nil {
		return Attested{}, err
	}
	a := Attested{Key: name, At: s.Grants.Now().UTC().Truncate(time.Millisecond), Challenge: randid.Hash(shown.Challenge)}
	if err := s.DB.View(ctx, func(tx storage.Tx) error { return s.unanswered(tx, a.Challenge) }); err != nil {
		return Attested{}, fmt.Errorf("finding a challenge: %w", err)
	}
	alone, bound := Bound(s.Reader.Issuer, shown.Challenge, name)
	grade, reason, err := s.Judge(ctx, Evidence{
		Application: m.SoftwareID, Platform: shown.Platform, Challenge: alone[:], Bound: bound[:], Key: key, Raw: shown.Evidence,
	}, least)
	switch {
	case err != nil:
		return Attested{}, fmt.Errorf("judging what an instance shows: %w", err)
	case reason != "" || grade == "":
		return Attested{}, fmt.Errorf("%w: %s", ErrEvidence, cmp.Or(reason, "attestation_grade"))
	}
	a.Grade = grade
	return a, nil
}

func (s *Store) unanswered(tx storage.Tx, id string) error {
	c, found, err := s.challenges.Find(tx, id)
	if err == nil && (!found || !s.Grants.Now().Before(c.Until)) {
		err = ErrChallenge
	}
	return err
}

// answer spends the challenge of a registration: of two that answer it one wins.
func (s *Store) answer(tx storage.Tx, a *Attested) error {
	if a.Challenge == "" {
		return nil
	}
	if err := s.unanswered(tx, a.Challenge); err != nil {
		return err
	}
	return s.challenges.Delete(tx, a.Challenge)
}

// keeps refuses another key for an instance that has shown something of its own.
func (i *Instance) keeps(m *metadata.Metadata) error {
	if i.Attested.Key == "" {
		return nil
	}
	if _, name, err := m.Key(); err != nil || name != i.Attested.Key {
		return fmt.Errorf("%w: attestation_key", ErrEvidence)
	}
	return nil
}
