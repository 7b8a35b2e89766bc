// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"log/slog"
	"net/url"
	"regexp"
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

// written is where a password begins that is a parameter of a DSN.
var written = regexp.MustCompile(`password\s*=\s*'?\s*([^\s'&])`)

// InDSN reports whether a password stands in a DSN as it is written.
func InDSN(dsn string) bool {
	if u, err := url.Parse(dsn); err == nil && u.User != nil {
		if password, set := u.User.Password(); set && !strings.Contains(password, "{") {
			return true
		}
	}
	found := written.FindStringSubmatch(dsn)
	return found != nil && found[1] != "{"
}
