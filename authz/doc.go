// SPDX-License-Identifier: Apache-2.0

// Package authz owns the records of the authorization server and their transitions: clients, authorization requests,
// browser sessions, codes, grants, refresh families, consents and revocations. It knows no HTTP.
//
// A transition is a method of [Store]: one closure over one transaction. Its error means that something broke and nothing
// was written. A refusal (a spent code, a wrong verifier, a replayed refresh token) is an outcome, and commits, because the
// counters and revocations that come with it must survive it.
package authz
