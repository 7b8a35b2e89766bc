// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// visit is one browser's coming to the dispatcher.
type visit struct {
	request authz.Request
	stored  bool
	// target is nil for a request of a page of ours, which has no client.
	target  *target
	browser session.Browser
	// session is the zero value when nobody is signed in.
	session authz.Session
}

// authorize accepts a request, or goes on with one.
func (h *Handler) authorize(w http.ResponseWriter, r *http.Request) {
	params, err := authorizeParams(r)
	if err != nil {
		h.refuse(w, r, nil, err)
		return
	}
	if r.Method == http.MethodGet && params.Get("client_id") == "" && params.Get(session.FieldRequest) != "" {
		h.resume(w, r, params)
		return
	}
	if isPushed(params) {
		h.open(w, r, params)
		return
	}
	t, err := h.target(r.Context(), params)
	if err != nil {
		h.refuse(w, r, nil, err)
		return
	}
	request, err := h.accept(r, t, params)
	if err != nil {
		h.refuse(w, r, t, err)
		return
	}
	v := visit{request: request, target: t, browser: h.Sessions.Browser(r)}
	if r.Method == http.MethodPost && !v.browser.Known() {
		h.park(w, r, v)
		return
	}
	if v.session, _, err = h.Sessions.Current(r); err != nil {
		h.refuse(w, r, t, err)
		return
	}
	h.dispatch(w, r, v)
}

// authorizeParams reads both forms of a request (OpenID Connect Core 3.1.2.1).
func authorizeParams(r *http.Request) (oauth.Params, error) {
	if err := session.CheckMethod(r); err != nil {
		return nil, err
	}
	return httpx.QueryOrForm(r)
}

// park keeps a request that was posted without cookies, as browsers post from one site to another, and has the browser come
// for it by itself: that is a navigation and carries them. Until then the request is bound to nobody. Whoever else knew its
// id could as well have sent the request.
func (h *Handler) park(w http.ResponseWriter, r *http.Request, v visit) {
	if err := h.keep(r, &v); err != nil {
		h.refuse(w, r, v.target, err)
		return
	}
	h.step(w, authz.PathAuthorize, &v)
}

// resume goes on with a stored request after a step.
func (h *Handler) resume(w http.ResponseWriter, r *http.Request, params oauth.Params) {
	v, fresh, err := h.find(w, r, params.Get(session.FieldRequest))
	if err != nil {
		h.refuse(w, r, v.target, err)
		return
	}
	if v.browser.Allows(params.Get(session.FieldCancel), session.StepCancel, v.request.ID, v.session.ID) && v.target != nil {
		h.end(w, r, v, oauth.NewError(oauth.AccessDenied, "the user cancelled"))
		return
	}
	if !fresh && !v.request.Prompt.None && !v.browser.Allows(params.Get(session.FieldStep), session.StepContinue, v.request.ID, v.session.ID) {
		// The session changed since the token was made, or there was none: the login page looks again and comes back.
		h.step(w, authz.PathLogin, &v)
		return
	}
	h.dispatch(w, r, v)
}

// find loads a stored request of this browser, its target and the session. A request that is bound to nobody yet is bound
// to this browser; it is then fresh.
func (h *Handler) find(w http.ResponseWriter, r *http.Request, id string) (v visit, fresh bool, err error) {
	v, err = h.visit(r, id)
	if fresh = errors.Is(err, session.ErrOtherBrowser); fresh {
		v.stored = true
		if v.request, v.browser, err = h.adopt(w, r, id); err == nil {
			v.session, _, err = h.Sessions.Current(r)
		}
	}
	if err == nil && v.request.Local == "" {
		v.target, err = h.recall(r.Context(), &v.request)
	}
	return v, fresh, err
}

// visit loads a stored request of this browser and the session.
func (h *Handler) visit(r *http.Request, id string) (visit, error) {
	found, err := h.Sessions.Visit(r, id)
	if err != nil {
		return visit{}, err
	}
	return visit{request: found.Request, stored: true, browser: h.Sessions.Browser(r), session: found.Session}, nil
}

