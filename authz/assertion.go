// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// assertion is a used client assertion: its jti counts once (OpenID Connect Core 9).
type assertion struct {
	ID        string    `json:"id"`
	ExpiresAt time.Time `json:"expires_at"`
}

func assertionTable() *storage.Table[assertion] {
	return &storage.Table[assertion]{
		Name: "assertion", Version: 1,
		ID:     func(a *assertion) string { return a.ID },
		Expiry: func(a *assertion) time.Time { return a.ExpiresAt },
	}
}

// SpendAssertion marks a client's assertion as used until it expires; false when it was used before.
func (s *Store) SpendAssertion(ctx context.Context, client, jti string, expires time.Time) (bool, error) {
	used := assertion{ID: randid.Hash(client) + "." + randid.Hash(jti), ExpiresAt: expires}
	err := s.db.Update(ctx, func(tx storage.Tx) error { return s.assertions.Insert(tx, used) })
	if errors.Is(err, storage.ErrExists) {
		return false, nil
	}
	return err == nil, err
}
