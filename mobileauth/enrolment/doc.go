// SPDX-License-Identifier: Apache-2.0

// Package enrolment owns how a phone becomes a device of a user: activation codes, what an application asks of a
// registration, confirmation by digits, quarantine, transfer from an older phone, and recovery codes. The device itself is
// package handset's, the operation that a back end watches is package operation's; here is what leads from one to the other.
//
//	Start ──► activation code ──► Register ──► digits on both sides ──► Confirm ──► active
//	   │                             │                                     │
//	   │ 10 minutes, 5 wrong proofs  │ keys, factors, push, attestation    ├──► quarantined ──► Judge, Release ──► active
//	   ▼                             ▼                                     ▼
//	 expired, failed               refused                              3 wrong digits: failed, and the device is gone
//
// The code is proven by a MAC and never sent. It is found by a value derived from it that says nothing about it. Wrong proofs
// and wrong digits are counted with the operation, in the store, whichever node they reach.
//
// # Who may answer at once
//
// Whoever knows a password can often start a registration. So a new device of a user who has one is quarantined, unless
// somebody vouched for it: the back end that has proofed the person, a recovery code, or the older phone, whose
// person says yes to it with a factor. With push mode "override" the older devices go when the new one becomes active and not
// before, so that a stranger's registration ends nobody's phone.
//
// # Two steps
//
// Keys and push addresses are switched separately ([Policy].Keys, [Policy].Push): a device without an address asks for what
// waits, and may send its address later.
package enrolment
