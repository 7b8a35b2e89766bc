// SPDX-License-Identifier: Apache-2.0

package appattest

import (
	"crypto/x509"
	_ "embed"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
)

//go:embed apple.pem
var apple []byte

// Apple returns the root of Apple's phones (https://www.apple.com/certificateauthority/Apple_App_Attestation_Root_CA.pem).
func Apple() ([]*x509.Certificate, error) { return attestation.Certificates(apple) }

// Pool is a set of certificates that are believed.
func Pool(roots []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, root := range roots {
		pool.AddCert(root)
	}
	return pool
}
