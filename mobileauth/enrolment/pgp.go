// SPDX-License-Identifier: Apache-2.0

package enrolment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope/pgp"
)

// PGP makes the server's half of a registration with OpenPGP keys.
type PGP interface {
	// Pair checks the device's public key and returns the server's own private and public keys for that device, all in binary
	// form. A key that is not usable is an error that wraps [ErrInvalid].
	Pair(ctx context.Context, device []byte) (private, public []byte, err error)
}

// profile makes keys of the profile of package pgp, in this process.
type profile struct{ now func() time.Time }

// Pair makes keys of the version that the device's key has.
func (p profile) Pair(_ context.Context, device []byte) (private, public []byte, err error) {
	private, public, err = pgp.Pair(device, p.now())
	if errors.Is(err, pgp.ErrKey) {
		err = fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return private, public, err
}
