// SPDX-License-Identifier: Apache-2.0

package passage

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/validation"
)

// Introduce tells the placeholders and the access log of a request who is asking.
func Introduce(r *http.Request, principal *validation.Principal) {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(userPlaceholders(principal))
	}
	if extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok && logs(r) {
		extra.Set(zap.Inline((*Caller)(principal)))
	}
}

// logs reports whether anybody may write the access log of a request: fields for nobody are not worth their price.
func logs(r *http.Request) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return !ok || server.Logs != nil
}

// Caller writes who is asking to the access log.
type Caller validation.Principal

// MarshalLogObject adds the fields of the access log.
func (c *Caller) MarshalLogObject(to zapcore.ObjectEncoder) error {
	to.AddString("client_id", c.ClientID)
	to.AddString("sub", c.Subject)
	to.AddString("acr", c.ACR)
	return nil
}

// userPlaceholders answers {http.auth.user.*} from the token, when somebody asks.
func userPlaceholders(principal *validation.Principal) caddy.ReplacerFunc {
	return func(key string) (any, bool) {
		claim, ok := strings.CutPrefix(key, "http.auth.user.")
		if !ok {
			return nil, false
		}
		switch claim {
		case "id":
			claim = "sub"
		case "scopes":
			claim = "scope"
		}
		return site.ClaimText(principal, claim), true
	}
}

var _ zapcore.ObjectMarshaler = (*Caller)(nil)
