// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"cmp"
	"net/http"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// handover asks the person whether the browser is to go on in the session that an app offers, and takes the answer. Whoever has
// pushed the request may want somebody else to use his account, so nothing happens before the answer.
func (h *Handler) handover(w http.ResponseWriter, r *http.Request) {
	params, err := session.Params(r)
	if err != nil {
		h.refuse(w, r, nil, err)
		return
	}
	v, offered, err := h.findOffer(r, params.Get(session.FieldRequest))
	switch {
	case authz.Gone(err) && v.stored:
		h.end(w, r, v, authz.ErrRequestEnded)
	case err != nil:
		h.refuse(w, r, v.target, err)
	case offered.ID == v.session.ID: // it is there already
		v.request.Handover = nil
		h.dispatch(w, r, v)
	default:
		h.decideOffer(w, r, v, offered, params)
	}
}

// findOffer loads a request of this browser and the session that is offered with it. The visit is stored once the request is known to
// be this browser's.
func (h *Handler) findOffer(r *http.Request, id string) (v visit, offered authz.Session, err error) {
	if v, err = h.visit(r, id); err != nil {
		return v, offered, err
	}
	if v.request.Handover == nil {
		return visit{}, offered, authz.ErrRequestEnded
	}
	if v.target, err = h.recall(r.Context(), &v.request); err == nil {
		offered, err = h.Store.Offered(r.Context(), v.request)
	}
	return v, offered, err
}

// decideOffer acts on what was sent. A form without a good token is shown again: it is from another site, or from before a login.
func (h *Handler) decideOffer(w http.ResponseWriter, r *http.Request, v visit, offered authz.Session, params oauth.Params) {
	mine := r.Method == http.MethodPost &&
		v.browser.Allows(params.Get(session.FieldStep), session.StepHandover, v.request.ID, v.session.ID)
	decision := params.Get(web.DecisionField)
	switch {
	case mine && decision == web.DecisionAllow:
		h.takeOver(w, r, v, offered)
	case mine && decision == web.DecisionDeny:
		if err := h.recordOffer(r, &v, &offered, audit.Refused); err != nil {
			h.end(w, r, v, err)
			return
		}
		h.end(w, r, v, oauth.NewError(oauth.AccessDenied, "the user did not want to go on in this browser"))
	case r.Method == http.MethodPost:
		h.step(w, authz.PathContinue, &v)
	default:
		h.askOffer(w, r, &v, &offered)
	}
}

// takeOver puts the browser into the session and goes on with the request.
func (h *Handler) takeOver(w http.ResponseWriter, r *http.Request, v visit, offered authz.Session) {
	err := h.recordOffer(r, &v, &offered, audit.Accepted)
	if err == nil {
		v.session, err = h.Sessions.TakeOver(w, r, v.request.ID)
	}
	switch {
	case authz.Gone(err):
		h.end(w, r, v, authz.ErrRequestEnded)
	case err != nil:
		h.refuse(w, r, v.target, err)
	default:
		v.request.Handover = nil
		h.dispatch(w, r, v)
	}
}

func (h *Handler) askOffer(w http.ResponseWriter, r *http.Request, v *visit, offered *authz.Session) {
	h.Pages.Render(w, r, http.StatusOK, web.ContinuePage{
		Locale: v.request.UILocales,
		User:   cmp.Or(offered.Name, offered.Subject),
		Client: v.target.client.DisplayName(),
		Other:  cmp.Or(v.session.Name, v.session.Subject),
		Action: h.base + authz.PathContinue,
		Hidden: []web.Field{
			{Name: session.FieldRequest, Value: v.request.ID},
			{Name: session.FieldStep, Value: v.browser.Token(session.StepHandover, v.request.ID, v.session.ID)},
		},
		FormTargets: session.Onward(v.target.client, v.target.uri),
	})
}

func (h *Handler) recordOffer(r *http.Request, v *visit, offered *authz.Session, outcome string) error {
	e := event(r, v, "session.continued", outcome)
	e.Subject, e.SessionID = offered.Subject, offered.ID
	return h.Trail.Record(r.Context(), e)
}
