// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Narrower judges what a token request asks for of the authorization_details that were granted.
type Narrower interface {
	// Narrow returns as much of what was granted as a client that may use the allowed types still has, or the part of it that the
	// text names. Anything else is invalid_authorization_details (RFC 9396 6).
	Narrow(text string, granted oauth.Details, allowed []string) (oauth.Details, error)
}

// Config is what the token endpoint needs. All fields are required but Grace, Details, Applications, Backchannel and Observe.
type Config struct {
	Clients *clientauth.Authenticator
	Store   *authz.Store
	Tokens  *tokens.Issuer
	// Revoke is told of revocations that the endpoint makes, so that this node's gates refuse at once.
	Revoke func(...authz.Revocation)
	Trail  *audit.Trail
	// Grace is for how long after a rotation the refresh token before is answered with the current one.
	Grace  time.Duration
	Now    func() time.Time
	Logger *slog.Logger
	// Details knows the types of authorization_details. Nil knows none.
	Details Narrower
	// Applications knows which versions of apps are refused: nothing is issued to them. Nil refuses none.
	Applications realm.Applications
	// Backchannel knows what people have approved on their phones. Without it nothing of that kind is fetched.
	Backchannel Backchannel
	// Observe is called with the outcome of every request, for metrics: "issued" or an error code.
	Observe func(grant, outcome string)
}

// Handler is the token endpoint. It is safe for concurrent use.
type Handler struct {
	Config
}

var _ http.Handler = (*Handler)(nil)

// New returns the token endpoint, or an error when something is missing.
func New(c Config) (*Handler, error) {
	if c.Clients == nil || c.Store == nil || c.Tokens == nil || c.Revoke == nil || c.Trail == nil || c.Now == nil || c.Logger == nil {
		return nil, errors.New("building the token endpoint: clients, store, tokens, revocations, trail, clock and logger are required")
	}
	if c.Grace < 0 {
		return nil, errors.New("building the token endpoint: the grace window is negative")
	}
	if c.Observe == nil {
		c.Observe = func(string, string) {}
	}
	return &Handler{c}, nil
}

// grantType fills the phases that differ.
type grantType struct {
	name authz.GrantType
	// scope checks or completes the scopes that were asked for. They are within the client's already.
	scope func(*call) error
	// settle makes the transition and says what it allows to be minted.
	settle func(context.Context, *Handler, *call) (issue, error)
}

// types is every grant type that works as the endpoint is configured.
func (h *Handler) types() []grantType {
	all := []grantType{authorizationCode, refreshToken, clientCredentials}
	if h.Backchannel != nil {
		all = append(all, backchannel)
	}
	return all
}

// Supported returns the grant types of the endpoint, for the metadata.
func (h *Handler) Supported() []string {
	var names []string
	for _, g := range h.types() {
		names = append(names, string(g.name))
	}
	return names
}

// call is one request on its way through the phases.
type call struct {
	params oauth.Params
	client *authz.Client
	grant  grantType
	scopes oauth.Scopes
	// key is the thumbprint of the key that the sender holds and that the tokens are bound to; empty for bearer tokens.
	key string
	// certificate is the thumbprint of the certificate of the connection that the tokens are bound to; empty for none.
	certificate string
	// at is when the request came: tokens are issued as of then, so that a revocation during the transition covers them.
	at time.Time
}

// issue is what a settled grant allows to be minted.
type issue struct {
	scopes  oauth.Scopes
	details oauth.Details
	// grant is what the user allowed; nil for a client's own token.
	grant   *authz.Grant
	nonce   string
	refresh string
	// pushed is the auth_req_id of a request whose tokens are sent to the client; empty for what is fetched.
	pushed string
	// authSession lets a native app go on from the session in the browser (draft-ietf-oauth-first-party-apps-04, 6.1).
	authSession string
}

// ServeHTTP answers a token request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if httpx.CORS(w, r, http.MethodPost) {
		return
	}
	c := call{at: h.Now()}
	answer, err := h.serve(r, &c)
	if err != nil {
		e := oauth.AsError(err)
		h.Observe(string(c.grant.name), string(e.Code))
		h.Clients.Refuse(w, r, e, h.Logger)
		return
	}
	h.Observe(string(c.grant.name), "issued")
	httpx.NoStore(w)
	httpx.WriteBody(w, http.StatusOK, answer)
}

