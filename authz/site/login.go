// SPDX-License-Identifier: Apache-2.0

package site

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/validation"
)

// ask is what a site asks the issuer for.
type ask struct {
	scopes    oauth.Scopes
	acrValues []string
	maxAge    *time.Duration
	// page is what the browser comes back to.
	page string
}

// asked returns what a login must bring so that the rule lets the browser pass: the rule's scopes, those the session has
// already, and whatever authentication the refusal named.
func asked(r *http.Request, rule *Rule, have *validation.Principal, refusal error) ask {
	a := ask{scopes: oauth.Scopes{oauth.ScopeOpenID}.Union(rule.Policy.AllScopes), page: r.URL.RequestURI()}
	if rule.Page != nil {
		a.page = rule.Page(r)
	}
	if len(rule.Policy.AnyScope) > 0 && (have == nil || len(rule.Policy.AnyScope.Without(have.Scopes...)) == len(rule.Policy.AnyScope)) {
		a.scopes = a.scopes.Union(rule.Policy.AnyScope[:1])
	}
	if have != nil {
		a.scopes = a.scopes.Union(have.Scopes)
	}
	a.acrValues = rule.Policy.ACRValues
	challenge := validation.ChallengeFor(refusal)
	if len(challenge.ACRValues) > 0 {
		a.acrValues = challenge.ACRValues
	}
	if challenge.HasMaxAge {
		a.maxAge = &challenge.MaxAge
	}
	return a
}

// begin sends a browser to the issuer and remembers where it wanted to go.
func (g *Gate) begin(w http.ResponseWriter, r *http.Request, origin string, a ask) {
	l := login{State: randid.Secret(), Verifier: randid.Secret(), Return: a.page}
	if !localPath(l.Return) {
		l.Return = "/"
	}
	dropOldLogins(w, r, origin)
	setCookie(w, origin, &http.Cookie{Name: loginCookie(origin, l.State), Value: l.encode(), MaxAge: int(loginTTL / time.Second)})
	query := url.Values{
		"response_type":         {"code"},
		"client_id":             {authz.SiteClientID(origin)},
		"redirect_uri":          {origin + authz.PathSiteCallback},
		"scope":                 {a.scopes.String()},
		"state":                 {l.State},
		"code_challenge":        {oauth.Challenge(l.Verifier)},
		"code_challenge_method": {oauth.MethodS256},
	}
	if len(a.acrValues) > 0 {
		query.Set("acr_values", strings.Join(a.acrValues, " "))
	}
	if a.maxAge != nil {
		query.Set("max_age", strconv.FormatInt(int64(*a.maxAge/time.Second), 10))
	}
	httpx.NoStore(w)
	http.Redirect(w, r, oauth.WithQuery(g.Issuer+authz.PathAuthorize, query), http.StatusFound)
}

// wantsPage reports whether a request is a person's navigation, which a redirect can answer: a script or an API client
// gets a status instead. Browsers say so themselves; for older ones, what they accept tells.
func wantsPage(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.Header.Get("Upgrade") != "" {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// ServeOwn answers the paths that a site keeps for itself. An error is for a page.
func (g *Gate) ServeOwn(w http.ResponseWriter, r *http.Request, origin string) error {
	httpx.NoStore(w)
	switch {
	case r.URL.Path == authz.PathSiteCallback && r.Method == http.MethodGet:
		return g.callback(w, r, origin)
	case r.URL.Path == authz.PathSiteLogout && (r.Method == http.MethodGet || r.Method == http.MethodPost):
		return g.logout(w, r, origin)
	}
	return &oauth.Error{Code: oauth.InvalidRequest, Description: "there is no such page", Status: http.StatusNotFound}
}

// callback ends a login: it is the redirect URI of the site's client. A refusal is an error; what it did not begin in this
// very browser it does not end (RFC 9700 4.7).
func (g *Gate) callback(w http.ResponseWriter, r *http.Request, origin string) error {
	w.Header().Set("Referrer-Policy", "no-referrer")
	params, err := oauth.ParseParams(r.URL.RawQuery)
	if err != nil {
		return err
	}
	state := params.Get("state")
	name := loginCookie(origin, state)
	l, ok := decodeLogin(cookieValue(r, name))
	if state == "" || !ok || l.State != state {
		return oauth.NewError(oauth.InvalidRequest, "this login was not begun in this browser, or too long ago")
	}
	clearCookie(w, origin, name)
	if params.Get("iss") != g.Issuer { // RFC 9207 2.4
		return oauth.NewError(oauth.InvalidRequest, "the answer comes from another issuer")
	}
	if code := params.Get("error"); code != "" {
		return oauth.NewError(oauth.AccessDenied, "the login was not completed")
	}
	at := g.Store.Now()
	grant, err := g.redeem(r, origin, params.Get("code"), l)
	if err != nil {
		return err
	}
	if _, err := g.seat(w, origin, grant, at); err != nil {
		return err
	}
	http.Redirect(w, r, l.Return, http.StatusSeeOther)
	return nil
}

func (g *Gate) redeem(r *http.Request, origin, code string, l login) (authz.Grant, error) {
	result, err := g.Store.Redeem(r.Context(), authz.Redemption{
		Code:        code,
		ClientID:    authz.SiteClientID(origin),
		RedirectURI: origin + authz.PathSiteCallback,
		Verifier:    l.Verifier,
	})
	if err != nil {
		return authz.Grant{}, oauth.Unavailable(err)
	}
	g.Revoke(result.Revocations...)
	if result.Outcome != authz.Redeemed {
		return authz.Grant{}, oauth.NewError(oauth.InvalidRequest, "this login has been used already, or too long ago")
	}
	return result.Grant, nil
}

// logout ends the browser's session, here and everywhere. A request from the site's own pages ends it at once; any other
// is sent to the issuer, which asks first, so that no other site can log a person out by a link.
func (g *Gate) logout(w http.ResponseWriter, r *http.Request, origin string) error {
	if r.Method == http.MethodPost {
		if err := g.crossOrigin.Check(r); err != nil {
			return oauth.NewError(oauth.AccessDenied, "the request comes from another site")
		}
		if err := g.end(w, r, origin); err != nil {
			return err
		}
	}
	query := url.Values{"client_id": {authz.SiteClientID(origin)}}
	http.Redirect(w, r, oauth.WithQuery(g.Issuer+authz.PathLogout, query), http.StatusSeeOther)
	return nil
}

func (g *Gate) end(w http.ResponseWriter, r *http.Request, origin string) error {
	principal, err := g.current(w, r, origin)
	if err != nil {
		return oauth.Unavailable(err)
	}
	if principal != nil {
		revocations, err := g.Store.EndSession(r.Context(), principal.SessionID)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return oauth.Unavailable(err)
		}
		g.Revoke(revocations...)
	}
	clearCookie(w, origin, sessionCookie(origin))
	return nil
}
