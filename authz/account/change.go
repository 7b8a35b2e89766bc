// SPDX-License-Identifier: Apache-2.0

package account

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// Audit events of the page.
const (
	eventSession = "session.ended"
	eventGrant   = "grant.revoked"
)

// reasonUser tells on the trail that the user did it.
const reasonUser = "user"

// change does what one of the page's buttons says. Nothing but the signed-in user's own is ever touched: what is named is
// looked for among it, and what is not there has ended already.
func (h *Handler) change(w http.ResponseWriter, r *http.Request, v *visit, params oauth.Params) {
	switch {
	case params.Get(web.EverywhereField) == "all":
		h.endAll(w, r, v)
	case params.Get(web.EndSessionField) != "":
		id := params.Get(web.EndSessionField)
		h.endSessions(w, r, v, func(s authz.Session) bool { return s.ID == id })
	case params.Get(web.RevokeGrantField) != "":
		h.withdraw(w, r, v, params.Get(web.RevokeGrantField))
	case params.Get(web.AddPhoneField) != "" && h.Phones != nil && h.Registrations != nil:
		h.add(w, r, v, params.Get(web.AddPhoneField))
	default:
		h.Sessions.Lead(w, authz.PathAccount, nil)
	}
}

// endAll ends every session of the user, and what is about to become one.
func (h *Handler) endAll(w http.ResponseWriter, r *http.Request, v *visit) {
	if err := h.Store.CancelLogins(r.Context(), v.session.Subject); err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	h.endSessions(w, r, v, func(authz.Session) bool { return true })
}

// endSessions ends those of the user's sessions that are meant, this one last: were it to break before, the user could
// still go on.
func (h *Handler) endSessions(w http.ResponseWriter, r *http.Request, v *visit, meant func(authz.Session) bool) {
	sessions, err := h.Store.SessionsOf(r.Context(), v.session.Subject)
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	sessions = slices.DeleteFunc(sessions, func(s authz.Session) bool { return !meant(s) })
	slices.SortStableFunc(sessions, func(a, b authz.Session) int { return later(a.ID == v.session.ID, b.ID == v.session.ID) })
	for _, s := range sessions {
		e := audit.Event{Name: eventSession, SessionID: s.ID}
		if err = h.record(r, v, e); err != nil {
			break
		}
		var made []authz.Revocation
		made, err = h.Store.EndSession(r.Context(), s.ID)
		h.Apply(made...)
		if err != nil {
			break
		}
	}
	switch {
	case err != nil:
		h.pages.Refuse(w, r, err)
	case slices.ContainsFunc(sessions, func(s authz.Session) bool { return s.ID == v.session.ID }):
		h.Sessions.Clear(w)
		h.Pages.Render(w, r, http.StatusOK, web.SignedOutPage{LoginURL: h.base + authz.PathAccount})
	default:
		h.done(w, doneSession, len(sessions) > 0)
	}
}

// later orders what is true behind what is not.
func later(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// withdraw takes back what the user allowed a client: the agreement and every token.
func (h *Handler) withdraw(w http.ResponseWriter, r *http.Request, v *visit, clientID string) {
	held, err := h.permissions(r.Context(), v.session.Subject)
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	if _, holds := held[clientID]; !holds {
		h.done(w, doneGrant, false)
		return
	}
	if err := h.record(r, v, audit.Event{Name: eventGrant, ClientID: clientID, SessionID: v.session.ID}); err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	made, err := h.Store.WithdrawConsent(r.Context(), v.session.Subject, clientID)
	h.Apply(made...)
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	h.done(w, doneGrant, true)
}

func (h *Handler) record(r *http.Request, v *visit, e audit.Event) error {
	caller := httpx.CallerOf(r.Context())
	e.Outcome, e.Reason, e.Subject = audit.Accepted, reasonUser, v.session.Subject
	e.ClientIP, e.RequestID = caller.ClientIP, caller.RequestID
	return h.Trail.Record(r.Context(), e)
}

// done shows the page anew, so that reloading it changes nothing again.
func (h *Handler) done(w http.ResponseWriter, what string, happened bool) {
	if !happened {
		what = doneGone
	}
	h.Sessions.Lead(w, authz.PathAccount, url.Values{fieldDone: {what}})
}
