// SPDX-License-Identifier: Apache-2.0

package endpoints

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// Parameters of a logout request (RP-Initiated Logout 2).
const (
	paramHint     = "id_token_hint"
	paramClient   = "client_id"
	paramRedirect = "post_logout_redirect_uri"
	paramState    = "state"
	paramLocales  = "ui_locales"
)

var (
	errRedirect = &session.Refusal{
		Status: http.StatusBadRequest, Message: web.ErrorRedirectURI, Reason: "post_logout_redirect_uri is not registered for the client",
	}
	errStep = &session.Refusal{
		Status: http.StatusForbidden, Message: web.ErrorExpired, Reason: "the form was not made for this session",
	}
)

// exit is a logout request on its way: who asks, whom it may end and where it leads.
type exit struct {
	params  oauth.Params
	client  *authz.Client // nil when nobody says who asks
	hint    *authz.Hint   // nil without a hint of ours
	session authz.Session
	live    bool // the browser has a session
	// target is where to go afterwards; empty shows a page.
	target string
}

// logout is the endpoint for RP-initiated logout. Errors are pages and never redirect (RP-Initiated Logout 4).
func (h *Handler) logout(w http.ResponseWriter, r *http.Request) {
	httpx.NoStore(w)
	x, err := h.readExit(r)
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	if r.Method == http.MethodPost && x.params.Get(session.FieldStep) != "" {
		h.decided(w, r, x)
		return
	}
	switch {
	case x.live && x.ofHint(x.session):
		h.leave(w, r, x, x.session.ID)
	case x.live:
		// No hint, or one of another session or user: anybody's link can lead here, so the person is asked.
		h.askLogout(w, r, x)
	case x.hint != nil:
		h.leaveHinted(w, r, x)
	default:
		h.signedOut(w, r, x)
	}
}

// readExit reads a request and settles everything about it that can be wrong before anything is done.
func (h *Handler) readExit(r *http.Request) (*exit, error) {
	if err := session.CheckMethod(r); err != nil {
		return nil, err
	}
	params, err := httpx.QueryOrForm(r)
	if err != nil {
		return nil, err
	}
	x := &exit{params: params}
	if raw := params.Get(paramHint); raw != "" {
		// A hint that is not ours is none: it neither helps nor does it say who asks.
		if hint, err := h.Hints.Read(r.Context(), raw); err == nil {
			x.hint = &hint
		}
	}
	if err := h.readClient(r.Context(), x); err != nil {
		return nil, err
	}
	if uri := params.Get(paramRedirect); uri != "" {
		if x.client == nil || !slices.Contains(x.client.PostLogoutRedirectURIs, uri) {
			return nil, errRedirect
		}
		x.target = withState(uri, params.Get(paramState))
	}
	x.session, x.live, err = h.Sessions.Current(r)
	return x, err
}

// readClient finds out who asks. A client_id beside a hint must be the hint's.
func (h *Handler) readClient(ctx context.Context, x *exit) (err error) {
	id := x.params.Get(paramClient)
	if x.hint != nil {
		if id != "" && id != x.hint.ClientID {
			return oauth.NewError(oauth.InvalidRequest, "client_id is not the client of the id_token_hint")
		}
		id = x.hint.ClientID
	}
	if id == "" {
		return nil
	}
	x.client, err = session.FindClient(ctx, h.Clients.Clients, id)
	return err
}

// withState returns where to go with the state that was sent along.
func withState(uri, state string) string {
	if state == "" {
		return uri
	}
	return oauth.WithQuery(uri, url.Values{paramState: {state}})
}

// ofHint reports whether the hint is about a session: the same session, not merely the same user.
func (x *exit) ofHint(s authz.Session) bool {
	return x.hint != nil && x.hint.SessionID == s.ID && x.hint.Subject == s.Subject
}

