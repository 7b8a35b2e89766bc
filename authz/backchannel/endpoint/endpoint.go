// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backchannel"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/reading"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// People finds users.
type People interface {
	// Find returns the id of the user that a hint names, and empty text where it names nobody, or more than one.
	Find(ctx context.Context, hint reading.Hint) (subject string, err error)
	// Spelling returns the one spelling of what a hint names somebody by, whether or not there is such a user.
	Spelling(hint reading.Hint) string
}

// Codes knows the codes that users have chosen for being asked (CIBA 7.1.2).
type Codes interface {
	// Verify reports whether the code is that of the user whom a hint names. Nobody's, who has no id, is wrong after the same work; so is
	// that of a user who has none, and any code of one at whose code was guessed too often.
	Verify(ctx context.Context, subject string, hint reading.Hint, code string) (bool, error)
}

// Config describes a [Handler]. All fields but Codes, ScopeText, Wait, WaitFor and Observe are required.
type Config struct {
	Clients *clientauth.Authenticator
	Reader  *reading.Reader
	Store   *backchannel.Store
	People  People
	// Codes verifies user codes. Without it no client may be registered for them.
	Codes Codes
	// ScopeText says what a scope allows, for people who are asked for it; nil says its name.
	ScopeText func(scope string) string
	// Wait counts a request of a client, and WaitFor one of a client for the person of whom it has a name, in the one spelling of that and
	// whether or not there is such a person. They return how long the client has to wait first; zero admits it. Nil admits all.
	Wait    func(client string) time.Duration
	WaitFor func(client, person string) time.Duration
	Now     func() time.Time
	Logger  *slog.Logger
	// Observe is told how each request ended, for metrics: "asked" or an error code.
	Observe func(outcome string)
}

// Handler is the backchannel authentication endpoint. It keeps nothing in memory and is safe for concurrent use.
type Handler struct{ Config }

// New returns the endpoint, or an error when something is missing.
func New(c Config) (*Handler, error) {
	if c.Clients == nil || c.Reader == nil || c.Store == nil || c.People == nil || c.Now == nil || c.Logger == nil {
		return nil, errors.New("building the backchannel authentication endpoint: " +
			"clients, reader, store, people, clock and logger are required")
	}
	if c.Codes == nil && c.Reader.UsesCodes() {
		return nil, errors.New("building the backchannel authentication endpoint: a client is registered for user codes, which nobody knows")
	}
	if c.ScopeText == nil {
		c.ScopeText = func(scope string) string { return scope }
	}
	if c.Wait == nil {
		c.Wait = func(string) time.Duration { return 0 }
	}
	if c.WaitFor == nil {
		c.WaitFor = func(string, string) time.Duration { return 0 }
	}
	if c.Observe == nil {
		c.Observe = func(string) {}
	}
	return &Handler{c}, nil
}

// answer acknowledges a request (CIBA 7.3).
type answer struct {
	AuthReqID string `json:"auth_req_id"`
	ExpiresIn int64  `json:"expires_in"`
	// Interval is for clients that may ask.
	Interval int64 `json:"interval,omitempty"`
	// Number is what the person types on the phone, to be shown where the request began.
	Number string `json:"number,omitempty"`
}

// ServeHTTP answers a request. No page of another site reads the answer: the endpoint is for back ends.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	httpx.NoStore(w)
	a, err := h.serve(r)
	if err != nil {
		e := authz.Failure(err)
		h.Observe(string(e.Code))
		h.Clients.Refuse(w, r, e, h.Logger)
		return
	}
	h.Observe("asked")
	httpx.WriteJSON(w, http.StatusOK, a)
}

func (h *Handler) serve(r *http.Request) (answer, error) {
	params, err := httpx.Form(r)
	if err != nil {
		return answer{}, err
	}
	client, err := h.Clients.Authenticate(r.Context(), r, params)
	if err != nil {
		return answer{}, err
	}
	t, registered := h.Reader.Terms[client.ID]
	if !registered || !client.May(authz.GrantCIBA) || !client.Confidential() {
		return answer{}, oauth.NewError(oauth.UnauthorizedClient, "the client may not ask people on their phones")
	}
	if wait := h.Wait(client.ID); wait > 0 {
		return answer{}, oauth.TooMany(wait)
	}
	caller := httpx.CallerOf(r.Context())
	ctx := audit.WithActor(r.Context(), audit.Actor{
		By: "client:" + client.ID, ClientID: client.ID, ClientIP: caller.ClientIP, RequestID: caller.RequestID,
	})
	wanted, err := h.Reader.Read(ctx, client, t, params)
	if err != nil {
		return answer{}, err
	}
	if wait := h.WaitFor(client.ID, h.People.Spelling(wanted.Hint)); wait > 0 {
		return answer{}, oauth.TooMany(wait)
	}
	subject, err := h.find(ctx, wanted)
	if err != nil {
		return answer{}, err
	}
	return h.begin(ctx, client, wanted, subject)
}

// find returns who is asked. A code is judged whoever it was sent for, and a wrong one says nothing about whether there is such a user.
func (h *Handler) find(ctx context.Context, wanted reading.Wanted) (string, error) {
	subject, err := h.People.Find(ctx, wanted.Hint)
	if err != nil {
		return "", fmt.Errorf("finding the user of a hint: %w", err)
	}
	if wanted.UserCode == "" {
		return subject, nil
	}
	right, err := h.Codes.Verify(ctx, subject, wanted.Hint, wanted.UserCode)
	switch {
	case err != nil:
		return "", fmt.Errorf("verifying a user code: %w", err)
	case !right:
		return "", oauth.NewError(oauth.InvalidUserCode, "user_code is wrong")
	}
	return subject, nil
}

// begin asks the person.
func (h *Handler) begin(ctx context.Context, client *authz.Client, wanted reading.Wanted, subject string) (answer, error) {
	t := h.Reader.Terms[client.ID]
	ttl := min(max(cmp.Or(wanted.TTL, backchannel.DefaultTTL), backchannel.MinTTL), backchannel.MaxTTL)
	request, id := backchannel.New(h.Now(), ttl, t.Mode)
	request.ClientID, request.Subject, request.Realm = client.ID, subject, wanted.Realm
	request.Scopes, request.ACRValues, request.NotificationToken = wanted.Scopes, wanted.ACRValues, wanted.NotificationToken
	question := backchannel.Question{
		Request: request.ID, Realm: wanted.Realm, Subject: subject, ClientID: client.ID, Client: client.DisplayName(),
		Message: wanted.Message, TTL: ttl, NoNumber: t.NoNumber,
	}
	if !client.FirstParty {
		for _, scope := range wanted.Scopes.Without(oauth.ScopeOpenID) {
			question.Allows = append(question.Allows, h.ScopeText(scope))
		}
	}
	asked, err := h.Store.Begin(ctx, request, question)
	if err != nil {
		return answer{}, err
	}
	switch {
	case asked.Operation != "" || !t.TellUnknown:
	case subject == "":
		return answer{}, oauth.NewError(oauth.UnknownUserID, "the hint names nobody")
	default:
		return answer{}, oauth.NewError(oauth.AccessDenied, "the user cannot be asked")
	}
	a := answer{AuthReqID: id, ExpiresIn: int64(ttl / time.Second), Number: asked.Number}
	if request.Mode.Polls() {
		a.Interval = request.Interval
	}
	return a, nil
}
