// SPDX-License-Identifier: Apache-2.0

// Package native owns the authorization challenge endpoint (draft-ietf-oauth-first-party-apps-04): an app of the operator's
// asks for a scope, is told by realm what is missing, answers with screens of its own, and ends with an authorization code.
// The realms, the order in which they come and the session that their proofs go into are those of the pages in a browser.
package native
