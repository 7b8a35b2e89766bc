// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// requestURI begins the request_uri of a request that was pushed to us (RFC 9126 2.2).
const requestURI = "urn:ietf:params:oauth:request_uri:"

// pushed is the answer to a pushed request (RFC 9126 2.2).
type pushed struct {
	RequestURI string `json:"request_uri"`
	ExpiresIn  int64  `json:"expires_in"`
}

// push is the endpoint for pushed requests.
func (h *Handler) push(w http.ResponseWriter, r *http.Request) {
	httpx.NoStore(w)
	handle, err := h.acceptPushed(r)
	if err != nil {
		h.ClientAuth.Refuse(w, r, authz.Failure(err), h.Logger)
		return
	}
	httpx.WriteJSON(w, http.StatusCreated, pushed{requestURI + handle.String(), int64(authz.PushedTTL / time.Second)})
}

// acceptPushed reads what a browser would bring (RFC 9126 2.1), from a client that has authenticated, and keeps it.
func (h *Handler) acceptPushed(r *http.Request) (authz.Handle, error) {
	params, err := httpx.Form(r)
	if err != nil {
		return authz.Handle{}, err
	}
	client, err := h.ClientAuth.Authenticate(r.Context(), r, params)
	if err != nil {
		return authz.Handle{}, err
	}
	key, err := h.ClientAuth.Holder(r)
	if err != nil {
		return authz.Handle{}, err
	}
	request, err := h.readPushed(r, client, params, key)
	if err != nil {
		return authz.Handle{}, told(err)
	}
	if wait := h.Intake.Admit(r.Context()); wait > 0 {
		return authz.Handle{}, oauth.TooMany(wait)
	}
	handle := request.Push()
	return handle, h.Store.InsertRequest(r.Context(), request)
}

// readPushed reads a request. Its code is bound to the key that its sender has proven to hold, which is that of dpop_jkt where there is
// one (RFC 9449 10.1).
func (h *Handler) readPushed(r *http.Request, client *authz.Client, params oauth.Params, key string) (authz.Request, error) {
	if params.Get("request_uri") != "" {
		return authz.Request{}, oauth.NewError(oauth.InvalidRequest, "request_uri has no place in a pushed request")
	}
	t, err := targetOf(client, params)
	if err != nil {
		return authz.Request{}, err
	}
	request, err := h.accept(r, t, params)
	if err == nil {
		err = clientauth.Bind(&request, key)
	}
	if err == nil && params.Get("auth_session") != "" {
		request.Handover, err = h.offer(r, client, &request, params.Get("auth_session"), key)
	}
	return request, err
}

// offer reads which session an app offers to the browser, which it can only with the key that the session is bound to. Whatever else is
// wrong with it, the app hears the same.
func (h *Handler) offer(r *http.Request, client *authz.Client, request *authz.Request, value, key string) (*authz.Handover, error) {
	switch {
	case !client.Native:
		return nil, oauth.NewError(oauth.UnauthorizedClient, "the client may not hand a session over")
	case request.Prompt.None:
		return nil, oauth.NewError(oauth.InvalidRequest, "prompt=none does not go with auth_session: the person is asked")
	}
	handle, ok := authz.ParseAuthSessionHandle(value)
	if !ok {
		return nil, oauth.SessionLost()
	}
	a, err := h.Store.AuthSession(r.Context(), handle, client.ID)
	if err == nil {
		_, err = h.Store.Session(r.Context(), a.SessionID)
	}
	switch {
	case authz.Gone(err):
		return nil, oauth.SessionLost()
	case err != nil:
		return nil, err
	}
	if err := clientauth.SameHolder(a.Key, key); err != nil {
		return nil, err
	}
	return &authz.Handover{AuthSessionID: a.ID, SessionID: a.SessionID}, nil
}

// told is what a client hears of an error that a person would read on a page.
func told(err error) error {
	var refusal *session.Refusal
	if errors.As(err, &refusal) {
		return oauth.NewError(oauth.InvalidRequest, refusal.Reason)
	}
	return err
}

// open gives a pushed request to the browser that comes for it first (RFC 9126 4). What stands beside the two parameters means
// nothing. Only a navigation counts: a form that another site posts comes without the browser's cookie.
func (h *Handler) open(w http.ResponseWriter, r *http.Request, params oauth.Params) {
	if r.Method != http.MethodGet {
		h.refuse(w, r, nil, oauth.NewError(oauth.InvalidRequest, "a pushed request is opened with GET"))
		return
	}
	handle, ok := authz.ParsePushedHandle(strings.TrimPrefix(params.Get("request_uri"), requestURI))
	if !ok {
		h.refuse(w, r, nil, authz.ErrRequestEnded)
		return
	}
	v := visit{stored: true, browser: h.Sessions.EnsureBrowser(w, r)}
	var err error
	if v.request, err = h.Store.OpenPushed(r.Context(), handle, params.Get("client_id"), v.browser.Hash()); err == nil {
		v.target, err = h.recall(r.Context(), &v.request)
	}
	if err != nil {
		h.refuse(w, r, nil, err)
		return
	}
	if v.session, _, err = h.Sessions.Current(r); err != nil {
		h.refuse(w, r, v.target, err)
		return
	}
	h.dispatch(w, r, v)
}

// isPushed reports whether a request stands for one that was pushed.
func isPushed(params oauth.Params) bool {
	return strings.HasPrefix(params.Get("request_uri"), requestURI)
}
