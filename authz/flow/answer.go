// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
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
	code, completion, ok := authz.NewCompletion(h.Intake.Engine, &v.request, v.target.client, &v.session, h.Store.Now())
	if !ok {
		h.end(w, r, v, oauth.Internal(errors.New("no proof of the session determines the user")))
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

// completeLocal returns to the page of ours that asked for the login.
func (h *Handler) completeLocal(w http.ResponseWriter, r *http.Request, v visit) {
	if err := h.Store.CloseRequest(r.Context(), v.request.ID); err != nil {
		h.refuse(w, r, nil, err)
		return
	}
	h.redirect(w, v.request.Local, nil)
}

// answer sends an authorization response. Every one names the issuer (RFC 9207 2) and returns the state as it came.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, t *target, params url.Values) {
	params.Set("iss", h.Issuer)
	if t.state != "" {
		params.Set("state", t.state)
	}
	if t.mode == modeFormPost {
		page := web.FormPostPage{Locale: t.locale, Client: t.client.DisplayName(), Action: t.uri, FormTargets: onward(t)}
		for _, name := range slices.Sorted(maps.Keys(params)) {
			page.Fields = append(page.Fields, web.Field{Name: name, Value: params.Get(name)})
		}
		h.Pages.Render(w, r, http.StatusOK, page)
		return
	}
	seeOther(w, oauth.WithQuery(t.uri, params))
}

// redirect leads to one of our own pages. The path is relative to the origin, so that nothing a client sends, the Host
// header included, decides where it leads.
func (h *Handler) redirect(w http.ResponseWriter, path string, params url.Values) {
	location := h.base + path
	if len(params) > 0 {
		location += "?" + params.Encode()
	}
	seeOther(w, location)
}

// seeOther redirects with 303, after which no browser sends a body again (RFC 9700 4.12). The location may hold a code, so
// it is neither stored nor told to the next page.
func seeOther(w http.ResponseWriter, location string) {
	httpx.NoStore(w)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}

// onward lists where an answer to one of our forms may lead. Browsers hold every redirect that follows a form to the page's
// policy, and an application's callback often redirects once more, to another of its hosts. A protected site does not.
func onward(t *target) []string {
	if t.client.Site {
		return []string{t.uri}
	}
	return []string{t.uri, "https:"}
}
