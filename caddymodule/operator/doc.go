// SPDX-License-Identifier: Apache-2.0

// Package operator owns the operator's API on Caddy's admin endpoint, which the command line speaks: users, keys, sessions,
// tokens, apps, the audit trail and the health of the server. No route returns a secret.
package operator
