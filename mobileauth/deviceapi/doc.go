// SPDX-License-Identifier: Apache-2.0

// Package deviceapi owns the HTTP that phones speak: docs/device-protocol.md, version 1. It opens messages, finds out which
// device sent them, has the packages below do what they ask, and seals what came of it.
//
//	POST /mobile/v1/…  ──► open ──► whose ──► (registrations: enrolment) or (handset, operation) ──► seal ──► 200
//	                        │         │                                                 │
//	                        └─────────┴── refused: 400, one body for everything ◄───────┘
//
// Whatever is wrong with a message, the answer is the same problem with the server's time in it, so that a phone with a wrong
// clock can correct it and nobody else learns anything. What was wrong is logged for the audit. Only a device whose
// signature was checked is answered in sealed form, and even that names no more than one of five codes.
//
// Messages that change something are accepted once in the transaction of their effect. Those that only ask are remembered in
// memory for as long as their clock is accepted: repeating one gives whoever repeats it an answer that only the device can
// read.
package deviceapi
