// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

// Prover makes proofs of one key, as a client does. It is safe for concurrent use.
type Prover struct {
	signer     *jose.Signer
	thumbprint string
	now        func() time.Time
}

// NewProver returns a prover for a key. It refuses a key outside the profile, wrapping [jose.ErrKey].
func NewProver(key jose.PrivateKey, now func() time.Time) (*Prover, error) {
	signer, err := jose.NewSelfSigner(key, Typ)
	if err != nil {
		return nil, fmt.Errorf("making a prover: %w", err)
	}
	return &Prover{signer: signer, thumbprint: jose.Thumbprint(key.Public()), now: now}, nil
}

// Thumbprint is the key's, to which tokens are bound.
func (p *Prover) Thumbprint() string { return p.thumbprint }

// Prove returns the proof for a request with a method and an address, whose query and fragment are left out. It names the access token
// that it comes with and the server's last nonce, where there are such.
func (p *Prover) Prove(method, uri, token, nonce string) (string, error) {
	at := p.now().Unix()
	said := map[string]any{"jti": randid.Secret(), "htm": method, "htu": bare(uri), "iat": at}
	if token != "" {
		said["ath"] = hash(token)
	}
	if nonce != "" {
		said["nonce"] = nonce
	}
	payload, err := json.Marshal(said)
	if err != nil {
		return "", fmt.Errorf("encoding a proof: %w", err)
	}
	return p.signer.Sign(payload)
}
