// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Response modes.
const (
	modeQuery    = "query"
	modeFormPost = "form_post"
)

// Limits on what is kept of a request, so that every request that is accepted can be stored.
const (
	maxState = 4 << 10
	maxNonce = 1 << 10
	maxHint  = 256
)

// target is where the answer to a request goes. It exists only once client and redirect URI are known to be good.
type target struct {
	client *authz.Client
	uri    string
	mode   string
	state  string
	locale string
}

// target reads what decides whether an answer may be sent at all. Its errors are pages.
func (h *Handler) target(p oauth.Params) (*target, error) {
	client, ok := h.Clients.Find(p.Get("client_id"))
	if !ok {
		return nil, session.ErrClient
	}
	t := &target{client: client, uri: p.Get("redirect_uri"), mode: p.Get("response_mode"), locale: p.Get("ui_locales")}
	if t.uri == "" || !client.MatchRedirectURI(t.uri) {
		return nil, errRedirectURI
	}
	switch t.mode {
	case "":
		t.mode = modeQuery
	case modeQuery:
	case modeFormPost:
		if !strings.HasPrefix(t.uri, "https://") && !strings.HasPrefix(t.uri, "http://") {
			return nil, errResponseMode // a page cannot post to a private-use scheme
		}
	default:
		return nil, errResponseMode // OpenID Connect Core 3.1.2.6
	}
	return t, nil
}

// reading is a request while its parameters are read. Its errors go to the client.
type reading struct {
	*Handler
	http    *http.Request
	target  *target
	params  oauth.Params
	request authz.Request
}

// accept reads everything else. What it returns is all that will ever be known about the request.
func (h *Handler) accept(r *http.Request, t *target, p oauth.Params) (authz.Request, error) {
	in := &reading{Handler: h, http: r, target: t, params: p, request: authz.NewRequest(h.Store.Now())}
	in.request.ClientID, in.request.RedirectURI, in.request.ResponseMode = t.client.ID, t.uri, t.mode
	// The state comes first: from then on every error carries it.
	for _, read := range []func() error{in.readState, in.readProtocol, in.readScope, in.readPeople, in.readAuthentication} {
		if err := read(); err != nil {
			return authz.Request{}, err
		}
	}
	return in.request, nil
}

func (in *reading) readState() error {
	state, err := in.params.Visible("state")
	if err != nil {
		return err
	}
	in.target.state, in.request.State = state, state
	if len(state) > maxState {
		return oauth.NewError(oauth.InvalidRequest, "the state parameter is too long")
	}
	return nil
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
	case !in.target.client.May(authz.GrantAuthorizationCode):
		return oauth.NewError(oauth.UnauthorizedClient, "the client may not use this grant")
	case len(p.Get("nonce")) > maxNonce:
		return oauth.NewError(oauth.InvalidRequest, "the nonce parameter is too long")
	}
	in.request.Nonce = p.Get("nonce")
	in.request.Challenge, err = oauth.ParseChallenge(p.Get("code_challenge"), p.Get("code_challenge_method"))
	return err
}

// readScope settles what is asked for. A client gets what it may ask for and nothing is added. offline_access is left out
// where it could not be used, as OpenID Connect Core 11 has it; every other scope that the client may not ask for is an error.
func (in *reading) readScope() error {
	client := in.target.client
	scopes, err := oauth.ParseScopes(in.params.Get("scope"))
	if err != nil {
		return err
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
	subject, err := in.Hints.Subject(in.http.Context(), token)
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
	demand := realm.Demand{Scopes: in.request.Scopes, ACRValues: strings.Fields(in.params.Get("acr_values"))}
	switch {
	case prompt.Login || prompt.SelectAccount || limited && age == 0:
		demand.NotBefore = in.request.CreatedAt.Add(time.Millisecond) // the clock's grain: newer than the request
	case limited:
		demand.NotBefore = in.request.CreatedAt.Add(-age)
	}
	in.request.Requirements, err = in.Engine.Require(demand)
	if errors.Is(err, realm.ErrUnknownACR) && !essential(in.target.client, in.request.Scopes) {
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
