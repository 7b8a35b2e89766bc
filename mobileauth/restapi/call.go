// SPDX-License-Identifier: Apache-2.0

package restapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
)

// call is one request on its way through an endpoint.
type call struct {
	api    *API
	w      http.ResponseWriter
	r      *http.Request
	caller Caller
	trace  wire.Trace
	status int
}

// route answers the requests of one path.
type route struct {
	api     *API
	pattern string
	methods resource
}

// ServeHTTP takes a request through the steps that all have in common.
func (t *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	origin := httpx.CallerOf(r.Context())
	if origin.RequestID == "" {
		origin.RequestID = randid.New("rq")
	}
	c := &call{api: t.api, w: w, trace: wire.TraceOf(r, origin.RequestID)}
	c.trace.Echo(w.Header())
	w.Header().Set("Cache-Control", "no-store")
	c.r = r.WithContext(httpx.WithCaller(r.Context(), origin))
	if err := t.serve(c); err != nil {
		t.api.refuse(c, err)
	}
	if observe := t.api.config.Observe; observe != nil {
		observe(t.pattern, c.status)
	}
}

func (t *route) serve(c *call) error {
	if t.methods == nil {
		return wire.New(wire.NotFound, "the API has no such path")
	}
	method := c.r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	point, ok := t.methods[method]
	if !ok {
		c.w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(t.methods)), ", "))
		return wire.New(wire.MethodNotAllowed, "")
	}
	if len(point.scopes) > 0 {
		if err := t.api.admit(c, point.scopes); err != nil {
			return err
		}
	}
	return point.serve(c)
}

// admit finds out who is calling and whether they may.
func (a *API) admit(c *call, scopes []string) error {
	origin := httpx.CallerOf(c.r.Context())
	address := limit.Address(origin.ClientIP)
	if wait := a.failures.Wait(address); wait > 0 {
		return &wire.Problem{Code: wire.TooManyRequests, Detail: "too many requests with wrong credentials", RetryAfter: wait}
	}
	caller, err := a.config.Authenticator.Authenticate(c.r)
	if err != nil {
		p := a.unauthenticated(c.r, err)
		if p.Code == wire.Unauthenticated && oauth.AsError(err).Code != oauth.UseDPoPNonce {
			a.failures.Count(address)
		}
		return p
	}
	c.caller = caller
	c.r = c.r.WithContext(audit.WithActor(c.r.Context(), audit.Actor{
		By: "client:" + caller.ClientID, ClientID: caller.ClientID, ClientIP: origin.ClientIP, RequestID: origin.RequestID,
	}))
	if !caller.MayCallFrom(origin.ClientIP) {
		a.failures.Count(address)
		return a.elsewhere(c)
	}
	budget := a.clients.Take(caller.ClientID)
	a.tellBudget(c.w.Header(), budget)
	if budget.Wait > 0 {
		return &wire.Problem{Code: wire.TooManyRequests, Detail: "the client sends more requests than it may", RetryAfter: budget.Wait}
	}
	if !slices.ContainsFunc(scopes, caller.Scopes.Has) {
		challenge := oauth.WWWAuthenticate{Scheme: oauth.Bearer, Realm: a.config.Issuer, Error: oauth.InsufficientScope, Scopes: scopes[:1]}
		p := wire.New(wire.InsufficientScope, "the client needs the scope "+scopes[0])
		p.Challenge = challenge.String()
		return p
	}
	return nil
}

// errElsewhere is why a client is refused whose credentials are right. It hears nothing of it: who holds what was stolen does not learn
// what else it takes.
var errElsewhere = errors.New("the address is in none of the networks that the client may call from")

// elsewhere refuses a call and writes it down. How often, the budget of wrong credentials of its address bounds.
func (a *API) elsewhere(c *call) error {
	refused := audit.Event{Name: "client.call", Outcome: audit.Refused, Reason: "network_not_allowed"}
	err := a.config.Trail.Record(c.r.Context(), refused)
	return wire.New(wire.Forbidden, "").Because(errors.Join(errElsewhere, err))
}

// tellBudget says how many requests are left (draft-ietf-httpapi-ratelimit-headers).
func (a *API) tellBudget(h http.Header, b limit.Budget) {
	rate := a.config.Rate
	h.Set("RateLimit-Policy", fmt.Sprintf(`"client";q=%d;w=%s`, rate.Requests, httpx.Seconds(rate.Window)))
	h.Set("RateLimit", fmt.Sprintf(`"client";r=%d;t=%s`, b.Left, httpx.Seconds(b.Full)))
}

