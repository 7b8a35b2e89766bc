// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
	"github.com/gatehouse-id/gatehouse/validation"
)

// Tokens judges access tokens of the issuer. A [validation.Validator] does.
type Tokens interface {
	Validate(ctx context.Context, c validation.Credential) (*validation.Principal, error)
}

// Authenticator finds out which client calls the API. Clients and Tokens are required. It is safe for concurrent use.
type Authenticator struct {
	Clients *clientauth.Authenticator
	Tokens  Tokens
	// DPoP takes tokens that are bound to keys; nil refuses them.
	DPoP *validation.DPoP
}

// requestParam holds the JSON of a request that comes as a form.
const requestParam = "request"

// formParams are all that a form may have.
var formParams = []string{"client_id", "client_secret", "client_assertion_type", "client_assertion", requestParam}

// Reasons of a refusal, for the log.
var (
	errPerson  = errors.New("the token is not the client's own")
	errPublic  = errors.New("the client does not authenticate")
	errUnknown = errors.New("the client is not known any more")
)

// Authenticate returns the client that sent a request, with those of its scopes that are the API's. A request has one
// credential: a token (RFC 6750 2.1, RFC 9449 7.1) or id and secret (RFC 6749 2.3.1) in the Authorization header, or a secret or an
// assertion (RFC 7523 2.2) in a form. A form is the body of a POST; what the call takes stands in its parameter "request" and
// becomes the body.
//
// A token counts that a client has got for itself (RFC 9068 5): its subject is the client. One that a person has consented to
// does not, for people have no say over other people's records. Nor does a public client, which anybody can be.
// Refusals are *[oauth.Error].
func (a *Authenticator) Authenticate(r *http.Request) (wire.Caller, error) {
	credential, found, err := a.DPoP.FromRequest(r)
	switch {
	case err != nil:
		return wire.Caller{}, err
	case found:
		return a.byToken(r.Context(), credential)
	}
	params, err := form(r)
	if err != nil {
		return wire.Caller{}, err
	}
	client, err := a.Clients.Authenticate(r.Context(), r, params)
	switch {
	case err != nil:
		return wire.Caller{}, err
	case !client.Confidential():
		return wire.Caller{}, oauth.NewError(oauth.InvalidClient, "the client could not be authenticated").WithCause(errPublic)
	}
	return caller(client, client.Scopes), nil
}

func (a *Authenticator) byToken(ctx context.Context, credential validation.Credential) (wire.Caller, error) {
	p, err := a.Tokens.Validate(ctx, credential)
	if err != nil {
		return wire.Caller{}, err
	}
	if p.ClientID == "" || p.Subject != p.ClientID || p.SessionID != "" {
		return wire.Caller{}, oauth.NewError(oauth.InvalidToken, "the token is not the client's own").WithCause(errPerson)
	}
	client, err := a.Clients.Clients.Lookup(ctx, p.ClientID)
	if err != nil && !authz.Gone(err) {
		return wire.Caller{}, authz.Failure(err)
	}
	if err != nil || client.Site || !client.Confidential() {
		return wire.Caller{}, oauth.NewError(oauth.InvalidToken, "the token is not valid").WithCause(errUnknown)
	}
	return caller(client, p.Scopes), nil
}

func caller(client *authz.Client, scopes oauth.Scopes) wire.Caller {
	own := slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !strings.HasPrefix(s, wire.ScopePrefix) })
	return wire.Caller{ClientID: client.ID, Scopes: own, Networks: client.Networks}
}

// form reads the credentials of a request that is a form, and puts what was asked in the place of its body. Any other request has
// none there.
func form(r *http.Request) (oauth.Params, error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || kind != "application/x-www-form-urlencoded" {
		return nil, nil
	}
	// A browser adds an Authorization header that it remembers to any form that a page makes it send.
	if len(r.Header["Authorization"]) > 0 {
		return nil, oauth.NewError(oauth.InvalidRequest, "a form has the credentials in itself, not in the Authorization header")
	}
	params, err := httpx.Form(r)
	if err != nil {
		return nil, err
	}
	for name := range params {
		if !slices.Contains(formParams, name) {
			return nil, oauth.NewError(oauth.InvalidRequest, "the form has a parameter that is no credential; send JSON as request")
		}
	}
	request := params.Get(requestParam)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(request)), int64(len(request))
	r.Header.Del("Content-Type")
	if request != "" {
		r.Header.Set("Content-Type", wire.JSON)
	}
	return params, nil
}
