// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// Refusals that never become an answer to the client, beside those of the session package: because nobody knows yet whether
// the client is who it says, because OpenID Connect Core 3.1.2.6 has it so, or because the browser did too much.
var (
	errRedirectURI = &session.Refusal{
		Status: http.StatusBadRequest, Message: web.ErrorRedirectURI, Reason: "the redirect URI is not one of the client's",
	}
	errResponseMode = &session.Refusal{
		Status: http.StatusBadRequest, Message: web.ErrorRequest, Reason: "the response mode is not supported",
	}
)

func errThrottled(wait time.Duration) error {
	return &session.Refusal{
		Status: http.StatusTooManyRequests, Message: web.ErrorThrottled, RetryAfter: wait,
		Reason: "too many requests are begun from this address",
	}
}

// refuse tells an error: on a page when it is one that always is or there is no target, else as an answer to the client
// (RFC 6749 4.1.2.1). An unknown error becomes server_error or temporarily_unavailable, and its text stays in the log.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, t *target, err error) {
	if _, always := session.AsRefusal(err); always || t == nil {
		h.pages.Refuse(w, r, err)
		return
	}
	e := authz.Failure(err)
	httpx.LogError(r, e, h.Logger)
	h.answer(w, r, t, url.Values{"error": {string(e.Code)}, "error_description": {e.Description}})
}

// end refuses and closes the request, so that its id is worth nothing afterwards. When closing it breaks, the request is
// left to expire: what it can still lead to is what the user could begin anew at any time.
func (h *Handler) end(w http.ResponseWriter, r *http.Request, v visit, err error) {
	if v.stored {
		broke := h.Store.CloseRequest(r.Context(), v.request.ID)
		switch {
		case errors.Is(broke, authz.ErrRequestEnded):
			err = broke // another tab has answered already
		case broke != nil:
			httpx.LogError(r, authz.Failure(broke), h.Logger)
		}
	}
	h.refuse(w, r, v.target, err)
}
