// SPDX-License-Identifier: Apache-2.0

package sites

import "github.com/caddyserver/caddy/v2/modules/caddyhttp"

// MatchHost compares a host with a pattern.
func MatchHost(pattern, host string) bool { return matchHost(pattern, host) }

// LetsCallback reports whether a path matcher lets a browser pass that comes back from its login.
func LetsCallback(paths ...string) bool { return letsCallback(caddyhttp.MatchPath(paths)) }