// serve is the row of phases.
func (h *Handler) serve(r *http.Request, c *call) (answer []byte, err error) {
	ctx := r.Context()
	if c.params, err = httpx.Form(r); err != nil {
		return nil, err
	}
	if c.client, err = h.Clients.Authenticate(ctx, r, c.params); err != nil {
		return nil, err
	}
	if c.grant, err = h.find(c.client, c.params.Get("grant_type")); err != nil {
		return nil, err
	}
	if err := c.scope(); err != nil {
		return nil, err
	}
	if err := h.hold(r, c); err != nil {
		return nil, err
	}
	settled, err := c.grant.settle(ctx, h, c)
	if err != nil {
		return nil, err
	}
	return h.mint(c, settled)
}

// hold finds out which key and which certificate the tokens are bound to (RFC 9449 5, RFC 8705 3). A client that has its tokens bound gets
// no others (RFC 9449 5.2, RFC 8705 3.4).
func (h *Handler) hold(r *http.Request, c *call) (err error) {
	if c.key, err = h.Clients.Holder(r); err != nil {
		return err
	}
	if c.key == "" && c.client.BoundTokens {
		return oauth.NewError(oauth.InvalidDPoPProof, "the client has its tokens bound to a key: a DPoP proof is required")
	}
	if c.client.CertificateBound {
		c.certificate, err = clientauth.Certificate(r)
	}
	return err
}

// find returns the grant type of a name that the client may use.
func (h *Handler) find(client *authz.Client, name string) (grantType, error) {
	if name == "" {
		return grantType{}, oauth.NewError(oauth.InvalidRequest, "grant_type is missing")
	}
	for _, g := range h.types() {
		if string(g.name) != name {
			continue
		}
		if !client.May(g.name) {
			return g, oauth.NewError(oauth.UnauthorizedClient, "the client may not use this grant type")
		}
		return g, nil
	}
	return grantType{}, oauth.NewError(oauth.UnsupportedGrantType, "the grant type is not supported")
}

// scope is the scope rule: nothing beyond the client's own scopes, whatever the grant type.
func (c *call) scope() error {
	asked, err := oauth.ParseScopes(c.params.Get("scope"))
	if err != nil {
		return err
	}
	c.scopes = asked
	return c.grant.scope(c)
}

// withinClient refuses scopes that the client may not ask for.
func withinClient(c *call) error {
	if !c.scopes.Within(c.client.Scopes) {
		return oauth.NewError(oauth.InvalidScope, "the client may not ask for one of the scopes")
	}
	return nil
}

// allowed returns those of a grant's scopes that the client still may have: a configuration that was narrowed since holds
// at the next token.
func (c *call) allowed(granted oauth.Scopes) oauth.Scopes {
	var kept oauth.Scopes
	for _, scope := range granted {
		if c.client.Scopes.Has(scope) {
			kept = append(kept, scope)
		}
	}
	return kept
}

// details returns the authorization_details that the request gets of a grant (RFC 9396 6).
func (h *Handler) details(c *call, grant *authz.Grant) (oauth.Details, error) {
	asked := c.params.Get("authorization_details")
	switch {
	case h.Details != nil:
		return h.Details.Narrow(asked, grant.Details, c.client.DetailTypes)
	case asked != "":
		return nil, oauth.NewError(oauth.InvalidAuthorizationDetails, "a type of authorization_details is not known")
	}
	return nil, nil
}

// barred refuses a version of an app. Unlike the others, this refusal tells what is wrong: nobody guesses a version, and the app has
// to know that logging in again is no way out.
func barred() error {
	return oauth.NewError(oauth.InvalidGrant, "this version of the app is not accepted any more")
}

// event begins the audit event of a request.
func (c *call) event(ctx context.Context, name string) audit.Event {
	caller := httpx.CallerOf(ctx)
	return audit.Event{
		Name: name, Outcome: audit.Accepted, Reason: string(c.grant.name), ClientID: c.client.ID,
		ClientIP: caller.ClientIP, RequestID: caller.RequestID,
	}
}
