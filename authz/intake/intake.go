// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/details"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Limits on what is kept of a request, so that every request that is accepted can be stored.
const (
	maxNonce = 1 << 10
	maxHint  = 256
)

// Hints verifies an id_token_hint.
type Hints interface {
	// Subject returns the user that an ID token of this issuer is about. An expired one is good: it is a hint. An error
	// means that the token is not one of ours.
	Subject(ctx context.Context, idToken string) (string, error)
}

// Reader reads authorization requests. Engine and Now are required. It is safe for concurrent use.
type Reader struct {
	Engine *realm.Engine
	Now    func() time.Time
	// Hints verifies id_token_hint; without it a hint is refused.
	Hints Hints
	// DefaultScopes stand in when neither the request nor its client names any.
	DefaultScopes oauth.Scopes
	// Details knows the types of authorization_details; nil knows none.
	Details *details.Registry
	// Limiter bounds, by address, how often a request is stored: it is a write that anybody can cause. Nil admits all.
	Limiter *limit.Limiter
}

// Admit counts a request that is about to be stored for the address it comes from. It returns how long that address has to
// wait first; zero admits it.
func (r *Reader) Admit(ctx context.Context) time.Duration {
	address := limit.Address(httpx.CallerOf(ctx).ClientIP)
	wait := r.Limiter.Wait(address)
	if wait <= 0 {
		r.Limiter.Count(address)
	}
	return wait
}

// reading is a request while its parameters are read.
type reading struct {
	*Reader
	ctx     context.Context
	client  *authz.Client
	params  oauth.Params
	request authz.Request
	// approving are the realms that have to be proven for this request alone.
	approving []string
}

// Read returns what a client asks for: all that will ever be known about the request, but where its answer goes. The errors
// are *[oauth.Error].
func (r *Reader) Read(ctx context.Context, client *authz.Client, p oauth.Params) (authz.Request, error) {
	in := &reading{Reader: r, ctx: ctx, client: client, params: p, request: authz.NewRequest(r.Now())}
	in.request.ClientID = client.ID
	for _, read := range []func() error{in.readProtocol, in.readDetails, in.readScope, in.readPeople, in.readAuthentication} {
		if err := read(); err != nil {
			return authz.Request{}, err
		}
	}
	return in.request, nil
}

func (in *reading) readProtocol() (err error) {
	p := in.params
	switch {
	case p.Get("request") != "":
		return oauth.NewError(oauth.RequestNotSupported, "request objects are not supported")
	case p.Get("request_uri") != "":
		return oauth.NewError(oauth.RequestURINotSupported, "request objects are not supported")
	case p.Get("response_type") == "":
		return oauth.NewError(oauth.InvalidRequest, "response_type is required")
	case p.Get("response_type") != "code":
		return oauth.NewError(oauth.UnsupportedResponseType, "response_type must be code")
	case !in.client.May(authz.GrantAuthorizationCode):
		return oauth.NewError(oauth.UnauthorizedClient, "the client may not use this grant")
	case len(p.Get("nonce")) > maxNonce:
		return oauth.NewError(oauth.InvalidRequest, "the nonce parameter is too long")
	}
	in.request.Nonce = p.Get("nonce")
	if in.request.Key = p.Get("dpop_jkt"); in.request.Key != "" && !jose.IsThumbprint(in.request.Key) {
		return oauth.NewError(oauth.InvalidRequest, "dpop_jkt is not the thumbprint of a key")
	}
	in.request.Challenge, err = oauth.ParseChallenge(p.Get("code_challenge"), p.Get("code_challenge_method"))
	return err
}

// readDetails reads what is asked for in detail (RFC 9396 3 to 5).
func (in *reading) readDetails() error {
	asked, err := in.Details.Read(in.params.Get("authorization_details"), in.client.DetailTypes, in.params.Get("ui_locales"))
	if err != nil {
		return err
	}
	in.request.Details, in.request.Message, in.approving = asked.Details, asked.Message, asked.Realms
	return nil
}

// NeedsConsent reports whether a request asks for details that nobody approves but who reads the consent page. A realm approves
// one at most.
func NeedsConsent(r *authz.Request) bool {
	approved := 0
	if r.Message != "" {
		approved = 1
	}
	return len(r.Details) > approved
}

