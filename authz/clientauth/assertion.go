// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

const (
	// AssertionType is the one client_assertion_type (RFC 7523 2.2).
	AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// TypAssertion is the typ a client should set; it may leave it out or say JWT.
	TypAssertion = "client-authentication+jwt"

	// skew is how far a client's clock may be off, and maxLife how far in the future an assertion may expire.
	skew    = 30 * time.Second
	maxLife = time.Hour
	// maxID bounds a jti.
	maxID = 512
)

var (
	errTyp       = errors.New("its typ is that of another kind of token")
	errIssuer    = errors.New("iss and sub are not the client")
	errAudience  = errors.New("aud is not the issuer alone")
	errLife      = errors.New("it has no exp, has expired, or lives too long")
	errEarly     = errors.New("it is not valid yet")
	errID        = errors.New("it has no jti, or too long a one")
	errSignature = errors.New("no key of the client has signed it")
)

// assertion is a client's signed statement that it is itself. It is not verified yet.
type assertion struct {
	token  jose.Token
	claims claims
}

type claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	Expires   float64  `json:"exp"`
	NotBefore float64  `json:"nbf"`
	IssuedAt  float64  `json:"iat"`
	ID        string   `json:"jti"`
}

// audience is a string or a list of strings (RFC 7519 4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// readAssertion reads an assertion as far as to know whom it names.
func readAssertion(raw string, p oauth.Params) (credentials, error) {
	c := credentials{method: authz.AuthPrivateKeyJWT}
	switch {
	case p.Get("client_assertion_type") != AssertionType:
		return c, oauth.NewError(oauth.InvalidRequest, "client_assertion_type is not that of a JWT")
	case raw == "":
		return c, oauth.NewError(oauth.InvalidRequest, "client_assertion is missing")
	}
	token, err := jose.Parse(raw)
	if err != nil {
		return c, refused(fmt.Errorf("reading the assertion: %w", err))
	}
	c.assertion.token = token
	if err := token.Claims(&c.assertion.claims); err != nil {
		return c, refused(fmt.Errorf("reading the assertion: %w", err))
	}
	c.clientID = c.assertion.claims.Subject
	// RFC 7521 4.2: client_id is superfluous, and must be the same.
	if id := p.Get("client_id"); id != "" && id != c.clientID {
		return c, refused(errIssuer)
	}
	return c, nil
}

// check verifies an assertion: the signature first, then what it says (RFC 7523 3 as updated: the issuer is the sole
// audience, so that an assertion made for one server is worth nothing at another).
func (a assertion) check(client *authz.Client, issuer string, now time.Time) error {
	c, typ := a.claims, a.token.Header.Typ
	switch {
	case typ != "" && !jose.EqualTyp(typ, "JWT") && !jose.EqualTyp(typ, TypAssertion):
		return errTyp
	case !slices.ContainsFunc(client.Keys, a.signedBy):
		return errSignature
	case c.Issuer != client.ID || c.Subject != client.ID:
		return errIssuer
	case len(c.Audience) != 1 || c.Audience[0] != issuer:
		return errAudience
	case c.Expires <= 0 || c.Expires > float64(now.Add(maxLife+skew).Unix()) || !now.Before(a.expires().Add(skew)):
		return errLife
	case c.NotBefore > float64(now.Add(skew).Unix()) || c.IssuedAt > float64(now.Add(skew).Unix()):
		return errEarly
	case c.ID == "" || len(c.ID) > maxID:
		return errID
	}
	return nil
}

// expires returns exp. It is used after exp is known to be of a sane size.
func (a assertion) expires() time.Time { return time.Unix(int64(a.claims.Expires), 0) }

// signedBy reports whether the key has signed the assertion. The algorithm is the key's.
func (a assertion) signedBy(key jose.PublicKey) bool { return a.token.Verify(key) == nil }
