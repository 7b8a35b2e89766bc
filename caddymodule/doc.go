// SPDX-License-Identifier: Apache-2.0

// Package caddymodule owns the wiring between Caddy and Gatehouse: the app "gatehouse" with its Caddyfile; and in packages of their
// own the handlers that work with it, the pool that keeps a store open over reloads, the admin API, the metrics and the command
// line. No business rule lives here and no OAuth error is made here.
//
// One struct per module is both the JSON and the target of the Caddyfile. Parsers fill fields and nothing else; defaults
// are set in Provision; meaning is checked where the value is used. Provision opens nothing and starts nothing, because
// "caddy validate" runs it beside a live server: the store is opened in Start.
package caddymodule
