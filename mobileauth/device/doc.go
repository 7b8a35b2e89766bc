// SPDX-License-Identifier: Apache-2.0

// Package device owns the phone's side of the protocol: it registers a device, asks what waits, shows it, signs what its person
// decides, and keeps its keys, factors and picture of the server up to date. It is the recipe for an app in any language;
// docs/device-protocol.md is the same without Go. It needs nothing of Gatehouse but mobileauth/envelope.
//
//	Enrol ──► digits on both sides ──► active
//	Pending ──► Fetch ──► Approve or Deny
//
// # What is kept, and what a thief has of it
//
// Keys live in a [Keystore], on a phone its hardware. All else is [State], which the app saves where it likes. The PIN is not in
// it, nor a hash of it, nor anything else that says whether a PIN is right: the secret of the factor is encrypted under the PIN
// without any integrity, so every PIN yields a secret, each as good as the other, and only the server knows which one it is. It
// counts wrong ones. A PIN that is changed comes with a new secret, so that two copies of the state say no more than one.
package device
