// SPDX-License-Identifier: Apache-2.0

// Package caddy proves what only the real program can: it is built once and run as a process of its own, between real
// clients and a real upstream, and is reloaded, stopped, killed and started again while they use it.
package caddy
