// SPDX-License-Identifier: Apache-2.0

// Package receipt owns the evidence of a consent: a JWT that says who approved what, when, with which device and how, and that
// anybody can check years later with nothing but the thumbprint of one key.
//
//	root key ── signs ──► certificate of a signing key ── signs ──► receipt ── holds ──► display, device key, statement
//	   ▲                                                                                     device key ── signs ──┘
//	   └ pinned by whoever verifies
//
// Two parties have signed: the server the receipt, and the device the statement in it, over the hash of the exact bytes that
// the person saw. The keys are all inside, and none of them is believed for that: the root key only counts if its thumbprint
// is one that the verifier has pinned, and each of the others only if the one before vouches for it. So a receipt stays
// verifiable after every rotation, and after the installation is gone.
//
// What the server alone says is that the PIN or biometric secret was right, since only the server could tell, and that the
// device's key belonged to that person.
//
// An approval by a code over SMS has no receipt: no device has signed anything, and what the server alone says is in its audit trail.
//
// The package keeps nothing and asks nobody. docs/decisions/0009-receipts.md has the reasons.
package receipt