// decided acts on the person's answer. The token of the form ties it to this browser and this very session.
func (h *Handler) decided(w http.ResponseWriter, r *http.Request, x *exit) {
	if !x.live { // it has ended meanwhile
		h.signedOut(w, r, x)
		return
	}
	if !h.Sessions.Browser(r).Allows(x.params.Get(session.FieldStep), session.StepLogout, "", x.session.ID) {
		h.pages.Refuse(w, r, errStep)
		return
	}
	if x.params.Get(web.DecisionField) != web.DecisionAllow {
		http.Redirect(w, r, h.Issuer+authz.PathAccount, http.StatusSeeOther)
		return
	}
	h.leave(w, r, x, x.session.ID)
}

// leaveHinted ends the session a hint names when the browser has none: an application posts from its own site, and the
// browser then keeps our cookie back. The hint proves that we have issued it to the application for that session.
func (h *Handler) leaveHinted(w http.ResponseWriter, r *http.Request, x *exit) {
	named, err := h.Store.Session(r.Context(), x.hint.SessionID)
	switch {
	case authz.Gone(err) || err == nil && named.Subject != x.hint.Subject:
		h.gone(w, r, x)
	case err != nil:
		h.pages.Refuse(w, r, fmt.Errorf("reading a session: %w", err))
	default:
		h.leave(w, r, x, named.ID)
	}
}

// leave ends a session: its cookie, and everything that rests on it, everywhere.
func (h *Handler) leave(w http.ResponseWriter, r *http.Request, x *exit, id string) {
	revocations, err := h.Store.EndSession(r.Context(), id)
	if err != nil {
		h.pages.Refuse(w, r, fmt.Errorf("ending a session: %w", err))
		return
	}
	h.Apply(revocations...)
	e := event(r, "session.ended")
	e.SessionID, e.Subject, e.Reason = id, x.subject(), "logout"
	if x.client != nil {
		e.ClientID = x.client.ID
	}
	if err := h.Trail.Record(r.Context(), e); err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	h.gone(w, r, x)
}

func (x *exit) subject() string {
	if x.live {
		return x.session.Subject
	}
	return x.hint.Subject
}

// gone takes the cookie and leads on.
func (h *Handler) gone(w http.ResponseWriter, r *http.Request, x *exit) {
	h.Sessions.Clear(w)
	if x.target == "" {
		h.signedOut(w, r, x)
		return
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, x.target, http.StatusSeeOther)
}

// askLogout shows the page that asks. It carries who asks and where to go, which are judged again, and not the hint.
func (h *Handler) askLogout(w http.ResponseWriter, r *http.Request, x *exit) {
	browser := h.Sessions.EnsureBrowser(w, r)
	page := web.LogoutPage{
		Locale: x.params.Get(paramLocales), User: x.session.Name, Action: h.base + authz.PathLogout,
		Hidden: []web.Field{{Name: session.FieldStep, Value: browser.Token(session.StepLogout, "", x.session.ID)}},
	}
	if x.client != nil {
		page.Client = x.client.DisplayName()
		page.Hidden = append(page.Hidden, web.Field{Name: paramClient, Value: x.client.ID})
	}
	if x.target != "" {
		// The answer to the form redirects there, and the application may lead on to another origin of its own.
		page.FormTargets = []string{x.target, "https:"}
	}
	for _, name := range []string{paramRedirect, paramState, paramLocales} {
		if value := x.params.Get(name); value != "" {
			page.Hidden = append(page.Hidden, web.Field{Name: name, Value: value})
		}
	}
	h.Pages.Render(w, r, http.StatusOK, page)
}

// signedOut shows the page at the end, with a way back to the application when it has registered one.
func (h *Handler) signedOut(w http.ResponseWriter, r *http.Request, x *exit) {
	page := web.SignedOutPage{Locale: x.params.Get(paramLocales)}
	if x.client != nil && len(x.client.PostLogoutRedirectURIs) > 0 {
		page.Client, page.ContinueURL = x.client.DisplayName(), x.client.PostLogoutRedirectURIs[0]
	}
	if x.target != "" {
		page.ContinueURL = x.target
	}
	h.Pages.Render(w, r, http.StatusOK, page)
}
