// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/account"
	"github.com/gatehouse-id/gatehouse/authz/attempt"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/endpoint"
	"github.com/gatehouse-id/gatehouse/authz/endpoints"
	"github.com/gatehouse-id/gatehouse/authz/flow"
	"github.com/gatehouse-id/gatehouse/authz/grants"
	"github.com/gatehouse-id/gatehouse/authz/intake"
	"github.com/gatehouse-id/gatehouse/authz/login"
	"github.com/gatehouse-id/gatehouse/authz/native"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

// route is one endpoint.
type route struct {
	name    string // for metrics
	handler http.Handler
}

// limits of what one address may cause.
const (
	// Authorization requests are stored: a burst, and then one in a while.
	requestBurst, requestEvery = 120, time.Second
	// Wrong client secrets.
	secretBurst, secretEvery = 10, 6 * time.Second
	// Attempts to log in that were refused, whosever name was tried.
	refusedBurst, refusedEvery = 100, 5 * time.Second
	// DPoP proofs, each of which is remembered. A whole network of phones may have one address.
	proofBurst, proofEvery = 1200, 50 * time.Millisecond
	limiterKeys            = 100_000
)

// buildRoutes builds every face and mounts it.
func (s *Server) buildRoutes() error {
	s.routes, s.mounted = map[string]route{}, map[string]route{}
	browser, err := session.New(session.Config{
		Store: s.config.Store, Issuer: s.config.Issuer, Lifetime: s.config.SessionLifetime, Idle: s.config.SessionIdle,
		Apply: s.config.View.Apply,
	})
	if err != nil {
		return err
	}
	requests, err := limit.New(limit.Config{Burst: requestBurst, Every: requestEvery, Keys: limiterKeys, Now: s.config.Now})
	if err != nil {
		return err
	}
	if err := s.buildAttempts(requests); err != nil {
		return err
	}
	for _, mount := range []func(*session.Manager, *limit.Limiter) error{
		s.mountFlow, s.mountLogin, s.mountNative, s.mountAccount, s.mountRegistration, s.mountBackchannel, s.mountToken, s.buildNotices, s.mountEndpoints,
	} {
		if err := mount(browser, requests); err != nil {
			return err
		}
	}
	return nil
}

// buildAttempts builds what the faces on which people prove something share: whatever the face, refused attempts of one
// address add up.
func (s *Server) buildAttempts(requests *limit.Limiter) error {
	c := &s.config
	refused, err := limit.New(limit.Config{Burst: refusedBurst, Every: refusedEvery, Keys: limiterKeys, Now: c.Now})
	if err != nil {
		return err
	}
	s.intake = &intake.Reader{Engine: c.Engine, Now: c.Store.Now, Hints: s.hints, DefaultScopes: c.DefaultScopes, Details: c.Details, Limiter: requests}
	s.judge, err = attempt.New(attempt.Config{
		Engine: c.Engine, Trail: c.Trail, States: c.Store, Now: c.Store.Now, Observe: c.Observe.Realm, Limiter: refused,
	})
	return err
}

// mount adds handlers by their path below the issuer.
func (s *Server) mount(handlers map[string]http.Handler) {
	for path, handler := range handlers {
		s.routes[authz.BasePath(s.config.Issuer)+path] = route{strings.TrimPrefix(path, "/"), handler}
	}
}

func (s *Server) mountFlow(browser *session.Manager, _ *limit.Limiter) error {
	c := &s.config
	h, err := flow.New(flow.Config{
		Issuer: c.Issuer, Store: c.Store, Clients: c.Clients, ClientAuth: s.clientAuth, Intake: s.intake, Sessions: browser,
		Pages: c.Pages, Trail: c.Trail, Logger: c.Logger, ScopeTexts: c.ScopeTexts,
	})
	if err == nil {
		s.mount(h.Routes())
	}
	return err
}

func (s *Server) mountLogin(browser *session.Manager, _ *limit.Limiter) error {
	c := &s.config
	h, err := login.New(login.Config{
		Issuer: c.Issuer, Store: c.Store, Clients: c.Clients, Judge: s.judge, Sessions: browser, Pages: c.Pages, Logger: c.Logger,
	})
	if err == nil {
		s.mount(h.Routes())
	}
	return err
}

func (s *Server) mountNative(browser *session.Manager, _ *limit.Limiter) error {
	c := &s.config
	h, err := native.New(native.Config{
		Store: c.Store, Clients: s.clientAuth, Intake: s.intake, Judge: s.judge, Sessions: browser, Texts: c.Pages,
		Logger: c.Logger,
	})
	if err == nil {
		s.mount(map[string]http.Handler{authz.PathChallenge: h})
	}
	return err
}

