// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/intake"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// consentNeeded reports whether the user has to be asked. The operator's own clients are trusted, unless they want the user
// to be asked. An agreement is remembered for clients whose identity is assured: any program on a device can claim a
// private-use scheme or listen on a loopback port, so a public client there is asked for again each time (RFC 8252 8.6).
func (h *Handler) consentNeeded(ctx context.Context, v *visit) (bool, error) {
	client := v.target.client
	switch {
	case v.request.Prompt.Consent || intake.NeedsConsent(&v.request): // whoever the client is, and whatever was agreed to before
		return true, nil
	case client.FirstParty:
		return false, nil
	case !client.Confidential() && !strings.HasPrefix(v.target.uri, "https://"):
		return true, nil
	}
	consented, err := h.Store.Consented(ctx, v.session.Subject, client.ID, v.request.Scopes)
	return !consented, err
}

// consent shows the question and takes the answer.
func (h *Handler) consent(w http.ResponseWriter, r *http.Request) {
	params, err := session.Params(r)
	if err != nil {
		h.refuse(w, r, nil, err)
		return
	}
	v, err := h.visit(r, params.Get(session.FieldRequest))
	if err == nil && v.request.Local != "" {
		err = authz.ErrRequestEnded // a page of ours asks for no consent
	}
	if err != nil {
		h.refuse(w, r, nil, err)
		return
	}
	if v.target, err = h.recall(r.Context(), &v.request); err != nil {
		h.refuse(w, r, v.target, err)
		return
	}
	h.decide(w, r, v, params)
}

// decide acts on what was sent. A form without a good token is shown again: it is from another site, or from before a login.
func (h *Handler) decide(w http.ResponseWriter, r *http.Request, v visit, params oauth.Params) {
	next, err := h.next(r.Context(), &v)
	if err != nil {
		h.end(w, r, v, err)
		return
	}
	mine := r.Method == http.MethodPost &&
		v.browser.Allows(params.Get(session.FieldStep), session.StepConsent, v.request.ID, v.session.ID)
	switch decision := params.Get(web.DecisionField); {
	case mine && decision == web.DecisionDeny:
		if err := h.record(r, &v, audit.Refused); err != nil {
			h.end(w, r, v, err)
			return
		}
		h.end(w, r, v, oauth.NewError(oauth.AccessDenied, "the user did not agree"))
	case next != actConsent:
		h.dispatch(w, r, v)
	case mine && decision == web.DecisionAllow:
		if err := h.record(r, &v, audit.Accepted); err != nil {
			h.end(w, r, v, err)
			return
		}
		h.complete(w, r, v, true)
	case r.Method == http.MethodPost:
		h.step(w, authz.PathConsent, &v)
	default:
		h.ask(w, r, &v)
	}
}

func (h *Handler) ask(w http.ResponseWriter, r *http.Request, v *visit) {
	page := web.ConsentPage{
		Locale: v.request.UILocales,
		Client: v.target.client.DisplayName(),
		User:   v.session.Name,
		Action: h.base + authz.PathConsent,
		Hidden: []web.Field{
			{Name: session.FieldRequest, Value: v.request.ID},
			{Name: session.FieldStep, Value: v.browser.Token(session.StepConsent, v.request.ID, v.session.ID)},
		},
		FormTargets: session.Onward(v.target.client, v.target.uri),
	}
	if u, err := url.Parse(v.target.uri); err == nil {
		page.Destination = u.Host
	}
	locale := h.Pages.Locale(v.request.UILocales, r.Header.Get("Accept-Language"))
	for _, scope := range v.request.Scopes {
		text := cmp.Or(h.ScopeTexts[scope], h.Pages.ScopeText(locale, scope))
		page.Scopes = append(page.Scopes, web.ScopeLine{Name: scope, Text: text})
	}
	var err error
	if page.Details, err = h.Intake.Details.Lines(v.request.Details, cmp.Or(v.request.UILocales, locale)); err != nil {
		h.end(w, r, *v, err)
		return
	}
	h.Pages.Render(w, r, http.StatusOK, page)
}

func (h *Handler) record(r *http.Request, v *visit, outcome string) error {
	e := event(r, v, "consent", outcome)
	asked := append(slices.Clone(v.request.Scopes), v.request.Details.Types()...)
	e.Reason, e.Subject, e.SessionID = asked.String(), v.session.Subject, v.session.ID
	return h.Trail.Record(r.Context(), e)
}

// event begins the audit event of a decision.
func event(r *http.Request, v *visit, name, outcome string) audit.Event {
	caller := httpx.CallerOf(r.Context())
	return audit.Event{
		Name: name, Outcome: outcome, ClientID: v.request.ClientID, ClientIP: caller.ClientIP, RequestID: caller.RequestID,
	}
}
