// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Authority judges tokens: a [Validator], several as [Issuers], or an introspector of package remote.
type Authority interface {
	// Validate returns what a token says if it is valid now and its sender holds what it is bound to: its last step is
	// [Credential.Redeem].
	Validate(ctx context.Context, c Credential) (*Principal, error)
	// Now is the clock that tokens and policies are judged by.
	Now() time.Time
}

// Options are what [Middleware] may be told.
type Options struct {
	// Realm stands in challenges.
	Realm string
	// ResourceMetadata is the URL of the resource's RFC 9728 document, for challenges; see [MetadataURL].
	ResourceMetadata string
	// DPoP takes tokens that are bound to keys; nil refuses them.
	DPoP *DPoP
	// Optional lets a request without credentials pass, without principal. A bad token is refused all the same.
	Optional bool
	// Logger, unless nil, is told of each refusal and its private cause.
	Logger *slog.Logger
}

// Middleware lets a request reach the next handler only with a valid token that meets the policy; nil asks for no more
// than a valid token. The handler finds the principal with [PrincipalFrom]. Everything else is refused with the status and
// challenge of RFC 6750 and RFC 9470, also when the authority fails in any way.
func Middleware(authority Authority, policy *Policy, options Options) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, found, err := options.DPoP.FromRequest(r)
			var principal *Principal
			if err == nil && found {
				principal, err = judge(r.Context(), c, authority, policy)
			}
			switch {
			case err != nil:
				options.log(r, err)
				options.refuse(w, r, err)
			case principal != nil:
				next.ServeHTTP(w, r.WithContext(WithPrincipal(r.Context(), principal)))
			case !found && options.Optional:
				next.ServeHTTP(w, r.WithContext(WithPrincipal(r.Context(), nil)))
			default:
				options.refuse(w, r, nil)
			}
		})
	}
}

// judge returns who is asking.
func judge(ctx context.Context, c Credential, authority Authority, policy *Policy) (*Principal, error) {
	principal, err := authority.Validate(ctx, c)
	if err == nil && principal != nil {
		err = c.Redeem(principal, authority.Now()) // whatever the authority has left out; twice is once
	}
	if err == nil {
		err = policy.Check(principal, authority.Now())
	}
	if err != nil {
		return nil, err
	}
	return principal, nil
}

// log writes one line about a refusal. The path is left out: some applications keep secrets there.
func (o *Options) log(r *http.Request, err error) {
	e := oauth.AsError(err)
	if o.Logger == nil {
		return
	}
	o.Logger.LogAttrs(r.Context(), e.LogLevel(), "request refused",
		slog.String("method", r.Method), slog.Int("status", e.HTTPStatus()), slog.String("error", string(e.Code)),
		slog.String("cause", e.Error()))
}