// readScope settles what is asked for. A client gets what it may ask for and nothing is added. offline_access is left out
// where it could not be used, as OpenID Connect Core 11 has it; every other scope that the client may not ask for is an error.
func (in *reading) readScope() error {
	client := in.client
	scopes, err := oauth.ParseScopes(in.params.Get("scope"))
	if err != nil {
		return err
	}
	if in.params.Get("scope") == "" && len(in.request.Details) > 0 {
		return nil // the details are what is asked for, and no scope is added to them (RFC 9396 3.1)
	}
	if len(scopes) == 0 {
		scopes = client.DefaultScopes
	}
	if len(scopes) == 0 {
		scopes = slices.DeleteFunc(slices.Clone(in.DefaultScopes), func(scope string) bool { return !client.Scopes.Has(scope) })
	}
	if !client.May(authz.GrantRefreshToken) || !client.Scopes.Has(oauth.ScopeOfflineAccess) {
		scopes = scopes.Without(oauth.ScopeOfflineAccess)
	}
	switch {
	case len(scopes) == 0:
		return oauth.NewError(oauth.InvalidScope, "no scope is asked for and there is no default")
	case !scopes.Within(client.Scopes):
		return oauth.NewError(oauth.InvalidScope, "the client may not ask for one of the scopes")
	}
	in.request.Scopes = scopes
	return nil
}

// readPeople reads what is about the user. Hints are only that: one that cannot be used is left out.
func (in *reading) readPeople() error {
	if hint := in.params.Get("login_hint"); len(hint) <= maxHint {
		in.request.LoginHint = hint
	}
	if locales := in.params.Get("ui_locales"); len(locales) <= maxHint {
		in.request.UILocales = locales
	}
	token := in.params.Get("id_token_hint")
	if token == "" {
		return nil
	}
	refused := oauth.NewError(oauth.InvalidRequest, "id_token_hint is not an ID token of this issuer")
	if in.Hints == nil {
		return refused
	}
	subject, err := in.Hints.Subject(in.ctx, token)
	if err != nil || subject == "" {
		return refused
	}
	in.request.Subject = subject
	return nil
}

// readAuthentication fixes which realms have to be proven and since when. Freshness counts from the moment the request
// came: max_age=0 is prompt=login (OpenID Connect Core 3.1.2.1), and a proof that was there before satisfies neither.
func (in *reading) readAuthentication() error {
	prompt, err := oauth.ParsePrompt(in.params.Get("prompt"))
	if err != nil {
		return err
	}
	age, limited, err := oauth.ParseMaxAge(in.params.Get("max_age"))
	if err != nil {
		return err
	}
	in.request.Prompt = prompt
	demand := realm.Demand{
		Scopes: in.request.Scopes, ACRValues: strings.Fields(in.params.Get("acr_values")),
		Approving: in.approving, Request: in.request.ID,
	}
	switch {
	case prompt.Login || prompt.SelectAccount || limited && age == 0:
		demand.NotBefore = in.request.CreatedAt.Add(time.Millisecond) // the clock's grain: newer than the request
	case limited:
		demand.NotBefore = in.request.CreatedAt.Add(-age)
	}
	in.request.Requirements, err = in.Engine.Require(demand)
	if errors.Is(err, realm.ErrUnknownACR) && !essential(in.client, in.request.Scopes) {
		err = nil // voluntary: what is reached is told (OpenID Connect Core 5.5.1.1)
	}
	if errors.Is(err, realm.ErrUnknownACR) {
		return oauth.NewError(oauth.UnmetAuthentication, "none of the acr_values can be reached here")
	}
	if err != nil {
		return err
	}
	in.request.ACRValues = slices.DeleteFunc(demand.ACRValues, func(acr string) bool {
		_, known := in.Engine.ForACR(acr)
		return !known
	})
	return nil
}

// essential reports whether acr_values must be met. They must where the access token is for an API or a protected site,
// which asked for them (RFC 9470 5): a weaker token would only come back with the same question.
func essential(c *authz.Client, scopes oauth.Scopes) bool {
	ofOpenID := []string{
		oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopePhone, oauth.ScopeAddress, oauth.ScopeOfflineAccess,
	}
	return c.Site || len(scopes.Without(ofOpenID...)) > 0
}
