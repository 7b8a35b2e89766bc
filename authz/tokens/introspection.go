// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// TypIntrospection is the type of signed introspection responses (RFC 9701 5).
const TypIntrospection = "token-introspection+jwt"

// Introspection signs what a resource server is told about a token (RFC 9701 5): the response is good as evidence, and as
// nothing else, since no token's type is like it and neither sub nor exp stands where a token has it. Response is the JSON
// object of RFC 7662 2.2; an empty algorithm is the default.
func (i *Issuer) Introspection(audience string, response []byte, alg jose.Algorithm) (string, error) {
	if audience == "" || len(response) == 0 {
		return "", errors.New("signing an introspection response: an audience and a response are required")
	}
	key, err := i.key(alg)
	if err != nil {
		return "", fmt.Errorf("signing an introspection response: %w", err)
	}
	o := append(make(object, 0, len(response)+256), i.head...)
	o.text("aud", audience)
	o.time("iat", i.second(i.config.Now()))
	o.name("token_introspection")
	o = append(o, response...)
	token, err := i.sign(TypIntrospection, key, o.end())
	if err != nil {
		return "", fmt.Errorf("signing an introspection response: %w", err)
	}
	return token, nil
}
