// SPDX-License-Identifier: Apache-2.0

// Package handlers owns the HTTP handlers of Caddy that work with the app "gatehouse": "authorization_server", "protect", and the
// guard that "protect" leaves where its rules do not match; with their Caddyfile. What they decide with is the app's.
package handlers
