// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz/native/client/device"
)

// TestEvidence goes with a request where the server wants it, made for what the server has asked with and for the key of the request.
func TestEvidence(t *testing.T) {
	t.Parallel()
	s, folder := newServer(t), device.Folder(t.TempDir())
	away := errors.New("the platform is away")
	var made [2][]byte
	var of crypto.PublicKey
	var fails error
	h, err := device.New(device.Config{
		App: device.App{ID: "bank", Platform: "ios", Version: "2.1"}, Storage: folder, Now: s.clock,
		Attest: func(_ context.Context, challenge, bound []byte, key crypto.PublicKey) (json.RawMessage, error) {
			made, of = [2][]byte{challenge, bound}, key
			return json.RawMessage(`{"format":"x"}`), fails
		},
	})
	must(t, err)
	if got := s.answer(h, s.challenge()); got["evidence"] != "" || of != nil {
		t.Errorf("where nobody wants any it sends %q", got["evidence"])
	}
	c := s.challenge("attestation", "required")
	got := s.answer(h, c)
	csr := s.read(got, nil).csr
	key, err := x509.MarshalPKIXPublicKey(csr.PublicKey)
	must(t, err)
	asked := "gatehouse certificate v1\nhttps://auth.example.com\ndevice\n" + c.Data["nonce"]
	challenge, bound := sha256.Sum256([]byte(asked)), sha256.Sum256([]byte(asked+"\n"+digest(key)))
	if got["evidence"] != `{"format":"x"}` || string(made[0]) != string(challenge[:]) || string(made[1]) != string(bound[:]) ||
		!csr.PublicKey.(*ecdsa.PublicKey).Equal(of) {
		t.Errorf("it sends %q, made for %x and %x", got["evidence"], made[0], made[1])
	}
	fails = away
	if _, err := h.Answer(t.Context(), s.challenge("attestation", "required")); !errors.Is(err, away) {
		t.Errorf("without the platform: %v", err)
	}
}
