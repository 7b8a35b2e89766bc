// SPDX-License-Identifier: Apache-2.0

package enrolment

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	// RecoveryCodes is how many codes a user gets at once.
	RecoveryCodes = 8
	recoveryBytes = 10 // 80 bits; NIST SP 800-63B-4, 4.2.1.1, wants 64
	recoveryGroup = 4
)

// recovery is what is kept of the codes of a user: that there are some, and by which hashes they are recognised.
type recovery struct {
	UserID string         `json:"user"`
	Codes  []recoveryCode `json:"codes"`
	At     time.Time      `json:"at"`
}

// recoveryCode is a plain hash of a code and its user: what is random enough needs no slow one.
type recoveryCode struct {
	Hash string    `json:"hash"`
	At   time.Time `json:"at"`
}

var base32Plain = base32.StdEncoding.WithPadding(base32.NoPadding)

func newRecoveryCode() (string, error) {
	var raw [recoveryBytes]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return "", fmt.Errorf("drawing a recovery code: %w", err)
	}
	text := base32Plain.EncodeToString(raw[:])
	var groups []string
	for ; text != ""; text = text[recoveryGroup:] {
		groups = append(groups, text[:recoveryGroup])
	}
	return strings.Join(groups, "-"), nil
}

// typedRecovery undoes what people do to a code.
var typedRecovery = strings.NewReplacer("-", "", " ", "", "0", "O", "1", "I", "8", "B")

// hashRecovery returns what a code is recognised by, or that it is none.
func hashRecovery(userID, text string) (string, bool) {
	if len(text) > 64 {
		return "", false
	}
	clean := typedRecovery.Replace(strings.ToUpper(text))
	raw, err := base32Plain.DecodeString(clean)
	if err != nil || len(raw) != recoveryBytes {
		return "", false
	}
	sum := sha256.Sum256([]byte("gatehouse recovery code v1\n" + userID + "\n" + clean))
	return base64.RawURLEncoding.EncodeToString(sum[:]), true
}

// NewRecoveryCodes draws codes for a user, who is shown them now and never again. All earlier ones are void.
func (s *Store) NewRecoveryCodes(ctx context.Context, userID string) ([]string, error) {
	texts, now := make([]string, RecoveryCodes), s.now()
	r := recovery{UserID: userID, At: now}
	for i := range texts {
		text, err := newRecoveryCode()
		if err != nil {
			return nil, err
		}
		hash, _ := hashRecovery(userID, text) // a code that was just drawn is one
		texts[i], r.Codes = text, append(r.Codes, recoveryCode{Hash: hash, At: now})
	}
	e := s.event(audit.ActorOf(ctx), audit.Event{Name: "recovery.codes", Outcome: audit.Accepted, Subject: userID})
	err := s.DB.Update(ctx, func(tx storage.Tx) error {
		if err := s.Users.Active(tx, userID); err != nil {
			return err
		}
		if err := s.recovery.Put(tx, r); err != nil {
			return err
		}
		return s.Audit.Append(tx, e)
	})
	if err != nil {
		return nil, failed("making recovery codes", err)
	}
	return texts, nil
}

// RecoveryLeft returns how many codes of a user are good, and since when there are any.
func (s *Store) RecoveryLeft(ctx context.Context, userID string) (left int, since time.Time, err error) {
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		r, _, err := s.recovery.Find(tx, userID)
		left, since = len(r.Codes), r.At
		return err
	})
	if err != nil {
		return 0, time.Time{}, failed("counting recovery codes", err)
	}
	return left, since, nil
}

// DropRecoveryCodes voids the codes of a user, in the transaction that removes the user for example.
func (s *Store) DropRecoveryCodes(tx storage.Tx, userID string) error {
	return s.recovery.Delete(tx, userID)
}

