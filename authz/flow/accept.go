// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"context"
	"net/http"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Response modes.
const (
	modeQuery    = "query"
	modeFormPost = "form_post"
)

// maxState bounds what is kept of a request, so that every request that is accepted can be stored.
const maxState = 4 << 10

// target is where the answer to a request goes. It exists only once client and redirect URI are known to be good.
type target struct {
	client *authz.Client
	uri    string
	mode   string
	state  string
	locale string
}

// target reads what decides whether an answer may be sent at all. Its errors are pages.
func (h *Handler) target(ctx context.Context, p oauth.Params) (*target, error) {
	client, err := session.FindClient(ctx, h.Clients, p.Get("client_id"))
	if err != nil {
		return nil, err
	}
	return targetOf(client, p)
}

// targetOf is target for a client that is known.
func targetOf(client *authz.Client, p oauth.Params) (*target, error) {
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

// accept reads everything else. What it returns is all that will ever be known about the request. The state comes first: from
// then on every error carries it.
func (h *Handler) accept(r *http.Request, t *target, p oauth.Params) (authz.Request, error) {
	state, err := p.Visible("state")
	if err != nil {
		return authz.Request{}, err
	}
	t.state = state
	if len(state) > maxState {
		return authz.Request{}, oauth.NewError(oauth.InvalidRequest, "the state parameter is too long")
	}
	request, err := h.Intake.Read(r.Context(), t.client, p)
	if err != nil {
		return authz.Request{}, err
	}
	request.State, request.RedirectURI, request.ResponseMode = state, t.uri, t.mode
	return request, nil
}
