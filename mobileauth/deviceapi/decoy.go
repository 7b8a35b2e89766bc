// SPDX-License-Identifier: Apache-2.0

package deviceapi

import "github.com/gatehouse-id/gatehouse/internal/jose"

// decoy is a signature that is checked where there is no key to check one with, so that a message of a device that is not
// there takes as long as one with a wrong signature.
type decoy struct {
	token jose.Token
	key   jose.PublicKey
}

func newDecoy() (decoy, error) {
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		return decoy{}, err
	}
	raw, err := jose.Sign(key, "decoy", []byte(`{}`))
	if err != nil {
		return decoy{}, err
	}
	token, err := jose.Parse(raw)
	return decoy{token: token, key: key.Public()}, err
}

func (d decoy) spend() { _ = d.token.Verify(d.key) }
