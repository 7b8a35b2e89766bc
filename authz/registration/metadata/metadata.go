// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"encoding/json"
	"fmt"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Limits on what a client says of itself.
const (
	MaxBody      = 32 << 10 // bytes in a request
	maxStatement = 8 << 10  // bytes in a software statement
	maxKeys      = 4        // keys of one instance: two while one is being replaced, for two algorithms
	maxText      = 200      // characters in a name or a version
)

// Metadata is what is registered of a client (RFC 7591 2), in the names of the wire. Members that are not here are not understood,
// and ignored.
type Metadata struct {
	RedirectURIs           []string        `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string        `json:"post_logout_redirect_uris,omitempty"` // OpenID Connect RP-Initiated Logout 1.0 3.1
	TokenAuthMethod        string          `json:"token_endpoint_auth_method,omitempty"`
	TokenAuthAlg           string          `json:"token_endpoint_auth_signing_alg,omitempty"`
	GrantTypes             []string        `json:"grant_types,omitempty"`
	ResponseTypes          []string        `json:"response_types,omitempty"`
	Scope                  string          `json:"scope,omitempty"`
	DetailTypes            []string        `json:"authorization_details_types,omitempty"` // RFC 9396 10
	IDTokenAlg             string          `json:"id_token_signed_response_alg,omitempty"`
	JWKS                   json.RawMessage `json:"jwks,omitempty"`
	ClientName             string          `json:"client_name,omitempty"`
	// SoftwareID names the application that the client is an instance of.
	SoftwareID      string `json:"software_id,omitempty"`
	SoftwareVersion string `json:"software_version,omitempty"`
	// Statement is the software statement as it came.
	Statement string `json:"software_statement,omitempty"`
}

// Told is what a client has said, with what its software statement says in the place of that. What of it may be is for
// [Reader.Settle].
type Told struct {
	Metadata
	// Authority is the issuer of the software statement; empty where there is none.
	Authority string
	// Attestation is what it shows of its app and key; nil for nothing.
	Attestation *Attestation
}

// Attestation is what an instance shows of its app and of its key.
type Attestation struct {
	// Platform is the one that the evidence is of, and Challenge what the server has asked with.
	Platform  string `json:"platform"`
	Challenge string `json:"challenge"`
	// Evidence is what the platform says: an object with a "format".
	Evidence json.RawMessage `json:"evidence"`
}

// message is a request as it arrives: the metadata, and members that say something by being there.
type message struct {
	Metadata
	JWKSURI       json.RawMessage `json:"jwks_uri"`
	ClientID      string          `json:"client_id"`
	ClientSecret  json.RawMessage `json:"client_secret"`
	SecretExpires json.RawMessage `json:"client_secret_expires_at"`
	IssuedAt      json.RawMessage `json:"client_id_issued_at"`
	AccessToken   json.RawMessage `json:"registration_access_token"`
	ClientURI     json.RawMessage `json:"registration_client_uri"`
	Attestation   *Attestation    `json:"attestation"`
}

// given reports whether a member is there; null is as good as absent (RFC 7592 2.2).
func given(member json.RawMessage) bool { return len(member) > 0 && string(member) != "null" }

func invalid(description string) *oauth.Error {
	return oauth.NewError(oauth.InvalidClientMetadata, description)
}

// Parse reads a registration request (RFC 7591 3.1) and verifies its software statement. Refusals are *[oauth.Error] with the codes
// of RFC 7591 3.2.2.
func (r *Reader) Parse(body []byte) (Told, error) {
	m, err := parse(body)
	if err != nil {
		return Told{}, err
	}
	told, err := r.state(m.Metadata)
	told.Attestation = m.Attestation
	return told, err
}

// ParseUpdate reads an update of the client with an id (RFC 7592 2.2), which replaces what is registered. A client that was registered
// with a statement of an authority rests on one: the update has one of the same authority.
func (r *Reader) ParseUpdate(body []byte, id, authority string) (Told, error) {
	m, err := parse(body)
	switch {
	case err != nil:
		return Told{}, err
	case m.ClientID != id:
		return Told{}, invalid("client_id is not that of the client")
	case given(m.ClientSecret):
		return Told{}, invalid("client_secret is not that of the client, which has none")
	case given(m.SecretExpires), given(m.IssuedAt), given(m.AccessToken), given(m.ClientURI):
		return Told{}, invalid("an update does not say what the server has assigned")
	}
	told, err := r.state(m.Metadata)
	if err == nil && authority != "" && told.Authority != authority {
		return Told{}, unsound(errLeftOut)
	}
	return told, err
}

func parse(body []byte) (m message, err error) {
	if len(body) > MaxBody {
		return m, invalid("the request is too large")
	}
	if err := jose.UnmarshalObject(body, &m); err != nil {
		return m, invalid("the request is not a JSON object of client metadata").WithCause(fmt.Errorf("reading client metadata: %w", err))
	}
	if given(m.JWKSURI) {
		return m, invalid("jwks_uri is not fetched here: send the keys as jwks")
	}
	return m, nil
}
