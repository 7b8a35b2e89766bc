// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/dpop"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// ProofsConfig says how proofs are judged. Now is required.
type ProofsConfig struct {
	Now func() time.Time
	// Nonces has every proof carry a nonce of ours (RFC 9449 section 9).
	Nonces bool
	// Limit bounds how many used proofs are remembered. Default: 1,000,000, which take some 50 MB.
	Limit int
	// Spend, when set, uses a proof up for several processes: it reports whether none of them had used it before, and remembers it until
	// the given time. It is asked for each request with a proof that stands, and its error refuses the request. Default: each process
	// has a memory of its own, so that a proof is good once in each.
	Spend func(ctx context.Context, proof string, until time.Time) (fresh bool, err error)
}

// Proofs judges DPoP proofs and remembers which were used, in this process or in several. Resources that share it take each other's nonces
// and refuse each other's used proofs. It is safe for concurrent use.
type Proofs struct {
	checker *dpop.Checker
	replays *dpop.Replays
	spend   func(ctx context.Context, proof string, until time.Time) (fresh bool, err error)
}

// NewProofs returns a judge of proofs, whose memory begins now: a proof that was made before may have been used, and is answered with a
// nonce. A nonce lasts as long as a proof without one does, so that few have to be remembered.
func NewProofs(c ProofsConfig) (*Proofs, error) {
	if c.Now == nil {
		return nil, errors.New("preparing for DPoP: a clock is required")
	}
	nonces, err := dpop.NewNonces(dpop.RandomKey(), "resource", dpop.Past)
	if err != nil {
		return nil, err
	}
	checker, err := dpop.New(dpop.Config{Now: c.Now, Nonces: nonces, Demand: c.Nonces, Since: c.Now()})
	if err != nil {
		return nil, err
	}
	return &Proofs{checker: checker, replays: dpop.NewReplays(c.Limit), spend: c.Spend}, nil
}

// Algs returns the algorithms that proofs may be signed with, for [ResourceMetadata].
func (p *Proofs) Algs() []Algorithm { return p.checker.Algs() }

// DPoP says how tokens are presented at a resource with a proof that the sender holds the key that they are bound to (RFC 9449 section
// 7). A proof is good for one request. The nil DPoP takes no token that is bound to a key.
type DPoP struct {
	// Proofs judges the proofs. Required.
	Proofs *Proofs
	// Address returns the address of a request as its sender sees it, with scheme and host. Default: that of the request, which is
	// right where no proxy stands in front.
	Address func(*http.Request) string
	// Method returns the method that the sender of a request has used. Default: that of the request, which is right where nothing has
	// rewritten it.
	Method func(*http.Request) string
	// Required refuses tokens that come without proof.
	Required bool
	// Kept returns where that is kept which a request presents, for requests that are judged more than once: what one has once shown
	// counts for all. Default: every judgement reads the request, and the second refuses its proof as used.
	Kept func(*http.Request) *Presented
}

// Presented keeps what one request presents. It is not safe for concurrent use.
type Presented struct {
	read       bool
	credential Credential
	found      bool
	err        error
}

// address is that of a request which nothing has changed on its way.
func address(r *http.Request) string {
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return scheme + r.Host + r.URL.EscapedPath()
}

// FromRequest is the function of that name for a resource where tokens may be bound to keys: it takes the scheme DPoP as well, checks
// the proof, and refuses one that does not stand with invalid_dpop_proof or use_dpop_nonce (RFC 9449 section 7.1). Whether the token is
// bound to the key of the proof is judged with the token. On nil it is that function.
func (d *DPoP) FromRequest(r *http.Request) (c Credential, found bool, err error) {
	if d == nil {
		return FromRequest(r)
	}
	kept := new(Presented)
	if d.Kept != nil {
		kept = d.Kept(r)
	}
	if !kept.read {
		kept.credential, kept.found, kept.err = d.read(r)
		kept.read = true
	}
	c, found, err = kept.credential, kept.found, kept.err
	if err == nil && found && d.Required && !c.Proven() {
		return Credential{}, true, Invalid(ErrUnproven)
	}
	return c, found, err
}

// read returns what a request presents, by either scheme.
func (d *DPoP) read(r *http.Request) (c Credential, found bool, err error) {
	name, raw, found, err := tokenOf(r, oauth.Bearer, oauth.DPoP)
	if err != nil || !found {
		return Credential{}, false, err
	}
	c = bearerOf(r, raw)
	if strings.EqualFold(name, oauth.Bearer) {
		return c, true, nil
	}
	at := address
	if d.Address != nil {
		at = d.Address
	}
	method := r.Method
	if d.Method != nil {
		method = d.Method(r)
	}
	proof, err := d.Proofs.checker.Check(dpop.Request{Proofs: r.Header[dpop.Header], Method: method, URI: at(r), Token: raw})
	if err != nil {
		return Credential{}, true, d.Proofs.checker.Refusal(err, http.StatusUnauthorized)
	}
	c.proof = &shown{Proof: proof, proofs: d.Proofs, ctx: r.Context()}
	return c, true, nil
}

// Challenges returns the values of WWW-Authenticate that go with a refusal: one for each scheme that would do, the error in that which
// was used (RFC 9449 sections 7.1 and 7.2). About is what the caller has to say; scheme, error and algorithms are filled in here. On nil
// there is one for bearer tokens.
func (d *DPoP) Challenges(r *http.Request, err error, about Challenge) []string {
	bearer := ChallengeFor(err)
	bearer.Realm, bearer.ResourceMetadata = about.Realm, about.ResourceMetadata
	if d == nil {
		return []string{bearer.String()}
	}
	proven := bearer
	proven.Scheme = oauth.DPoP
	for _, alg := range d.Proofs.Algs() {
		proven.Algs = append(proven.Algs, string(alg))
	}
	switch {
	case d.Required:
		return []string{proven.String()}
	case presents(r, oauth.DPoP):
		return []string{proven.String(), bearer.WithoutError().String()}
	default:
		return []string{bearer.String(), proven.WithoutError().String()}
	}
}
