// SPDX-License-Identifier: Apache-2.0

// Package stream owns what outlives the decision that let it through: a WebSocket, server-sent events, a long download. It
// knows every request under way and ends those whose token was revoked since, or whose assurance has become too old.
//
//	gate ─► Enter ─► upstream … ─► Leave
//	          │
//	        Table ◄── Sweep, twice a second and at every revocation that this node learns of
//
// What takes less than two seconds is left alone: it was decided when it came.
//
// To enter and to leave costs a request two locks and no memory of its own: what is kept of it lies in memory that the caller
// has for the request anyway. The store is asked seldom, once for all requests of a session, and never waited for by a judgement.
package stream
