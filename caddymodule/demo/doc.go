// SPDX-License-Identifier: Apache-2.0

// Package demo owns the little upstream that the example Caddyfile protects: it knows nothing of OAuth and shows whom it
// takes the caller for.
package demo
