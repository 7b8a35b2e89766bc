// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/site"
)

// siblings are the rules that stand in one list of routes, as in the block of a site or of a handle. The first of them that
// matches decides; rules of another list, further in or out, decide for themselves.
type siblings struct {
	origins, issuers []string
	session          bool
	// lenient tells that a rule for every request is lenient; one for some requests says nothing about the others.
	lenient bool
	// issuer tells that the endpoints of the authorization server stand in the same list, whatever the request.
	issuer bool
}

// member is a handler that belongs to a list of siblings.
type member interface {
	join(*siblings)
	standAlone()
	identityHeaders(into map[string]string)
}

// membership is what a member knows of its list.
type membership struct {
	among atomic.Pointer[siblings]
}

// originOf returns the origin a request was sent to: the configured one with its host, or else what the connection says.
// Either way only an origin that the configuration serves can log in.
func (s *siblings) originOf(r *http.Request) string {
	host := strings.ToLower(r.Host)
	i := slices.IndexFunc(s.origins, func(o string) bool { return strings.HasSuffix(o, "://"+host) })
	if i >= 0 {
		return s.origins[i]
	}
	if r.TLS != nil {
		return "https://" + host
	}
	return "http://" + host
}

// passage is what a request carries on its way through the rules, where no client can reach it.
type passage struct {
	came    credentials
	cleaned bool // by a guard
	// decided is the list of which a rule has let the request pass first; lists further in come after it.
	decided *siblings
	further []*siblings
}

// fresh reports whether no rule or guard has seen the request before.
func (p *passage) fresh() bool { return p.decided == nil && !p.cleaned }

func (p *passage) decidedBy(s *siblings) bool { return p.decided == s || slices.Contains(p.further, s) }

func (p *passage) decide(s *siblings) {
	if p.decided == nil {
		p.decided = s
		return
	}
	p.further = append(p.further, s)
}

// credentials are the header fields that may prove who is asking.
type credentials struct{ authorization, cookies []string }

func credentialsOf(r *http.Request) credentials {
	return credentials{authorization: r.Header["Authorization"], cookies: r.Header["Cookie"]}
}

func (c credentials) put(r *http.Request) {
	put(r.Header, "Authorization", c.authorization)
	put(r.Header, "Cookie", c.cookies)
}

func put(header http.Header, name string, values []string) {
	if values == nil {
		delete(header, name)
		return
	}
	header[name] = values
}

const passageVar = "gatehouse.passage"

// String keeps credentials out of whatever prints the variables of a request.
func (*passage) String() string { return "" }

// enter returns the passage of a request, which begins at the first rule or guard that sees it.
func enter(r *http.Request) *passage {
	if p, ok := caddyhttp.GetVar(r.Context(), passageVar).(*passage); ok {
		return p
	}
	p := &passage{came: credentialsOf(r)}
	caddyhttp.SetVar(r.Context(), passageVar, p)
	return p
}

// conceal takes off a request what is not for the upstream: our cookies and, unless it is forwarded, the token that the
// request came with. What another handler has put in the token's place stays.
func (p *passage) conceal(r *http.Request, forward bool) {
	site.StripCookies(r)
	if !forward && slices.Equal(r.Header["Authorization"], p.came.authorization) {
		delete(r.Header, "Authorization")
	}
}

// keeps reports whether the site keeps a path for itself: its metadata and, where browsers log in, the ends of their
// logins.
func (s *siblings) keeps(path string) bool {
	return isMetadata(path) || s.session && strings.HasPrefix(path, authz.PathSite)
}

func isMetadata(path string) bool {
	return strings.HasPrefix(path, metadataPath) && (len(path) == len(metadataPath) || path[len(metadataPath)] == '/')
}

// pageOf returns what the browser asked for, before Caddy rewrote it.
func pageOf(r *http.Request) string {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.URL.RequestURI()
	}
	return r.URL.RequestURI()
}

// refuse hands a refusal to Caddy, so that handle_errors works, with its challenge already set.
func refuse(w http.ResponseWriter, status int, challenge string, err error) error {
	header := w.Header()
	if challenge != "" {
		header.Set("WWW-Authenticate", challenge)
	}
	if status == http.StatusServiceUnavailable {
		header.Set("Retry-After", "1")
	}
	header.Set("Cache-Control", "no-store")
	return caddyhttp.Error(status, err)
}