// Recovered is what came of a recovery code. It is committed.
type Recovered struct {
	// OK says that the code was good. It is used up.
	OK bool
	// Begun is the registration that it started, which is as good as proofed.
	Begun Begun
	// Replacement is a new code in the place of the used one, shown to the person now and never again (NIST SP 800-63B-4,
	// 4.2.1.1).
	Replacement string
}

// Recover starts a registration for a user who has no phone at hand and gives a recovery code. A code is good once: of two
// that use it at the same time one gets a registration. A wrong code is an outcome and noted in the audit trail; it is not counted
// against the user, since nobody guesses 80 bits and everybody could lock others out. Policies without recovery are [ErrOff].
func (s *Store) Recover(ctx context.Context, start Start, text string) (out Recovered, err error) {
	p, err := s.policy(start.Application)
	if err == nil && !p.Recovery {
		err = ErrOff
	}
	if err != nil {
		return Recovered{}, failed("recovering", err)
	}
	t, err := s.prepareRecovery(ctx, start, text)
	if err != nil {
		return Recovered{}, failed("recovering", err)
	}
	err = s.DB.Update(ctx, func(tx storage.Tx) error {
		out, err = s.recover(tx, t, p)
		return err
	})
	if err != nil {
		return Recovered{}, failed("recovering", err)
	}
	if !out.OK {
		return out, nil
	}
	s.Operations.Started(ctx, t.draft.Draft, out.Begun.Operation)
	out.Begun, err = s.invite(out.Begun, t.key)
	return out, err
}

// attempt is everything about a recovery that is drawn before the transaction.
type attempt struct {
	draft       draft
	key         string
	hash        string
	known       bool // the text could be a code
	replacement string
	fresh       recoveryCode
	good, bad   audit.Event
}

func (s *Store) prepareRecovery(ctx context.Context, start Start, text string) (t attempt, err error) {
	start.IdempotencyKey = "" // a code cannot be used twice, so its use cannot be repeated
	if t.draft, err = s.draft(ctx, start, registration{Recovery: true}); err != nil {
		return t, err
	}
	if t.key, err = s.ServerKey(); err != nil {
		return t, err
	}
	t.hash, t.known = hashRecovery(start.UserID, text)
	if t.replacement, err = newRecoveryCode(); err != nil {
		return t, err
	}
	t.fresh.At = s.now()
	t.fresh.Hash, _ = hashRecovery(start.UserID, t.replacement) // a code that was just drawn is one
	by := audit.ActorOf(ctx)
	t.good = s.event(by, audit.Event{
		Name: "recovery.used", Outcome: audit.Accepted, Subject: start.UserID, ClientID: start.ClientID, Operation: t.draft.ID(),
	})
	t.bad = s.event(by, audit.Event{
		Name: "recovery.used", Outcome: audit.Refused, Reason: ReasonRecovery, Subject: start.UserID, ClientID: start.ClientID,
	})
	return t, nil
}

func (s *Store) recover(tx storage.Tx, t attempt, p Policy) (Recovered, error) {
	userID := t.good.Subject
	r, _, err := s.recovery.Find(tx, userID)
	if err != nil {
		return Recovered{}, err
	}
	at := -1
	for i := range r.Codes { // all of them, so that the time does not tell which
		if subtle.ConstantTimeCompare([]byte(r.Codes[i].Hash), []byte(t.hash)) == 1 && t.known {
			at = i
		}
	}
	if at < 0 {
		return Recovered{}, s.Audit.Append(tx, t.bad)
	}
	r.Codes[at] = t.fresh
	if err := s.recovery.Put(tx, r); err != nil {
		return Recovered{}, err
	}
	// An error from here on is rolled back, and the code stays good.
	b, created, err := s.startTx(tx, t.draft, p)
	if err != nil {
		return Recovered{}, err
	}
	if !created {
		return Recovered{}, operation.ErrIdempotency
	}
	return Recovered{OK: true, Begun: b, Replacement: t.replacement}, s.Audit.Append(tx, t.good)
}
