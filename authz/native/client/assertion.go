// SPDX-License-Identifier: Apache-2.0

package client

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"
)

// assertionLife is how long an assertion can be used: it is sent at once.
const assertionLife = time.Minute

// assertion says who this installation is, for one request (RFC 7523 2.2). The issuer is its only audience, so that it is worth nothing
// at another server.
func (c *Client) assertion() (string, error) {
	now := c.config.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": c.instance.ClientID, "sub": c.instance.ClientID, "aud": c.config.Issuer, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("signing an assertion: %w", err)
	}
	input := b64.EncodeToString([]byte(`{"alg":"ES256","typ":"client-authentication+jwt"}`)) + "." + b64.EncodeToString(claims)
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, c.config.Registration.Key, sum[:])
	if err != nil {
		return "", fmt.Errorf("signing an assertion: %w", err)
	}
	signature := make([]byte, 64) // RFC 7518 3.4: both numbers, one behind the other
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return input + "." + b64.EncodeToString(signature), nil
}
