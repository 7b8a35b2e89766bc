// SPDX-License-Identifier: Apache-2.0

// Package device is what a native app needs to prove, to realms that ask for it, which device it is on: it makes a key on first use,
// has a certificate issued for it, signs what it is asked, and has the certificate renewed before it is over. A [Handler] does all of
// that as the handler of one realm of a [client.Client], which then sends again what was to be sent in the first place. Nothing that a
// resource has accepted is ever sent twice: a request goes again only where the gate in front of the resource had refused it.
//
// The key and its certificate are kept by a [Storage] of the app's, in the key store of the platform where there is one. What the key
// stands for is the server's to say: this app, the apps of a group, which then share a storage, or all apps of the device.
//
// A renewal may be to another key ([Config].Rekey), which both sign. There is an identity that works at each moment of it: the old key goes
// on until the new one was shown.
//
// It imports nothing of Gatehouse but the client, so that it can be read as a recipe for other languages.
package device
