// SPDX-License-Identifier: Apache-2.0

// Package session owns what ties a browser to its records at the issuer: two cookies and the tokens that stand in forms.
//
// The browser cookie is a random value that any visitor gets. It proves nothing about a user; it tells this browser from
// others. A request under way is bound to its hash, so that nobody else can finish it, and it is the key of the step tokens,
// so that no other site can send our forms. The session cookie names an [authz.Session] and carries its secret, which is
// drawn anew at login and whenever the session proves more: a cookie from before never holds what came after.
//
// A cookie that is malformed, too large or sent twice counts as absent. It is never an error: whoever can plant a cookie
// could otherwise lock people out with one they cannot see.
//
// The steps that people go through share one more thing that stands here: how an error is told to them on a page.
package session
