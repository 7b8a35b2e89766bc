// SPDX-License-Identifier: Apache-2.0

// Package adapt proves the configuration: what a Caddyfile means is written down as JSON, file by file, and that JSON is
// provisioned as "caddy validate" does, beside a server that runs. Every Caddyfile in the documentation is a case too.
package adapt
