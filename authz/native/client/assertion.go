// SPDX-License-Identifier: Apache-2.0

package client

import (
	"crypto/rand"
	"fmt"
	"time"
)

// assertionLife is how long an assertion can be used: it is sent at once.
const assertionLife = time.Minute

// assertion says who this installation is, for one request (RFC 7523 2.2). The issuer is its only audience, so that it is worth nothing
// at another server.
func (c *Client) assertion() (string, error) {
	now := c.config.Now()
	signed, err := signJWT(c.config.Registration.Key, map[string]any{"alg": "ES256", "typ": "client-authentication+jwt"}, map[string]any{
		"iss": c.instance.ClientID, "sub": c.instance.ClientID, "aud": c.config.Issuer, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("signing an assertion: %w", err)
	}
	return signed, nil
}
