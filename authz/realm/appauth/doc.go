// SPDX-License-Identifier: Apache-2.0

// Package appauth owns the realm that asks an app which version it is, and lets those in that are not switched off: the check of
// the classic mobile security model that was called remote disable.
//
//	disabled          refused, with what its people are to know and where there is an update
//	notify            asked again, with a notice, until the app answers with the notice's id: it remembers that, and shows each once
//	no_registration   let in, and registers no device
//	active            let in
//
// What the app answers is a claim and no proof. Whoever writes a program of his own can have it say anything, and no security
// rests on it: it keeps honest old versions out, at once and everywhere.
//
// Unless a realm asks for evidence: then the platform vouches, for a challenge that is answered once, that the app is the one it says it
// is and that its device is as its maker made it (the check that was called application authenticity). Whose device it is, and that it is
// the same as yesterday's, is for realms that see a signature by a key that was kept.
//
// The realm names nobody. It can come before the user in a security test, so that a version which is switched off is told before
// anybody types a password into it. Pages do not ask it: an app is known where apps answer by themselves.
package appauth
