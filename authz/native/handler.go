// SPDX-License-Identifier: Apache-2.0

package native

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/attempt"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/authz/intake"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Texts knows the words that people read.
type Texts interface {
	// Locale decides the language by ui_locales and Accept-Language.
	Locale(uiLocales, acceptLanguage string) string
	// Text returns the text of a key, or what is a text already.
	Text(locale, key string) string
}

// Config describes a [Handler]. All fields are required.
type Config struct {
	Store    *authz.Store
	Clients  *clientauth.Authenticator
	Intake   *intake.Reader
	Judge    *attempt.Judge
	Sessions *session.Manager
	Texts    Texts
	Logger   *slog.Logger
}

// Handler is the authorization challenge endpoint. It keeps nothing in memory and is safe for concurrent use.
type Handler struct{ Config }

var _ http.Handler = (*Handler)(nil)

// New returns the endpoint, or an error when something is missing.
func New(c Config) (*Handler, error) {
	if c.Store == nil || c.Clients == nil || c.Intake == nil || c.Judge == nil || c.Sessions == nil ||
		c.Texts == nil || c.Logger == nil {
		return nil, errors.New("building the authorization challenge endpoint: " +
			"store, clients, intake, judge, sessions, texts and logger are required")
	}
	return &Handler{c}, nil
}

// call is one request to the endpoint on its way.
type call struct {
	*Handler
	// r is the request as realms see it, once the client is known: without what the client has authenticated with.
	r       *http.Request
	client  *authz.Client
	answers answers
	locale  string
	// context is what the app's handle stands for, and handle what it is told to come back with.
	context authz.AuthSession
	handle  authz.Handle
	key     string // that the app has proven to hold, if any
	request authz.Request
	session authz.Session // the zero value when nobody is known
	// began is when the app came, before anything was verified.
	began authz.Moment
	// proven are the realms that were proven in this call.
	proven map[string]bool
	// notices are what people are told by realms that have accepted them in this call.
	notices []*notice
}

// ServeHTTP answers a request. There is no CORS here: the endpoint is for apps, and not for pages in a browser (9.8).
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{Handler: h, r: r, proven: map[string]bool{}}
	status, body, err := c.serve()
	if err != nil {
		h.Clients.Refuse(w, r, oauth.AsError(err), h.Logger)
		return
	}
	httpx.NoStore(w)
	httpx.WriteJSON(w, status, body)
}

func (c *call) serve() (status int, body any, err error) {
	params, err := httpx.Form(c.r)
	if err != nil {
		return 0, nil, err
	}
	if err := c.identify(params); err != nil {
		return 0, nil, err
	}
	if c.answers, err = parseAnswers(params.Get("answers")); err != nil {
		return 0, nil, err
	}
	if err := c.find(params); err != nil {
		return 0, nil, err
	}
	c.locale = c.Texts.Locale(c.request.UILocales, c.r.Header.Get("Accept-Language"))
	return c.settle()
}

// settle has the answers judged, and ends with a code or with what is missing. A proof may grow too old, or fall, between the last
// judgement and the code: then it is missing.
func (c *call) settle() (status int, body any, err error) {
	for {
		asked, err := c.rounds()
		if err != nil {
			return 0, nil, err
		}
		if asked != nil {
			return http.StatusForbidden, insufficient{
				Error: oauth.InsufficientAuthorization, Description: "more has to be proven", AuthSession: c.handle.String(),
				ExpiresIn:  int64(c.request.ExpiresAt.Sub(c.Store.Now()) / time.Second),
				Challenges: asked, Notices: c.notices,
			}, nil
		}
		code, completion, ok := session.NewCompletion(c.Intake.Engine, &c.request, c.client, &c.session, c.Store.Now())
		if ok {
			return c.grant(code, completion)
		}
		if len(c.remaining()) == 0 {
			return 0, nil, oauth.Internal(errors.New("no proof of the session determines the user"))
		}
	}
}

