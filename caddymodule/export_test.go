// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap/zapcore"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/caddymodule/passage"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/validation"
)

// Allowed reports whether an origin is a site where browsers log in.
func (a *App) Allowed(origin string) bool { return a.allowed(origin) }

// DB returns the store, as the records see it.
func (a *App) DB() storage.DB { return a.node }

// MergeBlocks joins two blocks of the global option.
func MergeBlocks(first, second string) (string, error) {
	merged, err := mergeBlocks([]byte(first), []byte(second))
	return string(merged), err
}

// Realm loads a realm.
func (a *App) Realm(ctx caddy.Context, c *RealmConfig) (*realm.Realm, error) { return a.realm(ctx, c) }

// PassageOf returns what a request carries through the rules, as whoever prints its variables sees it.
func PassageOf(r *http.Request) any { return caddyhttp.GetVar(r.Context(), passage.Variable) }

// LogCaller writes who is asking as the access log does.
func LogCaller(p *validation.Principal, to zapcore.ObjectEncoder) error {
	return (*passage.Caller)(p).MarshalLogObject(to)
}
