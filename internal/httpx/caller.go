// SPDX-License-Identifier: Apache-2.0

package httpx

import (
	"cmp"
	"context"
	"crypto/x509"
	"net/http"
)

// Caller is what whoever runs the server knows about the origin of a request.
type Caller struct {
	// ClientIP is the address that the operator trusts to be the caller's; never a header as it came.
	ClientIP string
	// Proxied tells that the connection comes from a proxy that the operator trusts.
	Proxied bool
	// RequestID ties an answer to its log lines. It may be shown to people.
	RequestID string
	// Method and Path are what the caller has sent, where somebody has rewritten the request since; see [Asked].
	Method, Path string
}

// Asked returns the method and the escaped path of a request as its sender knows them, whatever has been rewritten since.
func Asked(r *http.Request) (method, path string) {
	c := CallerOf(r.Context())
	return cmp.Or(c.Method, r.Method), cmp.Or(c.Path, r.URL.EscapedPath())
}

type callerKey struct{}

// WithCaller returns a context that carries the caller.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns the caller of a context; the zero value when there is none.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// VerifiedChain returns the caller's TLS certificate with its chain, leaf first; nothing when none was sent or when the server
// has not verified it, as in a mode that only asks for one.
func VerifiedChain(r *http.Request) []*x509.Certificate {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	return r.TLS.VerifiedChains[0]
}
