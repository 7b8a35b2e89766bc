// SPDX-License-Identifier: Apache-2.0

package sites

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/validation"
)

// Group is what is known about the rules that stand in one list of routes, as in the block of a site or of a handle. The
// first of them that matches decides; rules of another list, further in or out, decide for themselves.
type Group struct {
	// Origins are those under which the site is reached, where it says so, and Issuers those whose tokens are accepted besides ours.
	Origins, Issuers []string
	// Session tells that browsers may log in.
	Session bool
	// Status is what whoever asks how a confirmation stands must prove; nil where no request is confirmed.
	Status *site.Rule
	// Bound tells of a rule that takes only tokens which are bound to a key, and Bearer of one that takes others too.
	Bound, Bearer bool
	// Exact tells that requests are compared with what was approved.
	Exact bool
	// Lenient tells that a rule for every request is lenient; one for some requests says nothing about the others.
	Lenient bool
	// Issuer tells that the endpoints of the authorization server stand in the same list, whatever the request.
	Issuer bool

	confirms []site.TokenValidator // of the rules by which requests are confirmed
}

// Member is a handler that belongs to the rules of its list.
type Member interface {
	// Join adds what the handler has to say. Always tells that it gets every request that reaches the list. It returns whether
	// the handler answers browsers that come back from their login.
	Join(group *Group, always bool) (answers bool)
}

// OriginOf returns the origin a request was sent to: the configured one with its host, or else what the connection says.
// Either way only an origin that the configuration serves can log in.
func (g *Group) OriginOf(r *http.Request) string {
	host := strings.ToLower(r.Host)
	i := slices.IndexFunc(g.Origins, func(o string) bool { return strings.HasSuffix(o, "://"+host) })
	if i >= 0 {
		return g.Origins[i]
	}
	if r.TLS != nil {
		return "https://" + host
	}
	return "http://" + host
}

// Keeps reports whether the site keeps a path for itself: its metadata; where browsers log in, the ends of their logins; and where
// requests are confirmed, how that stands.
func (g *Group) Keeps(path string) bool {
	return IsMetadata(path) || g.Session && strings.HasPrefix(path, authz.PathSite) ||
		g.Status != nil && strings.HasPrefix(path, authz.PathSiteConfirm)
}

// errOverride is for a request that asks the upstream to take it for another one, where some have to be what was approved.
var errOverride = errors.New("a header field asks for another method or target")

// Check refuses a request that an upstream may take for another one than the rules do.
func (g *Group) Check(r *http.Request, lenient bool) error {
	if err := site.CheckMethod(r.Method); err != nil {
		return err
	}
	if g.Exact && httpx.Override(r) != "" {
		return errOverride
	}
	return site.CheckPath(r.URL, lenient)
}

// IsMetadata reports whether a path is that of a site's metadata (RFC 9728 3).
func IsMetadata(path string) bool {
	below, ok := strings.CutPrefix(path, validation.MetadataPath)
	return ok && (below == "" || below[0] == '/')
}

// Confirm adds a rule by which requests are confirmed, with the validator of its tokens. Whoever may send any of them may ask how
// theirs stand, by what is left to prove then.
func (g *Group) Confirm(tokens site.TokenValidator, status *site.Rule) {
	g.confirms = append(g.confirms, tokens)
	if g.Status == nil {
		rule := *status
		rule.Tokens = g
		g.Status = &rule
	}
}

// Validate takes the token of any rule by which requests are confirmed: whoever has one may ask how theirs stand.
func (g *Group) Validate(ctx context.Context, c validation.Credential) (p *validation.Principal, err error) {
	err = validation.ErrAudience
	for _, tokens := range g.confirms {
		if p, err = tokens.Validate(ctx, c); err == nil {
			return p, nil
		}
	}
	return nil, err
}
