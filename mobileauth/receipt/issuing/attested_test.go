// SPDX-License-Identifier: Apache-2.0

package issuing_test

import (
	"cmp"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/receipt"
)

// TestAttestedDevice: a receipt says what was shown of the key that signed, if that was verified.
func TestAttestedDevice(t *testing.T) {
	t.Parallel()
	at := noon.Add(-time.Hour)
	shown := receipt.Attestation{Format: "android-key", Grade: "tee", At: at}
	for _, tt := range []struct {
		name string
		had  handset.Attestation
		of   string // the key that it is about
		want receipt.Attestation
	}{
		{"verified", handset.Attestation{Format: "android-key", Result: handset.Verified, Grade: attestation.TEE, At: at}, "", shown},
		{"not verified", handset.Attestation{Format: "android-key", Result: handset.Unverified, Grade: attestation.Unknown, At: at}, "", receipt.Attestation{}},
		{"wrong", handset.Attestation{Format: "android-key", Result: handset.Failed, Grade: attestation.Unknown, At: at}, "", receipt.Attestation{}},
		{"nothing", handset.Attestation{}, "", receipt.Attestation{}},
		{
			"of a key that came later", handset.Attestation{Format: "android-key", Result: handset.Verified, Grade: attestation.TEE, At: at},
			"another key", receipt.Attestation{},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			o, d := f.approved(noon)
			d.Attestation = tt.had
			d.Attestation.SignKeyID = cmp.Or(tt.of, d.SignKeyID)
			raw, err := f.issuer.Make(t.Context(), o, d)
			must(t, err)
			got, err := receipt.Verify([]byte(raw), receipt.Roots{f.root.KID: true})
			must(t, err)
			if got.Attestation != tt.want {
				t.Errorf("it says %+v", got.Attestation)
			}
		})
	}
}
