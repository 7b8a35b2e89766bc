// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// complete ends a request whose every requirement is met. Of two that complete one request at the same time, the store lets
// one through.
func (h *Handler) complete(w http.ResponseWriter, r *http.Request, v visit, agreed bool) {
	if v.target == nil {
		h.completeLocal(w, r, v)
		return
	}
	code, completion, ok := session.NewCompletion(h.Intake.Engine, &v.request, v.target.client, &v.session, h.Store.Now())
	if !ok {
		h.fallShort(w, r, v)
		return
	}
	completion.RememberConsent, completion.Remembered = agreed, !agreed && !v.target.client.FirstParty
	if v.stored {
		completion.RequestID = v.request.ID
	}
	err := h.Sessions.Complete(r, completion, h.Logger)
	switch {
	case errors.Is(err, authz.ErrSessionEnded):
		v.session = authz.Session{}
		h.dispatch(w, r, v) // nobody is signed in any more: begin again
	case errors.Is(err, authz.ErrConsentWithdrawn):
		h.dispatch(w, r, v) // the user has to be asked after all
	case errors.Is(err, authz.ErrRequestEnded):
		h.refuse(w, r, nil, err)
	case err != nil:
		h.refuse(w, r, v.target, err)
	default:
		h.answer(w, r, v.target, url.Values{"code": {code}})
	}
}

// fallShort goes on with a request that could not end with a code after all. A proof may have grown too old, or fallen, in the instant
// since it was counted: then it is missing.
func (h *Handler) fallShort(w http.ResponseWriter, r *http.Request, v visit) {
	if _, missing := v.request.Missing(h.Intake.Engine, v.session, h.Store.Now()); missing {
		h.dispatch(w, r, v)
		return
	}
	h.end(w, r, v, oauth.Internal(errors.New("no proof of the session determines the user")))
}

// completeLocal returns to the page of ours that asked for the login.
func (h *Handler) completeLocal(w http.ResponseWriter, r *http.Request, v visit) {
	if err := h.Store.CloseRequest(r.Context(), v.request.ID); err != nil {
		h.refuse(w, r, nil, err)
		return
	}
	h.Sessions.Lead(w, v.request.Local, nil)
}

// answer sends an authorization response. Every one names the issuer (RFC 9207 2) and returns the state as it came.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, t *target, params url.Values) {
	params.Set("iss", h.Issuer)
	if t.state != "" {
		params.Set("state", t.state)
	}
	if t.mode == modeFormPost {
		page := web.FormPostPage{Locale: t.locale, Client: t.client.DisplayName(), Action: t.uri, FormTargets: session.Onward(t.client, t.uri)}
		for _, name := range slices.Sorted(maps.Keys(params)) {
			page.Fields = append(page.Fields, web.Field{Name: name, Value: params.Get(name)})
		}
		h.Pages.Render(w, r, http.StatusOK, page)
		return
	}
	session.SeeOther(w, oauth.WithQuery(t.uri, params))
}
