// SPDX-License-Identifier: Apache-2.0

package site

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/validation"
)

// Checked is how long a session cookie is believed before the store is asked again whether the session still lives.
const Checked = 5 * time.Minute

// Config is what a gate is built from. All fields are required but Observe.
type Config struct {
	Issuer string
	Store  *authz.Store
	Tokens *tokens.Issuer
	// Sessions validates the session tokens of site cookies.
	Sessions *validation.Validator
	// Revoke is told of revocations that this gate makes, so that it refuses at once what it has ended.
	Revoke func(...authz.Revocation)
	Logger *slog.Logger
	// Observe is called with the outcome of every decision, for metrics.
	Observe func(outcome string)
}

// Gate decides requests. It is safe for concurrent use.
type Gate struct {
	Config
	crossOrigin *http.CrossOriginProtection
}

// New returns a gate, or an error that names what is missing.
func New(c Config) (*Gate, error) {
	if c.Issuer == "" || c.Store == nil || c.Tokens == nil || c.Sessions == nil || c.Revoke == nil || c.Logger == nil {
		return nil, errors.New("building the gate: issuer, store, tokens, sessions, revocations and logger are required")
	}
	if c.Observe == nil {
		c.Observe = func(string) {}
	}
	return &Gate{Config: c, crossOrigin: http.NewCrossOriginProtection()}, nil
}

// Rule is what a route asks. It is built once and not changed.
type Rule struct {
	// Tokens validates the tokens that requests present.
	Tokens TokenValidator
	// DPoP takes tokens that are bound to keys; nil refuses them.
	DPoP *validation.DPoP
	// Policy is what the token of a user of ours must prove.
	Policy *validation.Policy
	// Bare is what a token must prove that speaks of no realms: that of a client acting for itself, or of another issuer.
	Bare *validation.Policy
	// Session lets a browser log in by redirect and stay logged in by cookie.
	Session bool
	// Optional lets requests without any credential pass, without identity. A bad credential is refused all the same.
	Optional bool
	// Approve refuses a request that is not what was approved, where the token tells that in detail (RFC 9396 9); nil refuses none.
	// It is asked last, when nothing else stands against the request, and may use up what is good once.
	Approve func(*http.Request, *validation.Principal) error
	// Realm stands in challenges.
	Realm string
	// Metadata is the URL of the site's RFC 9728 document; empty leaves it out of challenges.
	Metadata func(*http.Request) string
	// Page is the path and query that the browser asked for, where the request does not tell any more because it was
	// rewritten; nil takes those of the request.
	Page func(*http.Request) string
}

// TokenValidator validates a token that is presented: a [validation.Validator], or several for several issuers.
type TokenValidator interface {
	Validate(ctx context.Context, c validation.Credential) (*validation.Principal, error)
}

// Outcomes of a decision, for metrics and logs.
const (
	Passed     = "passed"
	Anonymous  = "anonymous"
	Redirected = "redirected"
	Refused    = "refused"
	Failed     = "failed"
)

// Decision is what the gate decided.
type Decision struct {
	// Principal is who is asking; nil for an anonymous request that may pass. Policy is what it was judged by, and BySession says
	// that it was the site's cookie.
	Principal *validation.Principal
	Policy    *validation.Policy
	BySession bool
	// Done is set when the answer has been written already: the caller does nothing more.
	Done bool
	// Err is set when the request is refused; Challenges are the WWW-Authenticate values to send with it, if any.
	Err        *oauth.Error
	Challenges []string
}

// Decide judges a request. The default is to refuse: only a decision with neither Done nor Err lets it pass.
func (g *Gate) Decide(w http.ResponseWriter, r *http.Request, origin string, rule *Rule) Decision {
	d := g.decide(w, r, origin, rule)
	if d.Principal != nil && rule.Approve != nil {
		if err := rule.Approve(r, d.Principal); err != nil {
			d = g.refuse(r, rule, err)
		}
	}
	switch {
	case d.Done:
		g.Observe(Redirected)
	case d.Err != nil && d.Err.HTTPStatus() >= http.StatusInternalServerError:
		g.Observe(Failed)
	case d.Err != nil:
		g.Observe(Refused)
	case d.Principal == nil:
		g.Observe(Anonymous)
	default:
		g.Observe(Passed)
	}
	return d
}

func (g *Gate) decide(w http.ResponseWriter, r *http.Request, origin string, rule *Rule) Decision {
	credential, found, err := rule.DPoP.FromRequest(r)
	if err != nil {
		return g.refuse(r, rule, err)
	}
	if found {
		return g.present(r, rule, credential)
	}
	if rule.Session {
		if d, ok := g.session(w, r, origin, rule); ok {
			return d
		}
	}
	if rule.Optional {
		return Decision{}
	}
	if rule.Session && wantsPage(r) {
		g.begin(w, r, origin, asked(r, rule, nil, nil))
		return Decision{Done: true}
	}
	return g.refuse(r, rule, nil)
}

