// SPDX-License-Identifier: Apache-2.0

// Package webhook hands notifications to a service of the operator's own, which has a way to phones already.
//
//	POST /push HTTP/1.1
//	Content-Type: application/json
//	Gatehouse-Delivery: 6f1c2a90-7f0e-4b1d-9a55-0123456789ab
//	Gatehouse-Signature: eyJhbGciOiJFUzI1NiIs…..MEUCIQ…
//
//	{"id":"6f1c2a90-…","operation":"op_…","device":"dev_…","app":"com.example.bank","address":"…","expires":"2026-11-22T03:05:00Z"}
//
// The address is what the phone gave for one: any text that the service understands. The body is signed like a callback's
// (docs/decisions/0012-callbacks-carry-a-detached-jws.md), with the type "gatehouse-push+jws". The id is the same at each repetition.
//
// The service answers with a status from 200 to 299 and no page of HTML once it has taken the notification. With 410 it says that the
// address leads nowhere any more, with 429 that this address gets too much, and with 503 that it wants to be left alone, each with
// Retry-After if it likes. A word in the member "reason" of a JSON object is kept with the failure. It is to pass on the operation and
// nothing else.
package webhook
