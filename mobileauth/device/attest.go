// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// Attester returns what a platform says of an app and of keys, made for a challenge: an object with a "format", as
// docs/device-protocol.md describes them. Evidence that is about the signing key itself is made for the challenge, and all other
// evidence for [envelope.AttestationHash].
type Attester func(ctx context.Context, challenge []byte, keys envelope.PublicKeys) (json.RawMessage, error)

// about returns evidence, none without an attester.
func (a Attester) about(ctx context.Context, challenge []byte, keys envelope.PublicKeys) (json.RawMessage, error) {
	if a == nil {
		return nil, nil
	}
	evidence, err := a(ctx, challenge, keys)
	if err != nil {
		return nil, fmt.Errorf("having the platform vouch for this device: %w", err)
	}
	return evidence, nil
}

// evidence returns what the platform says of keys for a challenge that the server sets now; none without an attester.
func (d *Device) evidence(ctx context.Context, keys envelope.PublicKeys) (json.RawMessage, error) {
	if d.config.Attest == nil {
		return nil, nil
	}
	r, err := d.call(ctx, envelope.PathAttestation, plain(nil))
	if err != nil {
		return nil, err
	}
	var body envelope.AttestationAnswer
	if err := r.Decode(&body); err != nil || len(body.Challenge) == 0 {
		return nil, fmt.Errorf("reading a challenge: %w", ErrAnswer)
	}
	return d.config.Attest.about(ctx, body.Challenge, keys)
}

// Attest shows the server anew what the platform says of this device, and returns the grade that it has by that: "hardware", "tee",
// "software" or "unknown". What the server does not take is [ErrNotAllowed], and changes nothing.
func (d *Device) Attest(ctx context.Context) (grade string, err error) {
	d.changing.Lock()
	defer d.changing.Unlock()
	if d.config.Attest == nil {
		return "", fmt.Errorf("attesting a device that nothing vouches for: %w", ErrInput)
	}
	d.mu.Lock()
	keys := d.keys.Public()
	d.mu.Unlock()
	evidence, err := d.evidence(ctx, keys)
	if err != nil {
		return "", err
	}
	r, err := d.call(ctx, envelope.PathAttestation, plain(envelope.AttestationRequest{Attestation: evidence}))
	if err != nil {
		return "", err
	}
	var body envelope.AttestationAnswer
	if err := r.Decode(&body); err != nil || body.Grade == "" {
		return "", fmt.Errorf("reading the grade of this device: %w", ErrAnswer)
	}
	return body.Grade, nil
}
