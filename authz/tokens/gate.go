// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

const (
	// SiteTTL bounds a site's session token. The gate looks the session up long before and mints the token anew; this is
	// only how long a browser may stay away before it is sent through the issuer again. The log of revocations is kept
	// longer.
	SiteTTL = authz.MaxAccessTTL
	// AssertionTTL is how long an upstream may take to check an assertion: it is made for one request.
	AssertionTTL = time.Minute
)

// SiteAudience is the audience that the session tokens of all sites of an issuer share, beside their own origin.
func SiteAudience(issuer string) string { return issuer + authz.PathSite }

// Site mints the session token of a protected site from the grant of its built-in client. It is good at the gate of that
// origin and nowhere else. The zero time is now; any other is when the grant was about to be read, so that a revocation
// between reading and signature covers the token.
func (i *Issuer) Site(origin string, grant authz.Grant, at time.Time) (string, error) {
	if origin == "" || grant.ID == "" {
		return "", errors.New("minting a session token for a site: an origin and a grant are required")
	}
	key, err := i.key("")
	if err != nil {
		return "", fmt.Errorf("minting a session token for %q: %w", origin, err)
	}
	o, err := i.begin(grant.Subject)
	if err != nil {
		return "", fmt.Errorf("minting a session token for %q: %w", origin, err)
	}
	at = i.second(at)
	o.texts("aud", []string{origin, SiteAudience(i.config.Issuer)})
	o.time("exp", at.Add(SiteTTL))
	o.time("iat", at)
	o.text("jti", randid.New("site"))
	o.text("client_id", grant.ClientID)
	o.words("scope", grant.Scopes)
	o.text("gid", grant.ID)
	o.text("sid", grant.SessionID)
	o.text("name", grant.Authn.Name)
	o.authentication(&grant.Authn)
	token, err := i.sign(TypSite, key, o.end())
	if err != nil {
		return "", fmt.Errorf("minting a session token for %q: %w", origin, err)
	}
	return token, nil
}

// Assertion tells an upstream, under our signature, who is asking.
type Assertion struct {
	// Audience names the upstream.
	Audience  string
	Subject   string
	Name      string
	ClientID  string
	Scopes    oauth.Scopes
	ACR       string
	AMR       []string
	AuthTime  time.Time
	SessionID string
	// Realms tells when each realm was proven.
	Realms map[string]time.Time
	// Application is the app that is asking; nil for none.
	Application *realm.Application
	// Confirmed is what the user has approved; nil for nothing.
	Confirmed *Confirmed
}

// Confirmed is the one request that an assertion is made for, as its user has approved it.
type Confirmed struct {
	// Operation is the approval, and Device the phone that signed it.
	Operation, Device string
	// Method and URI are those of the request as it is forwarded, and Digest its body's, as a field of RFC 9530 has it.
	Method, URI, Digest string
}

// confirmed writes what was approved.
func (o *object) confirmed(c *Confirmed) {
	if c == nil {
		return
	}
	inner := object{'{'}
	inner.text("operation", c.Operation)
	inner.text("device", c.Device)
	inner.text("method", c.Method)
	inner.text("uri", c.URI)
	inner.text("digest", c.Digest)
	o.name("confirmation")
	*o = append(*o, inner.end()...)
}

// Assertion mints an assertion for one request to an upstream.
func (i *Issuer) Assertion(a Assertion) (string, error) {
	if a.Audience == "" {
		return "", errors.New("minting an assertion: an audience is required")
	}
	key, err := i.key("")
	if err != nil {
		return "", fmt.Errorf("minting an assertion for %q: %w", a.Audience, err)
	}
	o, err := i.begin(a.Subject)
	if err != nil {
		return "", fmt.Errorf("minting an assertion for %q: %w", a.Audience, err)
	}
	at := i.second(time.Time{})
	o.text("aud", a.Audience)
	o.time("exp", at.Add(AssertionTTL))
	o.time("iat", at)
	o.text("jti", randid.New("ast"))
	o.text("client_id", a.ClientID)
	o.words("scope", a.Scopes)
	o.text("sid", a.SessionID)
	o.text("name", a.Name)
	o.authentication(&realm.Authentication{AuthTime: a.AuthTime, ACR: a.ACR, AMR: a.AMR, Realms: a.Realms, Application: a.Application})
	o.confirmed(a.Confirmed)
	token, err := i.sign(TypAssertion, key, o.end())
	if err != nil {
		return "", fmt.Errorf("minting an assertion for %q: %w", a.Audience, err)
	}
	return token, nil
}
