// SPDX-License-Identifier: Apache-2.0

package provision

import (
	"context"
	"crypto/x509"
	"errors"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

// nobody is the authority of a configuration that issues nothing.
type nobody struct{}

// Issue refuses.
func (nobody) Issue(context.Context, provisioning.Order) ([]*x509.Certificate, error) {
	return nil, errors.New("mode none issues no certificates")
}
