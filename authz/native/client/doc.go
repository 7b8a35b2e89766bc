// SPDX-License-Identifier: Apache-2.0

// Package client is what a native app needs to speak with the authorization challenge endpoint
// (draft-ietf-oauth-first-party-apps-04): it asks for scopes, has a handler of the app's answer each challenge by the name of
// its realm, and keeps the tokens. Its [Client.Transport] adds them to requests and, when a resource wants more, has more
// proven and sends the request again; requests that find this out at the same time lead to one login.
//
// With [DPoP] the tokens are bound to a key, and every request carries a proof of it, made for the nonce that its server has said last; one
// that is refused for its nonce alone is sent once more. What cannot be sent twice is not.
//
// It imports nothing of Gatehouse, so that it can be read as a recipe for other languages.
package client
