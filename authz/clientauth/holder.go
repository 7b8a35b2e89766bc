// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"context"
	"net/http"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/dpop"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// proofOwner is in whose name used proofs are remembered. It is no client's id: those are printable.
const proofOwner = "\x00dpop"

// Address returns the address of a request to an endpoint of the issuer as its sender knows it: below the issuer's name, or that of the
// origin where certificates are shown, whatever name the connection gave it, and with the path that was sent, whatever was rewritten since.
func (a *Authenticator) Address(r *http.Request) string {
	_, path := httpx.Asked(r)
	if a.MutualTLS != "" && strings.EqualFold("https://"+r.Host, a.MutualTLS) {
		return a.MutualTLS + path
	}
	return strings.TrimSuffix(a.Issuer, authz.BasePath(a.Issuer)) + path
}

// Holder returns the thumbprint of the key that the sender of a request to an endpoint of the issuer has proven to hold (RFC 9449 5);
// empty for a request without proof. A proof counts once, on all nodes. Refusals are *[oauth.Error]: invalid_dpop_proof for a proof
// that is not good, use_dpop_nonce, with the nonce, for one that another would do instead of, 429 for an address that sends too many, and
// temporarily_unavailable when the store cannot tell.
func (a *Authenticator) Holder(r *http.Request) (string, error) {
	proofs := r.Header[dpop.Header]
	if a.Proofs == nil || len(proofs) == 0 {
		return "", nil
	}
	method, _ := httpx.Asked(r)
	proof, err := a.Proofs.Check(dpop.Request{Proofs: proofs, Method: method, URI: a.Address(r)})
	if err != nil {
		return "", a.Proofs.Refusal(err, http.StatusBadRequest)
	}
	if err := a.remembers(r.Context()); err != nil {
		return "", err
	}
	// Last, so that only what is signed and for us is remembered.
	fresh, err := a.Store.SpendAssertion(r.Context(), proofOwner, proof.ID, proof.Until.Add(skew))
	switch {
	case err != nil:
		return "", authz.Failure(err)
	case !fresh:
		return "", a.Proofs.Refusal(dpop.ErrReplayed, http.StatusBadRequest)
	}
	return proof.Thumbprint, nil
}

// remembers refuses to remember more of an address than strangers may have remembered.
func (a *Authenticator) remembers(ctx context.Context) error {
	if wait := a.Remembering.Take(limit.Address(httpx.CallerOf(ctx).ClientIP)).Wait; wait > 0 {
		return oauth.TooMany(wait)
	}
	return nil
}

// Certificate returns the thumbprint of the certificate that the connection of a request shows (RFC 8705 3); invalid_request where it
// shows none. It comes from TLS alone: no header field stands in for it.
func Certificate(r *http.Request) (string, error) {
	chain := httpx.Certificates(r)
	if len(chain) == 0 {
		return "", oauth.NewError(oauth.InvalidRequest,
			"the client has its tokens bound to its certificate: it has to show one, at the endpoint of mtls_endpoint_aliases")
	}
	return jose.CertificateThumbprint(chain[0]), nil
}

// SameHolder refuses, with invalid_dpop_proof, a request that does not prove the key that what it goes on with is bound to. What is
// bound to none goes on with any.
func SameHolder(bound, proven string) error {
	if bound == "" || bound == proven {
		return nil
	}
	return oauth.NewError(oauth.InvalidDPoPProof, "the request does not prove the key that it began with")
}

// Bind binds the code of a request to the key that its sender has proven to hold, which is that of dpop_jkt where there is one (RFC 9449
// 10.1, draft-ietf-oauth-first-party-apps-04 9.5.1): another one is refused as by [SameHolder]. Whoever has proven none binds nothing.
func Bind(request *authz.Request, proven string) error {
	if proven == "" {
		return nil
	}
	if err := SameHolder(request.Key, proven); err != nil {
		return err
	}
	request.Key = proven
	return nil
}

// WithoutCredentials returns a request without the header fields by which a client shows who it is. A realm that reads them would take
// a client's secret for somebody's password.
func WithoutCredentials(r *http.Request) *http.Request {
	without := *r
	without.Header = r.Header.Clone()
	without.Header.Del("Authorization")
	without.Header.Del(dpop.Header)
	return &without
}
