// SPDX-License-Identifier: Apache-2.0

package login

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/attempt"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/places"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// Config describes a [Handler]. All fields are required.
type Config struct {
	Issuer   string
	Store    *authz.Store
	Clients  *authz.Clients
	Judge    *attempt.Judge
	Sessions *session.Manager
	Pages    *web.Renderer
	Logger   *slog.Logger
}

// Handler is the login page. It keeps nothing in memory but who waits for news, and is safe for concurrent use.
type Handler struct {
	Config
	base  string
	pages session.ErrorPages
	waits *places.Places
}

// New returns a handler. It reads and writes nothing yet.
func New(c Config) (*Handler, error) {
	if c.Store == nil || c.Clients == nil || c.Judge == nil || c.Sessions == nil || c.Pages == nil || c.Logger == nil {
		return nil, errors.New("building the login page: store, clients, judge, sessions, pages and logger are required")
	}
	if err := oauth.CheckIssuer(c.Issuer); err != nil {
		return nil, err
	}
	waits, err := places.New(places.Limits{All: mostWaits, Holder: mostOfAddress, Purpose: mostOfRequest})
	if err != nil {
		return nil, fmt.Errorf("building the login page: %w", err)
	}
	return &Handler{
		Config: c, base: authz.BasePath(c.Issuer), pages: session.ErrorPages{Pages: c.Pages, Logger: c.Logger}, waits: waits,
	}, nil
}

// Routes returns the handlers by their path below the issuer.
func (h *Handler) Routes() map[string]http.Handler {
	return map[string]http.Handler{authz.PathLogin: http.HandlerFunc(h.login), PathNews: http.HandlerFunc(h.news)}
}

// visit is one browser's coming to the page.
type visit struct {
	request authz.Request
	client  *authz.Client // nil for a request of a page of ours
	browser session.Browser
	session authz.Session // the zero value when nobody is signed in
	// missing is the realm to prove; pending is false when there is none.
	missing realm.Requirement
	pending bool
	// expected is the only user who may prove it; empty when anybody may.
	expected string
	// began is when the browser came, before anything was verified.
	began authz.Moment
	// attempt is made when it is asked for first.
	attempt *attempt.Visit
}

// step is what the form's token allows: an attempt at this realm, for this request, in this session.
func (v *visit) step() session.Step { return session.StepLogin.For(v.missing.Realm) }

func (h *Handler) login(w http.ResponseWriter, r *http.Request) {
	params, err := session.Params(r)
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	v, err := h.find(r, params.Get(session.FieldRequest))
	switch {
	case err != nil:
		h.pages.Refuse(w, r, err)
	case !v.pending || v.request.Prompt.None: // with prompt=none no page may be shown
		h.proceed(w, &v, session.FieldStep, session.StepContinue)
	case r.Method != http.MethodPost:
		h.round(w, r, &v, nil)
	case !v.browser.Allows(params.Get(session.FieldStep), v.step(), v.request.ID, v.session.ID):
		// Sent by another site, or by a form from before the session changed. Nothing in it counts.
		h.again(w, r, &v, notice{status: http.StatusBadRequest, message: web.MessageExpired})
	case params.Get(web.CancelField) != "" && v.client != nil:
		h.withdraw(r, &v)
		h.proceed(w, &v, session.FieldCancel, session.StepCancel)
	default:
		h.round(w, r, &v, answers(params))
	}
}

// find loads everything the page depends on.
func (h *Handler) find(r *http.Request, id string) (v visit, err error) {
	found, err := h.Sessions.Visit(r, id)
	if err != nil {
		return v, err
	}
	v.request, v.session, v.began = found.Request, found.Session, found.Began
	if v.request.Local == "" {
		if v.client, err = session.FindClient(r.Context(), h.Clients, v.request.ClientID); err != nil {
			return v, err
		}
	}
	v.browser = h.Sessions.Browser(r)
	v.missing, v.pending = v.request.Missing(h.Judge.Engine, v.session, h.Store.Now())
	v.expected = v.request.Expects(v.session, h.Store.Now())
	return v, nil
}

// answers are the parameters that are not the page's own. The map is never nil: an empty form is an answer.
func answers(p oauth.Params) map[string]string {
	fields := map[string]string{}
	for name, value := range p {
		switch name {
		case session.FieldRequest, session.FieldStep, web.CancelField:
		default:
			fields[name] = value
		}
	}
	return fields
}

// proceed returns to the dispatcher.
func (h *Handler) proceed(w http.ResponseWriter, v *visit, field string, step session.Step) {
	h.Sessions.Lead(w, authz.PathAuthorize, v.back(field, step))
}

// back is what the dispatcher wants to see of somebody who returns to it.
func (v *visit) back(field string, step session.Step) url.Values {
	return url.Values{
		session.FieldRequest: {v.request.ID},
		field:                {v.browser.Token(step, v.request.ID, v.session.ID)},
	}
}
