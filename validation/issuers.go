// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// Issuers validates the tokens of several issuers, each by the rules for that issuer alone.
type Issuers struct {
	validators []*Validator
}

// NewIssuers combines validators of different issuers.
func NewIssuers(validators ...*Validator) (*Issuers, error) {
	if len(validators) == 0 {
		return nil, errors.New("combining validators: there are none")
	}
	seen := map[string]bool{}
	for _, v := range validators {
		if seen[v.config.Issuer] {
			return nil, fmt.Errorf("combining validators: two are for the issuer %q", v.config.Issuer)
		}
		seen[v.config.Issuer] = true
	}
	return &Issuers{validators: validators}, nil
}

// Now returns the time by the first validator's clock.
func (i *Issuers) Now() time.Time { return i.validators[0].Now() }

// Validate is [Validator.Validate] for the tokens of all of them.
func (i *Issuers) Validate(ctx context.Context, c Credential) (*Principal, error) {
	p, err := i.inspect(ctx, c.Token)
	if err == nil {
		err = c.Redeem(p, i.Now())
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// inspect hands the token to the validator of the issuer it names. That name is not true before the validator says so: it only
// chooses whose keys are tried (RFC 8725 3.8).
func (i *Issuers) inspect(ctx context.Context, raw string) (*Principal, error) {
	if len(raw) > jose.MaxToken {
		return nil, Invalid(ErrMalformed)
	}
	for _, v := range i.validators {
		if p, known, err := v.known(ctx, v.digest.Sum(raw), v.config.Now()); known {
			return p, err
		}
	}
	token, err := jose.Parse(raw)
	if err != nil {
		return nil, Invalid(fmt.Errorf("%w: %w", ErrMalformed, err))
	}
	named := claim(string(token.Payload), "iss")
	if named == "" {
		return nil, Invalid(ErrIssuer)
	}
	issuer, err := readString(named)
	if err != nil {
		return nil, Invalid(fmt.Errorf("%w: %w", ErrIssuer, err))
	}
	for _, v := range i.validators {
		if v.config.Issuer == issuer {
			return v.Inspect(ctx, raw)
		}
	}
	return nil, Invalid(ErrIssuer)
}
