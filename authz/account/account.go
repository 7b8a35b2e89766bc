// SPDX-License-Identifier: Apache-2.0

package account

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// DefaultFresh is the default of [Config].Fresh.
const DefaultFresh = time.Hour

// fieldDone tells the page, after a change, which one it was.
const fieldDone = "done"

// Recorder keeps the trail of what people end.
type Recorder interface {
	// Record stores an event. What it stands for does not happen when it returns an error.
	Record(ctx context.Context, e audit.Event) error
}

// Config describes a [Handler]. Issuer, Store, Clients, Engine, Sessions, Pages, Trail and Logger are required.
type Config struct {
	Issuer   string
	Store    *authz.Store
	Clients  *authz.Clients
	Engine   *realm.Engine
	Sessions *session.Manager
	Pages    *web.Renderer
	Trail    Recorder
	Logger   *slog.Logger
	// Apply is told of every revocation, so that this node's gates know before the answer is sent. Nil tells nobody.
	Apply func(...authz.Revocation)
	// Fresh is how old the login may be. Default: [DefaultFresh].
	Fresh time.Duration
	// ScopeTexts say what the operator's own scopes allow.
	ScopeTexts map[string]string
	// Phones are those of users; nil shows nothing about them. Registrations adds some; nil adds none.
	Phones        Phones
	Registrations Registrations
	// Certificates are those of the devices of users; nil shows nothing about them.
	Certificates Certificates
	// Limiter bounds, by address, how often a request is stored. Nil admits all.
	Limiter *limit.Limiter
}

// Handler is the account page. It keeps nothing in memory and is safe for concurrent use.
type Handler struct {
	Config
	base  string
	pages session.ErrorPages
}

// New returns a handler. It reads and writes nothing yet.
func New(c Config) (*Handler, error) {
	if c.Store == nil || c.Clients == nil || c.Engine == nil || c.Sessions == nil || c.Pages == nil || c.Trail == nil || c.Logger == nil {
		return nil, errors.New("building the account page: store, clients, engine, sessions, pages, trail and logger are required")
	}
	if err := oauth.CheckIssuer(c.Issuer); err != nil {
		return nil, err
	}
	if c.Fresh <= 0 {
		c.Fresh = DefaultFresh
	}
	if c.Apply == nil {
		c.Apply = func(...authz.Revocation) {}
	}
	return &Handler{
		Config: c, base: authz.BasePath(c.Issuer), pages: session.ErrorPages{Pages: c.Pages, Logger: c.Logger},
	}, nil
}

// Routes returns the handlers by their path below the issuer.
func (h *Handler) Routes() map[string]http.Handler {
	routes := map[string]http.Handler{authz.PathAccount: face{h, h.show, h.change}}
	if h.Phones != nil {
		routes[pathPhone] = face{h, h.showPhone, h.changePhone}
	}
	if h.Phones != nil && h.Registrations != nil {
		routes[pathAdd] = face{h, h.showAdding, h.changeAdding}
	}
	if h.Certificates != nil {
		routes[pathCertificate] = face{h, h.showCertificate, h.changeCertificate}
	}
	return routes
}

// face is one page: what it shows and what its forms do. Both are reached by nobody but a user who has logged in afresh, and
// the second by nobody but that user's own hand.
type face struct {
	*Handler
	show, change func(w http.ResponseWriter, r *http.Request, v *visit, params oauth.Params)
}

// visit is a signed-in user's coming to the page.
type visit struct {
	browser session.Browser
	session authz.Session
}

// ServeHTTP answers for a page.
func (h face) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	params, err := session.Params(r)
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	current, _, err := h.Sessions.Current(r)
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	request, err := h.request()
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	if _, missing := request.Missing(h.Engine, current, h.Store.Now()); missing {
		h.begin(w, r, request)
		return
	}
	v := visit{browser: h.Sessions.EnsureBrowser(w, r), session: current}
	switch {
	case r.Method != http.MethodPost:
		h.show(w, r, &v, params)
	case !v.browser.Allows(params.Get(session.FieldStep), session.StepAccount, "", v.session.ID):
		h.Sessions.Lead(w, authz.PathAccount, nil) // from another site, or from before the session changed
	default:
		h.change(w, r, &v, params)
	}
}

// request describes the login that the page needs.
func (h *Handler) request() (authz.Request, error) {
	request := authz.NewRequest(h.Store.Now())
	request.Local = authz.PathAccount
	var err error
	request.Requirements, err = h.Engine.Require(realm.Demand{NotBefore: request.CreatedAt.Add(-h.Fresh)})
	return request, err
}

// begin sends the browser to log in and come back.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request, request authz.Request) {
	key := limit.Address(httpx.CallerOf(r.Context()).ClientIP)
	if wait := h.Limiter.Wait(key); wait > 0 {
		h.pages.Refuse(w, r, &session.Refusal{
			Status: http.StatusTooManyRequests, Message: web.ErrorThrottled, RetryAfter: wait,
			Reason: "too many requests are begun from this address",
		})
		return
	}
	h.Limiter.Count(key)
	request.Browser = h.Sessions.EnsureBrowser(w, r).Hash()
	if err := h.Store.InsertRequest(r.Context(), request); err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	h.Sessions.Lead(w, authz.PathLogin, url.Values{session.FieldRequest: {request.ID}})
}