// identify authenticates the client, which the auth session names where the request does not (5.1), and finds what its handle
// stands for.
func (c *call) identify(params oauth.Params) error {
	ctx := c.r.Context()
	value := params.Get("auth_session")
	handle, ok := authz.ParseAuthSessionHandle(value)
	if value != "" && !ok {
		return oauth.SessionLost()
	}
	if ok && params.Get("client_id") == "" && c.r.Header.Get("Authorization") == "" {
		client, err := c.Store.ClientOfAuthSession(ctx, handle.ID)
		if err != nil {
			return c.lost(err)
		}
		params["client_id"] = client
	}
	var err error
	if c.client, err = c.Clients.Authenticate(ctx, c.r, params); err != nil {
		return err
	}
	if !c.client.Native {
		return oauth.NewError(oauth.UnauthorizedClient, "the client may not use this endpoint")
	}
	if c.key, err = c.Clients.Holder(c.r); err != nil {
		return err
	}
	c.r = clientauth.WithoutCredentials(c.r)
	if !ok {
		return nil
	}
	c.handle = handle
	if c.context, err = c.Store.AuthSession(ctx, handle, c.client.ID); err != nil {
		return c.lost(err)
	}
	return clientauth.SameHolder(c.context.Key, c.key)
}

// lost tells a handle that is not good from a store that cannot be asked.
func (c *call) lost(err error) error {
	if authz.Gone(err) {
		return oauth.SessionLost()
	}
	return authz.Failure(err)
}

// find goes on with the open request of the auth session, or begins one when the app asks for something. The session is the
// one that the auth session has come to, as long as it lives.
func (c *call) find(params oauth.Params) (err error) {
	ctx := c.r.Context()
	found, err := c.Store.Visit(ctx, c.context.RequestID, c.context.SessionID)
	if err == nil && found.Session.ID != "" {
		found.Session, err = c.Store.Touch(ctx, found.Session)
	}
	if err != nil && !authz.Gone(err) {
		return authz.Failure(err)
	}
	c.request, c.session, c.began = found.Request, found.Session, found.Began
	switch {
	case c.context.ID == "" || asksAnew(params):
		return c.begin(ctx, params)
	case c.request.ID != "":
		return nil
	case c.session.ID != "":
		return oauth.NewError(oauth.InvalidRequest, "nothing is being asked: begin with response_type")
	}
	return oauth.SessionLost()
}

// asksAnew reports whether an app asks for something, instead of answering what it has been asked. Any parameter that would
// change what is asked does: none may be overlooked because a request is open.
func asksAnew(params oauth.Params) bool {
	return slices.ContainsFunc(asking, func(name string) bool { return params.Get(name) != "" })
}

var asking = []string{
	"response_type", "scope", "code_challenge", "acr_values", "max_age", "prompt", "id_token_hint", "nonce", "redirect_uri",
	"request", "request_uri", "authorization_details", "dpop_jkt",
}

func (c *call) begin(ctx context.Context, params oauth.Params) (err error) {
	if params.Get("redirect_uri") != "" {
		return oauth.NewError(oauth.InvalidRequest, "redirect_uri means nothing here: the code comes with the answer")
	}
	if c.request, err = c.Intake.Read(ctx, c.client, params); err != nil {
		return err
	}
	if err := clientauth.Bind(&c.request, c.key); err != nil {
		return err
	}
	switch {
	case c.request.Prompt.None:
		return oauth.NewError(oauth.InvalidRequest, "prompt=none means nothing here: what is missing is told in any case")
	case c.request.Prompt.Consent || intake.NeedsConsent(&c.request):
		return oauth.NewError(oauth.ConsentRequired, "there is no page here on which the user could agree")
	}
	for i := range c.request.Requirements {
		// What proves itself is proven in this very call, and must not be too early by the grain of the clock.
		if need := &c.request.Requirements[i]; need.NotBefore.After(c.request.CreatedAt) {
			need.NotBefore = c.request.CreatedAt
		}
	}
	if wait := c.Intake.Admit(ctx); wait > 0 {
		return oauth.TooMany(wait)
	}
	if c.context.ID == "" {
		c.context, c.handle = authz.NewAuthSession(c.client.ID, c.request.ExpiresAt)
		c.context.Key = c.key
	}
	if err := c.Store.BeginNative(ctx, c.context, c.request); err != nil {
		return c.lost(err)
	}
	return nil
}

// grant ends the request with a code (5.2.1).
func (c *call) grant(code string, completion authz.Completion) (int, any, error) {
	completion.RequestID = c.request.ID
	err := c.Sessions.Complete(c.r, completion, c.Logger)
	switch {
	case errors.Is(err, authz.ErrSessionEnded) || errors.Is(err, authz.ErrRequestEnded):
		return 0, nil, oauth.SessionLost()
	case err != nil:
		return 0, nil, authz.Failure(err)
	}
	return http.StatusOK, granted{Code: code, AuthSession: c.handle.String(), Notices: c.notices}, nil
}
