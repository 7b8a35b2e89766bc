// SPDX-License-Identifier: Apache-2.0

// Package webpush owns a push service and the browsers that subscribe there: it gives out endpoints that cannot be guessed, demands of
// each message what RFC 8030, RFC 8188, RFC 8291 and RFC 8292 demand, decrypts it with the browser's keys, and answers as the services
// of Apple, Google and Mozilla do.
//
// A simulated phone subscribes with POST /subscribe, which is answered with the JSON of a subscription: its address. The parameter key
// binds it to a VAPID key. What arrives lies in the inbox of that address, and in the one of its endpoint. A phone that draws its own
// keys asks for nothing but an endpoint, with POST /endpoint; the payload of what arrives there is the body as it came, in base64url.
package webpush
