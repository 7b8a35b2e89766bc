// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

// Access is what an access token is minted from.
type Access struct {
	Client *authz.Client
	Scopes oauth.Scopes
	// Details are what of the grant's details goes into the token (RFC 9396 9.1).
	Details oauth.Details
	// Grant is what the user allowed; nil makes a token of the client itself (client credentials).
	Grant *authz.Grant
	// Key is the thumbprint of the key that whoever presents the token must prove to hold (RFC 9449 6.1); empty for none.
	Key string
	// Certificate is the thumbprint of the certificate that the connection of whoever presents the token must show (RFC 8705 3.1); empty
	// for none.
	Certificate string
	// At is when issuing was decided; zero is now. It is taken before the transition in the store, so that a revocation
	// that comes between decision and signature covers the token.
	At time.Time
}

// Minted is a token with what is told about it.
type Minted struct {
	Token     string
	ID        string // jti
	ExpiresAt time.Time
	TTL       time.Duration
}

// Access mints an access token (RFC 9068 2.2). Authentication claims are the grant's and do not move on refresh. A token
// of an offline grant names no session, since it outlives it.
func (i *Issuer) Access(a Access) (Minted, error) {
	subject := a.Client.ID
	if a.Grant != nil {
		subject = a.Grant.Subject
	}
	key, err := i.key(a.Client.AccessTokenAlg)
	if err != nil {
		return Minted{}, fmt.Errorf("minting an access token for client %q: %w", a.Client.ID, err)
	}
	o, err := i.begin(subject)
	if err != nil {
		return Minted{}, fmt.Errorf("minting an access token for client %q: %w", a.Client.ID, err)
	}
	at := i.second(a.At)
	m := Minted{ID: randid.New("at"), TTL: a.Client.AccessTTL.Truncate(time.Second)}
	m.ExpiresAt = at.Add(m.TTL)
	o.texts("aud", a.Client.Audience)
	o.time("exp", m.ExpiresAt)
	o.time("iat", at)
	o.text("jti", m.ID)
	o.text("client_id", a.Client.ID)
	o.text("client_attestation", a.Client.Attestation)
	o.confirmation(a.Key, a.Certificate)
	o.words("scope", a.Scopes)
	o.raw("authorization_details", a.Details.String())
	if g := a.Grant; g != nil {
		o.text("gid", g.ID)
		if !g.Offline {
			o.text("sid", g.SessionID)
		}
		o.authentication(&g.Authn)
	}
	m.Token, err = i.sign(TypAccess, key, o.end())
	if err != nil {
		return Minted{}, fmt.Errorf("minting an access token for client %q: %w", a.Client.ID, err)
	}
	return m, nil
}

// authentication writes how and when the user was authenticated (RFC 9068 2.2.1).
func (o *object) authentication(a *realm.Authentication) {
	o.time("auth_time", a.AuthTime)
	o.text("acr", a.ACR)
	o.texts("amr", a.AMR)
	o.times("realms", a.Realms)
	o.application(a.Application)
	o.devices(a.Devices)
	o.text("attestation", a.Attestation)
}

// confirmation writes what the token is bound to (RFC 7800 3.1).
func (o *object) confirmation(key, certificate string) {
	if key == "" && certificate == "" {
		return
	}
	inner := object{'{'}
	inner.text("jkt", key)
	inner.text("x5t#S256", certificate)
	o.raw("cnf", string(inner.end()))
}

// devices writes which devices proved it: one as text, several as a list.
func (o *object) devices(devices []string) {
	if len(devices) == 1 {
		o.text("device", devices[0])
		return
	}
	o.texts("device", devices)
}

// application writes which app the user authenticated with.
func (o *object) application(a *realm.Application) {
	if a == nil {
		return
	}
	inner := object{'{'}
	inner.text("id", a.ID)
	inner.text("platform", a.Platform)
	inner.text("version", a.Version)
	o.name("application")
	*o = append(*o, inner.end()...)
}
