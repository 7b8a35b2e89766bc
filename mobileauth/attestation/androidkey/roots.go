// SPDX-License-Identifier: Apache-2.0

package androidkey

import (
	"crypto/x509"
	_ "embed"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
)

//go:embed google.pem
var google []byte

// Google returns the roots that Google publishes for phones (https://android.googleapis.com/attestation/root): the RSA key of all
// phones until 2026 and the P-384 key of those that are provisioned since.
func Google() ([]*x509.Certificate, error) { return attestation.Certificates(google) }
