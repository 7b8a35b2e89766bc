// SPDX-License-Identifier: Apache-2.0

// Package audit owns the trail of security events: one structured log line for each, in the group "audit", and for those
// that matter later an item in the store, kept for a year. An event is written before the answer it belongs to is sent.
// Events name subjects, clients, devices, operations, sessions and grants by their ids; they never hold a secret, token, code or
// password.
//
// # The chain
//
// Stored events are sealed soon after their commit: [Trail.Run] takes those that are new, a batch at a time, and writes a seal with
// the hash of each event and the hash of the seal before. Hashes are keyed with a secret that is drawn once and kept sealed, so who
// can write to the store and does not hold the sealing key cannot make a seal. Nothing of it stands in the way of the transactions
// that append: they write a mark of their own beside the event and read nothing that they share. Why it is so, with figures, is in
// docs/decisions/0010-the-audit-chain-is-sealed-in-batches.md.
//
// [Trail.Verify] finds events that were altered, exchanged, removed or added without a mark, and seals that were altered, exchanged
// or removed, from the beginning too: each seal says until when the one before it is kept. It cannot find what happened to an event
// within the second between commit and seal, nor, by itself, that the end of the trail or all of it was taken back to an earlier
// state, seals and head together. For that the head is noted elsewhere: it is logged every hour, and compared by Verify with one
// that the caller has noted.
//
// # Queries
//
// Events sort by time. Those of a subject, device, operation or client are found through an index; the other filters of a [Query]
// look at each event of the period.
package audit
