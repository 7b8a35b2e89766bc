// SPDX-License-Identifier: Apache-2.0

package androidkey_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/androidkey"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/testauthority"
)

// FuzzDescription: whatever is taken is for the challenge, and says so in DER.
func FuzzDescription(f *testing.F) {
	p := newPhone(f)
	k := testauthority.Keystore(&p.key.PublicKey, challenge, packageName, digest)
	f.Add(k.Describe())
	k.Level, k.KeyLevel = 2, 2
	f.Add(k.Describe())
	k.Extra = map[int][]byte{1000: {5, 0}}
	f.Add(k.Describe())
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		verdict, err := androidkey.Describe(der, p.config, challenge)
		if err != nil && !errors.Is(err, attestation.ErrRejected) {
			t.Errorf("it is no rejection: %v", err)
		}
		if err == nil && (!bytes.Contains(der, challenge) || !bytes.Contains(der, digest) || !verdict.Grade.AtLeast(attestation.Software)) {
			t.Errorf("it is taken as %+v: %x", verdict, der)
		}
	})
}
