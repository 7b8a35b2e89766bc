// SPDX-License-Identifier: Apache-2.0

// Package signedpost owns how a back end of the operator's is told something: a POST of JSON to an address of the configuration, with a
// detached JWS over the body, and what its answer has to be.
//
// What it guarantees: only the receiver that was configured is called, with the credentials that stand beside it; no redirect is
// followed and no proxy of the environment asked; the address that a name stands for is judged when it is connected to, and has to be
// public unless the configuration allows it for this receiver; an answer takes neither more time nor more memory than was agreed.
// Errors name the host at most, and nothing that was said by either side. Why the signature has this form stands in
// docs/decisions/0012-callbacks-carry-a-detached-jws.md.
package signedpost
