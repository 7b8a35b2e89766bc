// SPDX-License-Identifier: Apache-2.0

// Package callback owns how a back end is told that one of its operations has changed: a small signed POST to an address of the
// configuration, sent by the outbox after the change has committed.
//
//	POST /done HTTP/1.1
//	Content-Type: application/json
//	Gatehouse-Delivery: dlv_…
//	Gatehouse-Signature: eyJhbGciOiJFUzI1NiIs…..MEUCIQ…
//	Authorization: Basic …
//
//	{"id":"dlv_…","operation":"op_…","kind":"authorisation","state":"approved","at":"2026-11-22T03:05:00.000Z"}
//
// It says that something happened and not what came of it: whoever believes a forged one asks for the operation once in vain. The
// verdict is fetched from the API.
//
// # What a receiver may rely on
//
// Each change is told at least once, those of one operation one after the other and in their order, with the same id at each
// repetition. The signature is a JWS with detached content (RFC 7515, appendix F) of the type "gatehouse-callback+jws": the
// receiver puts the base64url of the body between the two dots and verifies what results with the keys that the issuer publishes.
// The reasons for this form stand in docs/decisions/0012-callbacks-carry-a-detached-jws.md.
//
// It answers with a status from 200 to 299 and no page of HTML. Everything else is repeated by the rules of the outbox, no sooner
// than a Retry-After says, but for 410, after which nothing is sent.
//
// # What the issuer relies on
//
// Only an address of the configuration is called, compared letter by letter, with the credentials that stand beside it there; for a
// client whose list the operator has switched off, also any other that is https and public, without credentials. No
// redirect is followed and no proxy of the environment asked. The address that a name stands for is judged when it is connected to:
// one that is not public is refused unless the configuration allows it for this receiver. An answer takes neither more time nor more
// memory than was agreed. Credentials appear in no error and no log.
package callback
