// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// ID is what an ID token is minted from.
type ID struct {
	Client *authz.Client
	Grant  *authz.Grant
	// Nonce is the authorization request's; empty in a refreshed ID token (OpenID Connect Core 12.2).
	Nonce string
	// AccessToken is the token issued beside it, for at_hash.
	AccessToken string
	// AuthReqID is the request whose tokens are sent to the client, and RefreshToken the one beside it, for its hash (OpenID CIBA
	// Core 10.3.1). Both are empty where the client fetches its tokens.
	AuthReqID    string
	RefreshToken string
	// At is when issuing was decided; zero is now.
	At time.Time
}

// ID mints an ID token (OpenID Connect Core 2). Who the user is beyond sub comes from userinfo (5.4).
func (i *Issuer) ID(d ID) (string, error) {
	key, err := i.key(d.Client.IDTokenAlg)
	if err != nil {
		return "", fmt.Errorf("minting an ID token for client %q: %w", d.Client.ID, err)
	}
	o, err := i.begin(d.Grant.Subject)
	if err != nil {
		return "", fmt.Errorf("minting an ID token for client %q: %w", d.Client.ID, err)
	}
	at := i.second(d.At)
	o.text("aud", d.Client.ID)
	o.time("exp", at.Add(d.Client.AccessTTL.Truncate(time.Second)))
	o.time("iat", at)
	o.time("auth_time", d.Grant.Authn.AuthTime)
	o.text("nonce", d.Nonce)
	o.text("acr", d.Grant.Authn.ACR)
	o.texts("amr", d.Grant.Authn.AMR)
	o.text("sid", d.Grant.SessionID)
	o.application(d.Grant.Authn.Application)
	o.devices(d.Grant.Authn.Devices)
	o.text("attestation", d.Grant.Authn.Attestation)
	if d.AccessToken != "" {
		o.text("at_hash", halfHash(key.Alg, d.AccessToken))
	}
	o.text("urn:openid:params:jwt:claim:auth_req_id", d.AuthReqID)
	if d.RefreshToken != "" {
		o.text("urn:openid:params:jwt:claim:rt_hash", halfHash(key.Alg, d.RefreshToken))
	}
	token, err := i.sign(TypID, key, o.end())
	if err != nil {
		return "", fmt.Errorf("minting an ID token for client %q: %w", d.Client.ID, err)
	}
	return token, nil
}

// halfHash is the left half of a token's hash, by the hash of the algorithm that signs the ID token (OpenID Connect Core
// 3.1.3.6). Ed25519 hashes with SHA-512.
func halfHash(alg jose.Algorithm, token string) string {
	if alg == jose.EdDSA {
		sum := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:sha512.Size/2])
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:sha256.Size/2])
}
