// SPDX-License-Identifier: Apache-2.0

// Package deviceauth owns the realm that asks a device who it is: the authenticator and login module "device".
//
// It asks with a nonce, and an app answers with a JWS by the key of its certificate over the nonce, the server it is meant for, the
// realm, and what the app and the device say of themselves. An app that has no certificate yet answers with a request for one, and is
// asked again, with the certificate, so that its first call ends as every other one does: with a signed answer. Which keys and
// certificates are good is judged by package provisioning.
//
// A nonce is good for one answer to one challenge of one request. What an app is told of a refusal is the same whatever was wrong; it
// is asked again, with another nonce. Pages do not ask for a device: there is no key in them.
//
// The realm names nobody: its proof is a device with an app. In mode "none" it believes what it is told, and proves nothing.
package deviceauth