// present decides a request that carries a token: the token alone, whatever cookies come with it.
func (g *Gate) present(r *http.Request, rule *Rule, credential validation.Credential) Decision {
	principal, err := rule.Tokens.Validate(r.Context(), credential)
	if err == nil {
		err = credential.Redeem(principal, g.Store.Now()) // whatever the validator has left out; twice is once
	}
	if err != nil {
		return g.refuse(r, rule, err)
	}
	policy := g.policy(rule, principal)
	if err := policy.Check(principal, g.Store.Now()); err != nil {
		return g.refuse(r, rule, err)
	}
	return Decision{Principal: principal, Policy: policy}
}

// policy returns what of a rule applies to a token. One of ours that rests on a grant speaks for a user.
func (g *Gate) policy(rule *Rule, p *validation.Principal) *validation.Policy {
	if p.Issuer != g.Issuer || p.GrantID == "" && p.Subject == p.ClientID {
		return rule.Bare
	}
	return rule.Policy
}

// session decides a request by the site's cookie; false when there is no session to decide it by.
func (g *Gate) session(w http.ResponseWriter, r *http.Request, origin string, rule *Rule) (Decision, bool) {
	principal, err := g.current(w, r, origin)
	switch {
	case err != nil:
		return g.refuse(r, rule, oauth.Unavailable(err)), true
	case principal == nil:
		return Decision{}, false
	}
	// A cookie goes wherever the browser is told to send it: a request that changes something must come from the site's
	// own pages.
	if !g.sameOrigin(r) {
		return g.refuse(r, rule, &oauth.Error{Code: oauth.AccessDenied, Description: "the request comes from another site"}), true
	}
	refusal := rule.Policy.Check(principal, g.Store.Now())
	if refusal == nil {
		return Decision{Principal: principal, Policy: rule.Policy, BySession: true}, true
	}
	if wantsPage(r) {
		g.begin(w, r, origin, asked(r, rule, principal, refusal))
		return Decision{Done: true}, true
	}
	return g.refuse(r, rule, refusal), true
}

// sameOrigin reports whether a request that changes something comes from the site itself. A request to change the protocol
// is one, although its method is GET: what goes over a WebSocket is checked by nobody afterwards.
func (g *Gate) sameOrigin(r *http.Request) bool {
	if _, upgrade := r.Header["Upgrade"]; upgrade {
		opening := *r
		opening.Method = http.MethodPost
		r = &opening
	}
	return g.crossOrigin.Check(r) == nil
}

// current returns whom the site's cookie names: nil for nobody. A cookie that has been believed for long enough is checked
// against the store and replaced; while the store is down it is not believed.
func (g *Gate) current(w http.ResponseWriter, r *http.Request, origin string) (*validation.Principal, error) {
	raw := cookieValue(r, sessionCookie(origin))
	if raw == "" {
		return nil, nil
	}
	principal, err := g.Sessions.Inspect(r.Context(), raw)
	if err != nil || principal.ClientID != authz.SiteClientID(origin) || !slices.Contains(principal.Audience, origin) {
		return nil, nil
	}
	if g.Store.Now().Sub(principal.IssuedAt) < Checked {
		return principal, nil
	}
	return g.renew(w, r, origin, principal)
}

func (g *Gate) renew(w http.ResponseWriter, r *http.Request, origin string, old *validation.Principal) (*validation.Principal, error) {
	at := g.Store.Now()
	grant, err := g.Store.Grant(r.Context(), old.GrantID)
	if err == nil {
		_, err = g.Store.TouchSession(r.Context(), grant.SessionID)
	}
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	raw, err := g.seat(w, origin, grant, at)
	if err != nil {
		return nil, err
	}
	return g.Sessions.Inspect(r.Context(), raw)
}

// seat sets the site's session cookie for a grant, as of the moment when the store was about to be asked for it, and returns
// the token in it.
func (g *Gate) seat(w http.ResponseWriter, origin string, grant authz.Grant, at time.Time) (string, error) {
	raw, err := g.Tokens.Site(origin, grant, at)
	if err != nil {
		return "", err
	}
	setCookie(w, origin, &http.Cookie{Name: sessionCookie(origin), Value: raw})
	return raw, nil
}

// refuse renders a refusal with its challenges (RFC 6750 3, RFC 9449 7.1, RFC 9470 3). Without an error the request had no
// credential, and they say nothing but where to get one (RFC 6750 3.1).
func (g *Gate) refuse(r *http.Request, rule *Rule, err error) Decision {
	about := validation.Challenge{Realm: rule.Realm}
	if rule.Metadata != nil {
		about.ResourceMetadata = rule.Metadata(r)
	}
	d := Decision{Challenges: rule.DPoP.Challenges(r, err, about)}
	if err == nil {
		d.Err = &oauth.Error{Code: oauth.InvalidToken, Description: "a token is required"}
		return d
	}
	d.Err = oauth.AsError(err)
	if d.Err.HTTPStatus() >= http.StatusInternalServerError || d.Err.HTTPStatus() == http.StatusTooManyRequests || d.Err.Code == oauth.AccessDenied {
		d.Challenges = nil
	}
	return d
}
