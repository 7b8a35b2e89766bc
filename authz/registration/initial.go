// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Limits of an initial access token.
const (
	MaxUses     = 1_000_000
	MaxTokenTTL = 366 * 24 * time.Hour
	MaxNote     = 200 // bytes in a note
)

// tokenPrefix begins the id of an initial access token.
const tokenPrefix = "iat"

// InitialToken is an initial access token (RFC 7591 1.2): whoever has it may register so many instances of one application, for a
// while. Of the token itself only the hash is kept.
type InitialToken struct {
	ID          string `json:"id"`
	Hash        string `json:"hash"`
	Application string `json:"application"`
	// Note is what the operator has written on it.
	Note      string    `json:"note,omitempty"`
	Uses      int       `json:"uses"` // how many instances it may register
	Used      int       `json:"used"` // how many it has
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

func initialTable() *storage.Table[InitialToken] {
	return &storage.Table[InitialToken]{
		Name: "initial_token", Version: 1,
		ID:      func(t *InitialToken) string { return t.ID },
		Expiry:  func(t *InitialToken) time.Time { return t.ExpiresAt },
		Indexes: []storage.Index[InitialToken]{{Name: byApplication, Values: func(t *InitialToken) []string { return []string{t.Application} }}},
	}
}

// Errors of registrations.
var (
	// ErrToken is returned for an initial access token, or a registration access token, that is not good, whatever is wrong with it.
	ErrToken = errors.New("the token is not good")
	// ErrSpent is an ErrToken: the token was good and has registered all that it may.
	ErrSpent = fmt.Errorf("its uses are spent: %w", ErrToken)
	// ErrOrder is returned for a token that must not be issued.
	ErrOrder = errors.New("no such token can be issued")
)

// Order says what initial access token is to be issued.
type Order struct {
	Application string
	Note        string
	Uses        int
	TTL         time.Duration
}

func (s *Store) checkOrder(o Order) error {
	switch {
	case !s.Reader.Knows(o.Application):
		return fmt.Errorf("%w: %q is no application whose instances may register", ErrOrder, o.Application)
	case o.Uses < 1 || o.Uses > MaxUses:
		return fmt.Errorf("%w: it registers 1 to %d instances", ErrOrder, MaxUses)
	case o.TTL < time.Second || o.TTL > MaxTokenTTL:
		return fmt.Errorf("%w: it lives from a second to %s", ErrOrder, MaxTokenTTL)
	case len(o.Note) > MaxNote:
		return fmt.Errorf("%w: the note has more than %d bytes", ErrOrder, MaxNote)
	}
	return nil
}

// Issue issues an initial access token. Its value is returned this once.
func (s *Store) Issue(ctx context.Context, o Order) (t InitialToken, value string, err error) {
	if err := s.checkOrder(o); err != nil {
		return t, "", err
	}
	handle, now := randid.NewHandle(tokenPrefix), s.Grants.Now()
	t = InitialToken{
		ID: handle.ID, Hash: handle.Hash(), Application: o.Application, Note: o.Note, Uses: o.Uses, CreatedAt: now, ExpiresAt: now.Add(o.TTL),
	}
	err = s.recorded(ctx, audit.Event{Name: "client_token.issue", Object: "initial_token:" + t.ID, Reason: "application:" + t.Application},
		func(tx storage.Tx) error { return s.initials.Insert(tx, t) })
	if err != nil {
		return InitialToken{}, "", fmt.Errorf("issuing an initial access token: %w", err)
	}
	return t, handle.String(), nil
}

// Withdraw ends an initial access token: it registers nobody any more. Those it has registered stay. One that is not there is
// [storage.ErrNotFound].
func (s *Store) Withdraw(ctx context.Context, id string) error {
	err := s.recorded(ctx, audit.Event{Name: "client_token.revoke", Object: "initial_token:" + id}, func(tx storage.Tx) error {
		if _, err := s.initials.Get(tx, id); err != nil {
			return err
		}
		return s.initials.Delete(tx, id)
	})
	if err != nil {
		return fmt.Errorf("revoking an initial access token: %w", err)
	}
	return nil
}

// InitialTokens returns those that are live, in the order of their ids from one on, at most limit of them.
func (s *Store) InitialTokens(ctx context.Context, after string, limit int) (tokens []InitialToken, err error) {
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		tokens = nil
		for t, err := range s.initials.All(tx, after, limit) {
			if err != nil {
				return err
			}
			tokens = append(tokens, t)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the initial access tokens: %w", err)
	}
	return tokens, nil
}

// Initial returns what a presented initial access token is, or [ErrToken]. It spends nothing.
func (s *Store) Initial(ctx context.Context, value string) (t InitialToken, err error) {
	handle, _ := randid.ParseHandle(tokenPrefix, value)
	err = s.DB.View(ctx, func(tx storage.Tx) (err error) {
		t, err = s.initial(tx, handle)
		return err
	})
	if err != nil {
		return InitialToken{}, fmt.Errorf("reading an initial access token: %w", err)
	}
	return t, nil
}

// initial finds a token by its handle. Unknown and wrong take the same.
func (s *Store) initial(tx storage.Tx, handle randid.Handle) (InitialToken, error) {
	t, ok, err := s.initials.Find(tx, handle.ID)
	switch {
	case err != nil:
		return t, err
	case !handle.Opens(t.Hash) || !ok:
		return InitialToken{}, ErrToken
	case t.Used >= t.Uses:
		return t, ErrSpent
	}
	return t, nil
}