func (h *Handler) adopt(w http.ResponseWriter, r *http.Request, id string) (authz.Request, session.Browser, error) {
	request, err := h.Store.Request(r.Context(), id)
	if err == nil && request.Browser != "" {
		err = session.ErrOtherBrowser
	}
	if err != nil {
		return authz.Request{}, session.Browser{}, err
	}
	browser := h.Sessions.EnsureBrowser(w, r)
	request, err = h.Store.BindRequest(r.Context(), id, browser.Hash())
	if err == nil && !request.BelongsTo(browser.Hash()) {
		err = session.ErrOtherBrowser
	}
	return request, browser, err
}

// recall returns the target of a stored request. The client may have been taken out since.
func (h *Handler) recall(ctx context.Context, request *authz.Request) (*target, error) {
	client, err := session.FindClient(ctx, h.Clients, request.ClientID)
	if err != nil {
		return nil, err
	}
	if !client.MatchRedirectURI(request.RedirectURI) {
		return nil, errRedirectURI
	}
	return &target{
		client: client, uri: request.RedirectURI, mode: request.ResponseMode, state: request.State, locale: request.UILocales,
	}, nil
}

// action is what a request needs next.
type action int

const (
	actHandover action = iota + 1
	actLogin
	actConsent
	actComplete
)

// dispatch does what the records say comes next.
func (h *Handler) dispatch(w http.ResponseWriter, r *http.Request, v visit) {
	next, err := h.next(r.Context(), &v)
	if err == nil && next != actComplete && !v.stored {
		v.browser = h.Sessions.EnsureBrowser(w, r)
		v.request.Browser = v.browser.Hash()
		err = h.keep(r, &v)
	}
	if err != nil {
		h.end(w, r, v, err)
		return
	}
	switch next {
	case actHandover:
		h.step(w, authz.PathContinue, &v)
	case actLogin:
		h.step(w, authz.PathLogin, &v)
	case actConsent:
		h.step(w, authz.PathConsent, &v)
	case actComplete:
		h.complete(w, r, v, false)
	}
}

// step leads the browser to a page of ours that goes on with the request.
func (h *Handler) step(w http.ResponseWriter, path string, v *visit) {
	h.Sessions.Lead(w, path, url.Values{session.FieldRequest: {v.request.ID}})
}

// keep stores a request, as often as one address may.
func (h *Handler) keep(r *http.Request, v *visit) error {
	if wait := h.Intake.Admit(r.Context()); wait > 0 {
		return errThrottled(wait)
	}
	if err := h.Store.InsertRequest(r.Context(), v.request); err != nil {
		return err
	}
	v.stored = true
	return nil
}

// next decides from the records alone. With prompt=none the user may not be asked anything: what would have to be asked is
// the error (OpenID Connect Core 3.1.2.6).
func (h *Handler) next(ctx context.Context, v *visit) (action, error) {
	if v.request.Handover != nil {
		return actHandover, nil
	}
	if missing, ok := v.request.Missing(h.Intake.Engine, v.session, h.Store.Now()); ok {
		switch {
		case !v.request.Prompt.None:
			return actLogin, nil
		case h.Intake.Engine.DeterminesUser(missing.Realm):
			return 0, oauth.NewError(oauth.LoginRequired, "the user has to sign in")
		default:
			return 0, oauth.NewError(oauth.InteractionRequired, "the user has to prove more")
		}
	}
	if v.target == nil {
		return actComplete, nil
	}
	needed, err := h.consentNeeded(ctx, v)
	switch {
	case err != nil:
		return 0, err
	case !needed:
		return actComplete, nil
	case v.request.Prompt.None:
		return 0, oauth.NewError(oauth.ConsentRequired, "the user has to agree")
	}
	return actConsent, nil
}
