// SPDX-License-Identifier: Apache-2.0

package foreign

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/validation"
	"github.com/gatehouse-id/gatehouse/validation/remote"
)

// Issuer is an issuer other than ours whose tokens a site accepts.
type Issuer struct {
	// The issuer, exactly as it stands in its tokens.
	Issuer string `json:"issuer"`
	// Acceptable audiences. Required: a token for somebody else is no token for this site.
	Audience []string `json:"audience,omitempty"`
	// Where its keys are. Default: what its metadata says.
	JWKS string `json:"jwks,omitempty"`
	// Acceptable signature algorithms. Default: ES256, EdDSA, RS256, PS256.
	Algorithms []string `json:"algorithms,omitempty"`
	// Whether tokens without the type at+jwt (RFC 9068) are accepted.
	AnyType bool `json:"any_type,omitempty"`
}

// fetchTimeout bounds a request for the keys of another issuer.
const fetchTimeout = 10 * time.Second

// Validator returns what validates the tokens of the issuer. It fetches nothing before the first token.
func (i *Issuer) Validator(logger *slog.Logger) (*validation.Validator, error) {
	keys, err := remote.NewKeys(remote.KeysConfig{
		Issuer: i.Issuer, JWKSURI: i.JWKS, Client: &http.Client{Timeout: fetchTimeout}, Now: time.Now,
		Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	c := validation.Config{Issuer: i.Issuer, Audience: i.Audience, Keys: keys, Now: time.Now}
	if i.AnyType {
		c.Typ = validation.TypJWT
	}
	for _, name := range i.Algorithms {
		c.Algs = append(c.Algs, validation.Algorithm(name))
	}
	return validation.New(c)
}
