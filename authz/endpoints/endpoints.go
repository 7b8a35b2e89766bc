// SPDX-License-Identifier: Apache-2.0

package endpoints

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/validation"
)

// Tokens judges access tokens of this issuer, whatever their audience. A [validation.Validator] for every audience that a
// client may have does.
type Tokens interface {
	// Validate judges a token that its sender presents, and Inspect one that somebody asks about.
	Validate(ctx context.Context, c validation.Credential) (*validation.Principal, error)
	Inspect(ctx context.Context, raw string) (*validation.Principal, error)
}

// Signer signs introspection responses. An issuer of tokens does.
type Signer interface {
	Introspection(audience string, response []byte, alg validation.Algorithm) (string, error)
}

// Keys is what is published about the signing keys. A key ring does.
type Keys interface {
	// JWKS returns the set of published keys, nil before they are known. The same keys are the same bytes.
	JWKS() []byte
	// Algorithms returns the algorithms there are keys for, the default first.
	Algorithms() []validation.Algorithm
}

// Hints reads ID tokens that come back as hints.
type Hints interface {
	Read(ctx context.Context, idToken string) (authz.Hint, error)
}

// Profiles knows the users' claims (OpenID Connect Core 5.1).
type Profiles interface {
	// Profile returns the claims about a user, or an error that is [authz.Gone] for one who does not exist or may not log
	// in. Which of the claims a client may see is not its business.
	Profile(ctx context.Context, subject string) (map[string]any, error)
}

// Applications knows which versions of apps are refused.
type Applications interface {
	Disabled(id, platform, version string) bool
}

// Metadata is what the configuration adds to the metadata.
type Metadata struct {
	Scopes     oauth.Scopes
	ACRValues  []string
	GrantTypes []string
	// DetailTypes are the registered types of authorization_details.
	DetailTypes []string
	// Registration says that apps may register (RFC 7591).
	Registration bool
	// Backchannel is what clients that ask people on their phones find; nil where there are none.
	Backchannel *Backchannel
	// MutualTLS is what clients with certificates find; nil where there are none.
	MutualTLS *MutualTLS
}

// MutualTLS is what is published about certificates of clients (RFC 8705).
type MutualTLS struct {
	// Origin is where the endpoints stand at which connections are asked for certificates, such as https://mtls.example.com; empty where
	// that is the issuer's own.
	Origin string
	// Methods are the ways in which clients may authenticate by them.
	Methods []string
}

// Backchannel is what is published about the backchannel authentication endpoint (OpenID CIBA Core 4).
type Backchannel struct {
	// Modes are the ways in which a client can learn the result.
	Modes []string
	// UserCode says that clients may be registered for user codes.
	UserCode bool
}

// Config is what the endpoints need. All fields but DPoP and Applications are required.
type Config struct {
	Issuer  string
	Store   *authz.Store
	Clients *clientauth.Authenticator
	Tokens  Tokens
	// DPoP takes access tokens that are bound to keys where one is presented here; nil refuses them.
	DPoP     *validation.DPoP
	Keys     Keys
	Signer   Signer
	Hints    Hints
	Profiles Profiles
	Sessions *session.Manager
	Pages    *web.Renderer
	Trail    *audit.Trail
	// Apply is told of revocations that the endpoints make, so that this node's gates refuse at once.
	Apply    func(...authz.Revocation)
	Logger   *slog.Logger
	Metadata Metadata
	// Applications is asked about refresh tokens; nil refuses none.
	Applications Applications
}

// Handler is all of the endpoints. It is safe for concurrent use.
type Handler struct {
	Config
	base  string
	pages session.ErrorPages
}

// New returns the endpoints, or an error when something is missing.
func New(c Config) (*Handler, error) {
	if err := oauth.CheckIssuer(c.Issuer); err != nil {
		return nil, errors.Join(errors.New("building the endpoints"), err)
	}
	if c.Store == nil || c.Clients == nil || c.Tokens == nil || c.Keys == nil || c.Signer == nil || c.Hints == nil || c.Profiles == nil ||
		c.Sessions == nil || c.Pages == nil || c.Trail == nil || c.Apply == nil || c.Logger == nil {
		return nil, errors.New("building the endpoints: a required part is missing")
	}
	return &Handler{
		Config: c, base: authz.BasePath(c.Issuer), pages: session.ErrorPages{Pages: c.Pages, Logger: c.Logger},
	}, nil
}

// Routes returns the handlers by their path below the issuer.
func (h *Handler) Routes() map[string]http.Handler {
	return map[string]http.Handler{
		authz.PathJWKS:       http.HandlerFunc(h.jwks),
		authz.PathIntrospect: http.HandlerFunc(h.introspect),
		authz.PathRevoke:     http.HandlerFunc(h.revoke),
		authz.PathUserinfo:   http.HandlerFunc(h.userinfo),
		authz.PathLogout:     http.HandlerFunc(h.logout),
	}
}

// WellKnown returns the handlers of the metadata by their whole path: not all of them are below an issuer with a path.
func (h *Handler) WellKnown() map[string]http.Handler {
	handlers := map[string]http.Handler{}
	for _, path := range authz.MetadataPaths(h.Issuer) {
		handlers[path] = http.HandlerFunc(h.metadata)
	}
	return handlers
}

// event begins the audit event of a request.
func event(r *http.Request, name string) audit.Event {
	caller := httpx.CallerOf(r.Context())
	return audit.Event{Name: name, Outcome: audit.Accepted, ClientIP: caller.ClientIP, RequestID: caller.RequestID}
}
