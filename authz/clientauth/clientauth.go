// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/dpop"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Assertions remembers which assertions were used. An [authz.Store] does.
type Assertions interface {
	SpendAssertion(ctx context.Context, client, jti string, expires time.Time) (bool, error)
}

// Authenticator authenticates clients. All fields are required but MutualTLS, Proofs, Remembering, Limiter and Observe. It is safe for concurrent use.
type Authenticator struct {
	Clients *authz.Clients
	Store   Assertions
	// Issuer is the one audience an assertion may have.
	Issuer string
	// MutualTLS is the other origin at which the endpoints stand, where clients show certificates (RFC 8705 5); empty where there is none.
	MutualTLS string
	Now       func() time.Time
	// Proofs judges the DPoP proofs of requests to the issuer's endpoints; nil knows none and overlooks them.
	Proofs *dpop.Checker
	// Remembering bounds, by address, how many proofs, and assertions of instances of apps, are remembered: each is a write, which whoever
	// has a key can cause. Nil bounds none.
	Remembering *limit.Limiter
	// Limiter counts failures by client and address, so that guessing is slow and slows nobody else.
	Limiter *limit.Limiter
	// Observe is called with the outcome of every attempt, for metrics.
	Observe func(method authz.AuthMethod, outcome string)
}

// Outcomes of an attempt.
const (
	OutcomeAccepted  = "accepted"
	OutcomeRefused   = "refused"
	OutcomeThrottled = "throttled"
	OutcomeFailed    = "failed"
)

// ErrNoCredentials is the cause of a refusal of a request that names no client.
var ErrNoCredentials = errors.New("the request names no client")

// Reasons of a refusal. They are for the log: the caller hears the same words for all of them.
var (
	errUnknown  = errors.New("the client is not known")
	errMethod   = errors.New("the client does not use this method")
	errSecret   = errors.New("the secret is wrong")
	errBrowser  = errors.New("a browser shows its certificate for whatever page makes it send a request")
	errReplayed = errors.New("the assertion was used before")

	errBasic = errors.New("the Authorization header is not Basic, or malformed")
)

// refused is the one answer to every failed attempt.
func refused(cause error) *oauth.Error {
	return oauth.NewError(oauth.InvalidClient, "the client could not be authenticated").WithCause(cause)
}

// Authenticate returns the client that sent a request with the given parameters. It reads nothing from the store, but for a
// good assertion, which counts once, and for the instances of apps. Refusals are *[oauth.Error]: invalid_request for more than one method, invalid_client
// for everything else, and 429 for who guesses.
func (a *Authenticator) Authenticate(ctx context.Context, r *http.Request, p oauth.Params) (*authz.Client, error) {
	c, err := read(r.Header, p)
	if err != nil {
		a.observe(c.method, OutcomeRefused)
		return nil, err
	}
	client, err := a.Clients.Lookup(ctx, c.clientID)
	if err != nil && !authz.Gone(err) {
		a.observe(c.method, OutcomeFailed)
		return nil, authz.Failure(err)
	}
	if err != nil || client.Site {
		_ = equalWork.SecretMatches(c.secret)
		a.observe(c.method, OutcomeRefused)
		return nil, refused(errUnknown)
	}
	if c.method == authz.AuthNone && client.Certificates != nil {
		c.method, c.chain = client.Auth, httpx.Certificates(r) // RFC 8705 2: a client_id says whose certificate it is to be
		c.browser = len(r.Header["Origin"]) > 0 || len(r.Header["Sec-Fetch-Site"]) > 0
	}
	key := client.ID + " " + limit.Address(httpx.CallerOf(ctx).ClientIP)
	if wait := a.Limiter.Wait(key); wait > 0 && c.method != authz.AuthNone {
		a.observe(c.method, OutcomeThrottled)
		return nil, oauth.TooMany(wait)
	}
	if err = a.check(ctx, client, c); err == nil && client.Registered {
		err = a.used(ctx, client)
	}
	switch e := (*oauth.Error)(nil); {
	case err == nil:
		a.observe(c.method, OutcomeAccepted)
		return client, nil
	case errors.As(err, &e) && e.Code == oauth.InvalidClient:
		if c.method != authz.AuthNone {
			a.Limiter.Count(key)
		}
		a.observe(c.method, OutcomeRefused)
	default:
		a.observe(c.method, OutcomeFailed)
	}
	return nil, err
}

// equalWork stands in for a client that is not there: unknown and wrong take the same.
var equalWork = &authz.Client{SecretHashes: []string{""}}

func (a *Authenticator) check(ctx context.Context, client *authz.Client, c credentials) error {
	secret := client.Auth == authz.AuthClientSecretBasic || client.Auth == authz.AuthClientSecretPost
	switch c.method {
	case authz.AuthNone:
		if client.Confidential() { // RFC 6749 2.2: an identifier is not a secret
			return refused(errMethod)
		}
		return nil
	case authz.AuthClientSecretBasic, authz.AuthClientSecretPost:
		if !secret {
			return refused(errMethod)
		}
		if !client.SecretMatches(c.secret) {
			return refused(errSecret)
		}
		return nil
	case authz.AuthTLS, authz.AuthSelfSignedTLS:
		if c.browser {
			return refused(errBrowser)
		}
		if err := client.Certificates.Match(c.method, c.chain, a.Now()); err != nil {
			return refused(err)
		}
		return nil
	case authz.AuthPrivateKeyJWT:
		if client.Auth != authz.AuthPrivateKeyJWT {
			return refused(errMethod)
		}
		return a.checkAssertion(ctx, client, c.assertion)
	}
	return refused(errMethod)
}

// used notes that an instance of an app is in use. It may have been taken out since it was found.
func (a *Authenticator) used(ctx context.Context, client *authz.Client) error {
	err := a.Clients.Used(ctx, client)
	switch {
	case authz.Gone(err):
		return refused(errUnknown)
	case err != nil:
		return authz.Failure(err)
	}
	return nil
}

func (a *Authenticator) checkAssertion(ctx context.Context, client *authz.Client, token assertion) error {
	if err := token.check(client, a.Issuer, a.Now()); err != nil {
		return refused(fmt.Errorf("checking the assertion: %w", err))
	}
	if client.Registered { // anybody may have one
		if err := a.remembers(ctx); err != nil {
			return err
		}
	}
	// Last, so that only what its client has signed is remembered.
	fresh, err := a.Store.SpendAssertion(ctx, client.ID, token.claims.ID, token.expires().Add(skew))
	switch {
	case err != nil:
		return authz.Failure(err)
	case !fresh:
		return refused(errReplayed)
	}
	return nil
}

func (a *Authenticator) observe(method authz.AuthMethod, outcome string) {
	if a.Observe != nil {
		a.Observe(method, outcome)
	}
}

// Refuse answers a request with an error. A client that failed with the Authorization header is told the scheme to use
// (RFC 6749 5.2); any other is not, since a browser would open a dialog for its page's request.
func (a *Authenticator) Refuse(w http.ResponseWriter, r *http.Request, err error, logger *slog.Logger) {
	if oauth.AsError(err).Code == oauth.InvalidClient && len(r.Header["Authorization"]) > 0 {
		challenge := oauth.WWWAuthenticate{Scheme: "Basic", Realm: a.Issuer}
		w.Header().Set("WWW-Authenticate", challenge.String())
	}
	httpx.WriteError(w, r, err, logger)
}
