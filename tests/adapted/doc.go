// SPDX-License-Identifier: Apache-2.0

// Package adapted owns how tests get from a Caddyfile to a configuration that Caddy can provision in the test's own process.
package adapted