// unauthenticated words a refusal of the authenticator. It says which schemes there are (RFC 9110 15.5.2), and what is wrong with a token
// by the scheme that it came with (RFC 9449 7.1).
func (a *API) unauthenticated(r *http.Request, err error) *wire.Problem {
	e := oauth.AsError(err)
	p := &wire.Problem{Code: wire.Unauthenticated, Detail: e.Description, RetryAfter: e.RetryAfter}
	switch status := e.HTTPStatus(); {
	case status == http.StatusTooManyRequests:
		p.Code = wire.TooManyRequests
	case status == http.StatusServiceUnavailable:
		p.Code = wire.Unavailable
	case status == http.StatusRequestEntityTooLarge:
		p.Code = wire.BodyTooLarge
	case status == http.StatusUnsupportedMediaType:
		p.Code = wire.UnsupportedMedia
	case status >= http.StatusInternalServerError:
		p.Code, p.Detail = wire.InternalError, ""
	case e.Code == oauth.InvalidRequest:
		p.Code = wire.InvalidRequest
	default:
		token := oauth.WWWAuthenticate{Scheme: oauth.Bearer, Realm: a.config.Issuer}
		if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, oauth.DPoP) {
			token.Scheme = oauth.DPoP
		}
		switch e.Code {
		case oauth.InvalidToken, oauth.InvalidDPoPProof, oauth.UseDPoPNonce:
			token.Error = e.Code
		}
		basic := oauth.WWWAuthenticate{Scheme: "Basic", Realm: a.config.Issuer}
		p.Challenge = token.String() + ", " + basic.String()
	}
	return p.Because(err)
}

// refuse answers with a problem and logs it, with what caused it.
func (a *API) refuse(c *call, err error) {
	p := problemOf(err)
	c.status = p.Status()
	level := slog.LevelInfo
	switch p.Code {
	case wire.InternalError:
		level = slog.LevelError
	case wire.Unavailable:
		level = slog.LevelWarn
	}
	origin := httpx.CallerOf(c.r.Context())
	a.config.Logger.LogAttrs(c.r.Context(), level, "request refused",
		slog.String("path", c.r.URL.Path), slog.Int("status", c.status), slog.String("error", string(p.Code)),
		slog.String("cause", err.Error()), slog.String("client_id", c.caller.ClientID), slog.String("client_ip", origin.ClientIP),
		slog.String("request_id", origin.RequestID))
	p.Write(c.w, a.base+"/docs#", c.trace)
}

// send answers with v as JSON.
func (c *call) send(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	c.status = status
	h := c.w.Header()
	h.Set("Content-Type", wire.JSON)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body) // nobody is left to tell
	return nil
}

// sendVersion answers with a record and its entity tag, or says that the caller has it already.
func (c *call) sendVersion(status int, version uint64, v any) error {
	c.w.Header().Set("ETag", wire.ETag(version))
	if reading := c.r.Method == http.MethodGet || c.r.Method == http.MethodHead; reading && wire.Fresh(c.r, version) {
		return c.sendNothing(http.StatusNotModified)
	}
	return c.send(status, v)
}

func (c *call) sendNothing(status int) error {
	c.status = status
	c.w.WriteHeader(status)
	return nil
}

// body reads the JSON of a request.
func (c *call) body(into any) error { return c.bodyOf(wire.JSON, into) }

func (c *call) bodyOf(contentType string, into any) error {
	body, err := wire.Read(c.r, contentType)
	if err != nil {
		return err
	}
	return wire.Decode(body, into)
}

// optionalBody is body for calls that need none. Many programs name a content type whether or not they send anything.
func (c *call) optionalBody(into any) error {
	if c.r.ContentLength == 0 {
		return nil
	}
	return c.body(into)
}

// reasoned is the body of calls that take something out.
type reasoned struct {
	Reason string `json:"reason"`
}

// match refuses a request that was made for versions of which a record has none now.
func match(versions []uint64, version uint64) error {
	if !slices.Contains(versions, version) {
		return wire.New(wire.VersionMismatch, "read it again, and send If-Match with the ETag that it has then")
	}
	return nil
}

// params reads the query, of which each name is one of those known.
func (c *call) params(known ...string) (map[string]string, error) { return wire.Params(c.r, known...) }

// paged reads the query of a list: cursor and limit, and what else it knows.
func (c *call) paged(known ...string) (query map[string]string, p wire.Page, err error) {
	if query, err = c.params(append([]string{"cursor", "limit"}, known...)...); err != nil {
		return nil, p, err
	}
	p, err = wire.PageOf(c.r.URL.Path, query)
	return query, p, err
}

// applied has the gates learn what was taken out, before the answer says so.
func (a *API) applied(c *call) error {
	if a.config.Applied == nil {
		return nil
	}
	if err := a.config.Applied(c.r.Context()); err != nil {
		return fmt.Errorf("telling the gates: %w", errors.Join(err, errNotTold))
	}
	return nil
}
