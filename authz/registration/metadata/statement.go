// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Authority signs software statements (RFC 7591 2.3).
type Authority struct {
	// Issuer is the iss of its statements.
	Issuer string
	Keys   []jose.PublicKey
	// May are the members of the metadata that a statement may set, of those that [Settable] returns. Whoever says more is not believed
	// in anything.
	May []string
	// Applications are those that it may speak for; none is any.
	Applications []string
}

// settable is all that a statement may set. The keys are those of an instance, and a statement is the same for all of them.
var settable = []string{
	"software_id", "software_version", "client_name", "redirect_uris", "post_logout_redirect_uris", "grant_types", "response_types",
	"scope", "authorization_details_types", "id_token_signed_response_alg", "token_endpoint_auth_method",
	"token_endpoint_auth_signing_alg",
}

// members are those that the metadata has beside what is settable. A statement has none of them.
var members = []string{"jwks", "jwks_uri", "software_statement"}

// Settable returns the members of the metadata that a software statement can be allowed to set.
func Settable() []string { return slices.Clone(settable) }

// skew is how far the clock of an authority may be off.
const skew = 30 * time.Second

// audience is a string or a list of strings (RFC 7519 4.1.3).
type audience []string

// UnmarshalJSON reads either.
func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// statement is what a software statement says about itself.
type statement struct {
	Issuer    string   `json:"iss"`
	Audience  audience `json:"aud"`
	Expires   *float64 `json:"exp"`
	NotBefore float64  `json:"nbf"`
	IssuedAt  float64  `json:"iat"`
}

// Reasons of a refusal, for the log.
var (
	errAuthority = errors.New("its issuer is not known")
	errTyp       = errors.New("its typ is that of another kind of token")
	errSignature = errors.New("no key of its issuer has signed it")
	errAudience  = errors.New("it is for another server")
	errExpired   = errors.New("it has expired")
	errEarly     = errors.New("it is not valid yet")
	errSoftware  = errors.New("it names no software")
	errLeftOut   = errors.New("the client rests on a statement of another issuer")
	errBeyond    = errors.New("it says more than its issuer may")
)

func unsound(cause error) *oauth.Error {
	return oauth.NewError(oauth.InvalidSoftwareStatement, "the software statement is not valid").WithCause(cause)
}

func unapproved(cause error) *oauth.Error {
	return oauth.NewError(oauth.UnapprovedSoftwareStatement, "the software statement is not approved here").WithCause(cause)
}

// state puts what the software statement says in the place of what the client has said itself (RFC 7591 2.3).
func (r *Reader) state(m Metadata) (Told, error) {
	if m.Statement == "" {
		return Told{Metadata: m}, nil
	}
	token, err := jose.ParseUpTo(m.Statement, maxStatement)
	if err != nil {
		return Told{}, unsound(fmt.Errorf("reading a software statement: %w", err))
	}
	authority, err := r.verify(token)
	if err != nil {
		return Told{}, err
	}
	said, err := authority.said(token)
	if err != nil {
		return Told{}, err
	}
	if err := jose.UnmarshalObject(said, &m); err != nil {
		return Told{}, unsound(fmt.Errorf("reading a software statement: %w", err))
	}
	if m.SoftwareID == "" {
		return Told{}, unsound(errSoftware)
	}
	if len(authority.Applications) > 0 && !slices.Contains(authority.Applications, m.SoftwareID) {
		return Told{}, unapproved(errBeyond)
	}
	return Told{Metadata: m, Authority: authority.Issuer}, nil
}

// verify returns who has signed a statement that is good now. The signature is checked before anything in it counts but the name of its
// issuer.
func (r *Reader) verify(token jose.Token) (*Authority, error) {
	var s statement
	if err := token.Claims(&s); err != nil {
		return nil, unsound(fmt.Errorf("reading a software statement: %w", err))
	}
	i := slices.IndexFunc(r.Authorities, func(a *Authority) bool { return a.Issuer == s.Issuer })
	if i < 0 {
		return nil, unapproved(errAuthority)
	}
	authority, now := r.Authorities[i], r.Now()
	early := float64(now.Add(skew).Unix())
	switch {
	case !slices.ContainsFunc(authority.Keys, func(k jose.PublicKey) bool { return token.Verify(k) == nil }):
		return nil, unsound(errSignature)
	case token.Header.Typ != "" && !jose.EqualTyp(token.Header.Typ, "JWT"):
		return nil, unsound(errTyp)
	case len(s.Audience) > 0 && !slices.Contains(s.Audience, r.Issuer):
		return nil, unsound(errAudience)
	case s.Expires != nil && *s.Expires <= float64(now.Add(-skew).Unix()):
		return nil, unsound(errExpired)
	case s.NotBefore > early || s.IssuedAt > early:
		return nil, unsound(errEarly)
	}
	return authority, nil
}

// said returns the members of the metadata that a statement sets, as JSON.
func (a *Authority) said(token jose.Token) ([]byte, error) {
	var claims map[string]json.RawMessage
	if err := token.Claims(&claims); err != nil {
		return nil, unsound(fmt.Errorf("reading a software statement: %w", err))
	}
	said := map[string]json.RawMessage{}
	for name, value := range claims {
		known := slices.Contains(settable, name) || slices.Contains(members, name)
		switch {
		case !known:
		case !slices.Contains(a.May, name):
			return nil, unapproved(fmt.Errorf("%w: %s", errBeyond, name))
		case given(value):
			said[name] = value
		}
	}
	if !given(said["software_id"]) {
		return nil, unsound(errSoftware)
	}
	return json.Marshal(said)
}
