// SPDX-License-Identifier: Apache-2.0

package passage

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/authz/site/stream"
	"github.com/gatehouse-id/gatehouse/caddymodule/sites"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
	"github.com/gatehouse-id/gatehouse/validation"
)

// Passage is what a request carries on its way through the rules, where no client can reach it. It belongs to one request, and
// is not safe for concurrent use.
type Passage struct {
	// Came are the credentials that the request came with.
	Came Credentials
	// Operations are the values of the header field that names an operation, which is taken off as whatever else is ours.
	Operations []string
	// Presented is what the request presents, once that was read.
	Presented validation.Presented
	// Cleaned tells that a guard has cleaned the request.
	Cleaned bool

	decided *sites.Group // the list of which a rule has let the request pass first; lists further in come after it
	further []*sites.Group

	entry   stream.Entry // of the first rule that watches the request
	watched bool
}

// Asked returns what the sender of a request has asked for, before Caddy rewrote it.
func Asked(r *http.Request) (method string, target *url.URL) {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.Method, original.URL
	}
	return r.Method, r.URL
}

// Variable is the variable of a request that holds its passage.
const Variable = "gatehouse.passage"

// Enter returns the passage of a request, which begins at the first rule or guard that sees it.
func Enter(r *http.Request) *Passage {
	if p, ok := caddyhttp.GetVar(r.Context(), Variable).(*Passage); ok {
		return p
	}
	p := &Passage{Came: CredentialsOf(r), Operations: r.Header[hold.OperationHeader]}
	caddyhttp.SetVar(r.Context(), Variable, p)
	return p
}

// String keeps credentials out of whatever prints the variables of a request.
func (*Passage) String() string { return "" }

// Entry returns a place for the request among those under way, one for each rule that watches it.
func (p *Passage) Entry() *stream.Entry {
	if p.watched {
		return new(stream.Entry)
	}
	p.watched = true
	return &p.entry
}

// Fresh reports whether no rule or guard has seen the request before.
func (p *Passage) Fresh() bool { return p.decided == nil && !p.Cleaned }

// Decided reports whether a rule has let the request pass.
func (p *Passage) Decided() bool { return p.decided != nil }

// DecidedBy reports whether a rule of the list has let the request pass.
func (p *Passage) DecidedBy(list *sites.Group) bool {
	return p.decided == list || slices.Contains(p.further, list)
}

// Decide remembers that a rule of the list has let the request pass.
func (p *Passage) Decide(list *sites.Group) {
	if p.decided == nil {
		p.decided = list
		return
	}
	p.further = append(p.further, list)
}

// Conceal takes off the request what is not for the upstream: our cookies and, unless they are forwarded, the token that the
// request came with and its DPoP proof. What another handler has put in their place stays.
func (p *Passage) Conceal(r *http.Request, forward bool) {
	site.StripCookies(r)
	if forward {
		return
	}
	if slices.Equal(r.Header[authorizationHeader], p.Came.authorization) {
		delete(r.Header, authorizationHeader)
	}
	if slices.Equal(r.Header[proofHeader], p.Came.proofs) {
		delete(r.Header, proofHeader)
	}
}

// The header fields that may prove who is asking, as [net/http.Header] spells them.
const authorizationHeader, proofHeader, cookieHeader = "Authorization", "Dpop", "Cookie"

// Credentials are the header fields that may prove who is asking.
type Credentials struct{ authorization, proofs, cookies []string }

// CredentialsOf returns the credentials that the request has now.
func CredentialsOf(r *http.Request) Credentials {
	return Credentials{
		authorization: r.Header[authorizationHeader], proofs: r.Header[proofHeader], cookies: r.Header[cookieHeader],
	}
}

// Put gives the request these credentials, whatever it had.
func (c Credentials) Put(r *http.Request) {
	put(r.Header, authorizationHeader, c.authorization)
	put(r.Header, proofHeader, c.proofs)
	put(r.Header, cookieHeader, c.cookies)
}

func put(header http.Header, name string, values []string) {
	if values == nil {
		delete(header, name)
		return
	}
	header[name] = values
}
