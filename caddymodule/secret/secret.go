// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"log/slog"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// Deferred reports whether a text is known only where the server runs.
func Deferred(text string) bool {
	return strings.Contains(text, "{env.") || strings.Contains(text, "{file.")
}

// Resolve returns the secret that a text stands for. An unknown or empty placeholder is an error that names the placeholder and
// never the value. A secret that stands in the configuration itself is pointed out, by the name of what it is the secret of.
func Resolve(text, of string, logger *slog.Logger) (string, error) {
	if text != "" && !Deferred(text) {
		InClear(of, logger)
	}
	return caddy.NewReplacer().ReplaceOrErr(text, true, true)
}

// InClear points out a secret that stands in the configuration itself: Caddy keeps and shows configurations.
func InClear(of string, logger *slog.Logger) {
	logger.Warn("a secret stands in the configuration in clear: write {env.NAME} or {file.PATH}", "of", of)
}

// InDSN reports whether a password stands in a DSN as it is written.
func InDSN(dsn string) bool {
	if u, err := url.Parse(dsn); err == nil && u.User != nil {
		password, set := u.User.Password()
		return set && !strings.Contains(password, "{")
	}
	_, password, found := strings.Cut(dsn, "password=")
	return found && !strings.HasPrefix(strings.TrimLeft(password, "' "), "{")
}
