// SPDX-License-Identifier: Apache-2.0

// Package site owns the gate in front of a protected site: it takes a request's one credential, a bearer token or the
// site's own session cookie, has it validated, compares it with the site's rule, and tells the upstream who is asking.
//
//	bearer token ──┐
//	               ├─► validation.Validator ─► Rule.Policy ─► identity headers ─► upstream
//	site cookie  ──┘            │                   │
//	                            └──── missing ──────┴─► browser: /authorize and back · others: 401, 403
//
// A browser session of a site is an ordinary code flow of a built-in first-party client. Its cookie holds a signed session
// token: facts that the gate checks without a store, and that are looked up again every few minutes. What ends a session
// or a grant at the issuer is seen on the site's next request, through the same view of revocations as everything else.
package site
