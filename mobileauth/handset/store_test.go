// SPDX-License-Identifier: Apache-2.0

package handset_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/storage"
)

func TestADeviceComesBackAsItWasStored(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		want := fresh(t, "usr_1", func(d *handset.Device) {
			d.AppVersion, d.Model, d.OS = "1.2", "X", "17"
			d.ServerKey, d.PGPServerKey, d.PGP, d.PGPServer = []byte("server"), []byte("pgp server"), []byte("pgp"), []byte("public")
			d.Factors = append(d.Factors, handset.Factor{Kind: envelope.FactorCustom + "voice", Secret: secret(2), At: h.clock.Now()})
			d.Push = &handset.Push{Service: "apns", Address: "address", At: h.clock.Now()}
			d.Attestation = handset.Attestation{Format: "x", Result: handset.Unverified, Detail: "unknown"}
		})
		stored, err := h.tryAdd(want)
		must(t, err)
		want.SignKeyID, want.EncKeyID, want.Version = stored.SignKeyID, stored.EncKeyID, 1
		want.CreatedAt = h.clock.Now().Truncate(time.Millisecond)
		want.ActivatedAt = want.CreatedAt
		for _, got := range []handset.Device{stored, h.get(want.ID)} {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestSecretsAreNotReadableInTheStore(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1", func(d *handset.Device) {
			d.Factors[0].Secret, d.ServerKey = []byte("a secret of thirty-two bytes ...")[:32], []byte("server secret")
			d.Push = &handset.Push{Service: "apns", Address: "push address"}
		})
		for _, value := range h.values("") {
			for _, hidden := range []string{"thirty-two", "server secret", "push address", "YSBzZWNyZXQ"} {
				if bytes.Contains([]byte(value), []byte(hidden)) {
					t.Errorf("%q is readable", hidden)
				}
			}
		}
		must(t, h.update(func(tx storage.Tx) error { _, _, err := h.Find(tx, d.ID); return err }))
	})
}

// TestByServerKey: the key that a message was encrypted to leads to the one device that the server keeps it for.
func TestByServerKey(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1", func(d *handset.Device) { d.ServerKey, d.ServerKeyID = []byte("secret"), "kid_1" })
		h.add("usr_1", func(d *handset.Device) { d.ServerKey, d.ServerKeyID = []byte("other"), "kid_2" })
		got, err := h.ByServerKey(h.ctx(), "kid_1")
		must(t, err)
		if got.ID != d.ID || string(got.ServerKey) != "secret" {
			t.Errorf("found %+v", got)
		}
		for _, kid := range []string{"", "kid_3", "kid"} {
			if _, err := h.ByServerKey(h.ctx(), kid); !errors.Is(err, handset.ErrNotFound) {
				t.Errorf("%q: %v", kid, err)
			}
		}
		taken := fresh(t, "usr_2", func(d *handset.Device) { d.ServerKey, d.ServerKeyID = []byte("x"), "kid_1" })
		if _, err := h.tryAdd(taken); !errors.Is(err, storage.ErrExists) {
			t.Errorf("one key for two devices: %v", err)
		}
	})
}
