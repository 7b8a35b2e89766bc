// SPDX-License-Identifier: Apache-2.0

// Package validation owns what a resource server does with a token: take it from the request, find out whether it is true,
// compare what it proves with what the route asks, and say what is missing. It serves Gatehouse's own gate and any Go
// program in front of any issuer, and knows no authorization server.
//
//	Authorization header ─► FromRequest ─► Validator.Validate ─► Policy.Check ─► your handler
//	                            │ 400            │ 401               │ 403, 401
//	                            └───────── WWW-Authenticate ◄────────┘
//
// A [Validator] judges a token by itself: its signature with a key of the issuer, its type, issuer, audience and time (RFC
// 9068 section 4, RFC 8725). What it found out about a valid token it remembers in bounded memory, together with the key.
// Whatever may change is asked anew for each request: the clock, the key source, the revocations.
//
// A [Policy] judges a route: scopes, levels of authentication, how long ago each realm was proven. It is evaluated for each
// request and nothing of it is remembered.
//
// [Middleware] puts both in front of a net/http handler. Keys of a remote issuer, and tokens that only the issuer can read,
// are the business of package remote.
//
// Every refusal is an [Error] with a code of RFC 6750 or RFC 9470, a text that may be sent to anyone, and a private cause
// for the log: one of the Err values of this package.
package validation
