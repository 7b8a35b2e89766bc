// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"errors"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Hint is what an ID token of ours says when an application hands it back as a hint (id_token_hint): whom it was issued
// about, to which client and in which session. It may have expired.
type Hint struct {
	Subject   string
	ClientID  string
	SessionID string
	IssuedAt  time.Time
}

// Gone reports whether an error means that a record is not there.
func Gone(err error) bool { return errors.Is(err, storage.ErrNotFound) }