func (s *Server) mountAccount(browser *session.Manager, requests *limit.Limiter) error {
	c := &s.config
	h, err := account.New(account.Config{
		Issuer: c.Issuer, Store: c.Store, Clients: c.Clients, Engine: c.Engine, Sessions: browser, Pages: c.Pages, Trail: c.Trail,
		Logger: c.Logger, Apply: c.View.Apply, ScopeTexts: c.ScopeTexts, Limiter: requests,
		Phones: c.Phones, Registrations: c.Registrations, Certificates: c.Certificates,
	})
	if err == nil {
		s.mount(h.Routes())
	}
	return err
}

func (s *Server) mountToken(*session.Manager, *limit.Limiter) error {
	c := &s.config
	config := grants.Config{
		Details: c.Details, Clients: s.clientAuth, Store: c.Store, Tokens: s.tokens, Revoke: c.View.Apply, Trail: c.Trail, Grace: c.RefreshGrace,
		Now: c.Now, Logger: c.Logger, Observe: c.Observe.Token, Applications: c.Applications,
	}
	if s.asked != nil {
		config.Backchannel = endpoint.Grant{Store: s.asked}
	}
	h, err := grants.New(config)
	if err == nil {
		s.tokenFace = h
		s.mount(map[string]http.Handler{authz.PathToken: h})
	}
	return err
}

func (s *Server) mountEndpoints(browser *session.Manager, _ *limit.Limiter) error {
	c := &s.config
	anyAudience, err := s.Validator(c.Clients.Audiences())
	if err != nil {
		return err
	}
	h, err := endpoints.New(endpoints.Config{
		Issuer: c.Issuer, Store: c.Store, Clients: s.clientAuth, Tokens: anyAudience, DPoP: s.DPoP(), Keys: c.keys(), Signer: s.tokens, Hints: s.hints,
		Profiles: c.Profiles, Sessions: browser, Pages: c.Pages, Trail: c.Trail, Apply: c.View.Apply, Logger: c.Logger,
		Metadata: endpoints.Metadata{
			Scopes: c.Scopes, ACRValues: c.Engine.ACRValues(), GrantTypes: s.tokenFace.Supported(), Backchannel: s.backchannelMetadata(),
			DetailTypes: c.Details.Names(), Registration: c.Registration != nil, MutualTLS: c.MutualTLS,
		},
		Applications: c.Applications,
	})
	if err != nil {
		return err
	}
	s.mount(h.Routes())
	for path, handler := range h.WellKnown() {
		s.routes[path] = route{"metadata", handler}
	}
	return nil
}

// Serves reports whether a path belongs to the issuer.
func (s *Server) Serves(path string) bool {
	_, ok := s.find(path)
	return ok
}

func (s *Server) find(path string) (route, bool) {
	if found, ok := s.routes[path]; ok {
		return found, true
	}
	if strings.HasPrefix(path, s.config.Pages.StaticPath()) {
		return route{"static", s.config.Pages.Static()}, true
	}
	for prefix, mounted := range s.mounted {
		if strings.HasPrefix(path, prefix) {
			return mounted, true
		}
	}
	return route{}, false
}

// Mount adds a face that is not the server's own, for everything below a path of the issuer that ends in a slash. It is
// called before the first request. The handler is told who is calling as every other is.
func (s *Server) Mount(prefix, name string, handler http.Handler) {
	s.mounted[authz.BasePath(s.config.Issuer)+prefix] = route{name, handler}
}

// ServeHTTP answers a request of the issuer. Each gets an id, which error pages and log lines share.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found, ok := s.find(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	recorder := &recorder{ResponseWriter: w, status: http.StatusOK}
	found.handler.ServeHTTP(recorder, s.told(r))
	s.observe(found.name, recorder.status)
}

func (s *Server) observe(name string, status int) {
	if observe := s.config.Observe.Endpoint; observe != nil {
		observe(name, strconv.Itoa(status))
	}
}

// told returns a request that says where it comes from.
func (s *Server) told(r *http.Request) *http.Request {
	return r.WithContext(httpx.WithCaller(r.Context(), s.caller(r)))
}

// RenderError answers with a page about an error.
func (s *Server) RenderError(w http.ResponseWriter, r *http.Request, err error) {
	s.pages.Refuse(w, s.told(r), err)
}

// caller says where a request comes from.
func (s *Server) caller(r *http.Request) httpx.Caller {
	proxied := s.config.Proxied != nil && s.config.Proxied(r)
	c := httpx.Caller{ClientIP: s.config.ClientIP(r), Proxied: proxied, RequestID: randid.New("rq")}
	if s.config.Asked != nil {
		c.Method, c.Path = s.config.Asked(r)
	}
	return c
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the status.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
