// SPDX-License-Identifier: Apache-2.0

// Package attestation owns how much is known about where a phone keeps its keys and whether its app is genuine: one scale for
// all platforms, and the reasons for which evidence is refused. What evidence looks like is for the packages below it, one for
// each kind: androidkey (Android key attestation), appattest (Apple App Attest) and playintegrity (Google Play Integrity).
//
// # The scale
//
//	hardware   a chip of its own holds the key: StrongBox
//	tee        the key, or app and phone, are vouched for by the trusted part of the main processor
//	software   the app and the phone are known, and the key may be copied by whoever controls the phone
//	unknown    nothing was shown
//
// Evidence proves what an app and a phone are, and never who holds the phone.
//
// # Refusals
//
// Evidence that is wrong is a [Rejection] with a reason for the audit trail. A phone is told the same whatever was wrong. An
// error that is no rejection means that nobody could judge: the list of revoked certificates cannot be read, say.
package attestation
