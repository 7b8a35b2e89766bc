// SPDX-License-Identifier: Apache-2.0

// Package flow owns the authorization endpoint and the one for pushed requests: it accepts a request, has done what is missing, and answers the client.
//
//	GET, POST /authorize ──► accept ──► dispatch ──► answer (query or form_post)
//	POST /par ─────────────► accept        │    ▲
//	                                       │    │ step token
//	                     a session offered ├─► /continue ──┐
//	                     a realm missing   ├─► /login ─────┤
//	                     consent missing   └─► /consent ───┘
//
// A request that is pushed (RFC 9126) waits for the browser that comes for it first. An app may offer its session with it.
//
// The dispatcher looks at records alone: the stored request, which never changes after it was accepted, and the browser's
// session. Steps only ever return to it, and what they achieved is in the session. So nothing that a browser sends again,
// sends late or leaves out can skip a step, and any node may serve any of them.
//
// Until client and redirect URI are known to be good an error is a page; from then on it is an answer to the client, with
// iss and state (RFC 9207). Both are told apart in one place, the function refuse.
package flow
