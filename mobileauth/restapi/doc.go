// SPDX-License-Identifier: Apache-2.0

// Package restapi owns the API by which back ends manage users and devices, ask people, and read the audit trail: paths below
// /api/v1, what each takes and answers, and who may call it. What users, devices and operations are, and what may become of
// them, the packages below decide; how HTTP is spoken is package wire's.
//
// A request passes through these steps, and no endpoint can leave one out:
//
//	path, method ─► credentials ─► rate limit ─► scope ─► endpoint ─► answer or problem document
//
// Every change is made in the name of the client that asked for it ([audit.WithActor]). A client sees the operations that it
// started and no others, unless its scopes say more; to it, the others are not there.
//
// The description of the API (OpenAPI 3.1) is written by hand, served beside it, and held against every answer in the tests.
package restapi
