// SPDX-License-Identifier: Apache-2.0

package ciba

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/authz/backchannel/endpoint"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/reading"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
)

// AttributeCode is the attribute of a user that holds the hash of their user code: Argon2id of the cost that passwords have here.
const AttributeCode = "user_code_hash"

// codes verifies user codes.
type codes Side

var _ endpoint.Codes = (*codes)(nil)

// Verify reports whether a code is the user's. A guess is counted before it is judged, by the user, or by the hint where that names
// nobody; one that comes too early is wrong, after the same work. A hash of another cost than ours would tell by the clock that there
// is such a user, and counts as none.
func (c *codes) Verify(ctx context.Context, subject string, hint reading.Hint, code string) (bool, error) {
	user, err := c.users.Get(ctx, cmp.Or(subject, "usr_nobody"))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return false, fmt.Errorf("reading a user code: %w", err)
	}
	hash := user.Attributes[AttributeCode]
	if user.Status != identity.Active || c.hasher.NeedsRehash(hash) {
		hash = ""
	}
	entry, err := c.users.Enter(ctx, identity.Guess{
		People: "user_code", Login: cmp.Or(subject, hint.Value), ClientIP: httpx.CallerOf(ctx).ClientIP,
	})
	if err != nil {
		return false, err
	}
	right, err := c.hasher.Verify(ctx, hash, code)
	if errors.Is(err, identity.ErrBusy) {
		err = fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	}
	if err != nil || entry.RetryAfter > 0 {
		return false, err
	}
	if !right {
		return false, nil
	}
	return true, c.users.Settle(ctx, entry, true)
}
