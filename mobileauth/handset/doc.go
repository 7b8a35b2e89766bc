// SPDX-License-Identifier: Apache-2.0

// Package handset owns the phones that Gatehouse knows: their records, keys and factors, what was counted about them, and
// which of them may speak for their user.
//
// A device is one installation's keys bound to a user. It passes through these states, and through no others:
//
//	pending ──► active ◄──► quarantined       confirmed, released, put under watch
//	   │          │             │
//	   │          ▼             ▼
//	   │     locked, lost, stolen             taken out: locked and lost ones come back by Unlock, to where they were
//	   ▼          ▼             ▼
//	   └──► deactivated ◄───────┘             for good
//
// Every change of a record goes through one function, [Store.Put], which therefore is where the promises are kept: the
// transition is allowed, the record is the one that was read ([ErrVersion]), a key stands in one record only, a push address
// too, a user has a bounded number of devices, what a device loses with its status is revoked in the same transaction
// ([Config].OnRevoke), and the history and the audit trail have a line.
//
// # Factors
//
// The server holds a random secret for each factor (PIN, biometric, custom) and the phone seals its copy under that factor
// without any check value: only the server can tell a wrong PIN from a right one. [Store.Verify] does that for one message
// and counts, in the same transaction: the wrong factors in a row are counted per device, over all operations, and at the
// limit the device is deactivated. A right factor clears the count, and nothing else does.
//
// # Replay
//
// A message's id is accepted once per device ([Store.Replay]). Ids are kept as long as the clock of their message would be
// accepted; a message whose clock is outside of that is refused as if it had been seen.
//
// # What is readable
//
// Records are sealed. The indexes beside them hold thumbprints, keyed hashes of handsets and hashes of push addresses.
package handset
