// SPDX-License-Identifier: Apache-2.0

// Package webpush sends notifications by Web Push (RFC 8030) to browsers, and to phones without Google's and Apple's services, where a
// distributor of UnifiedPush stands behind the same protocol.
//
// An address is a subscription as a browser gives it, with the VAPID key that it was made with if that is not the current one:
//
//	{"endpoint":"https://push.example/…","keys":{"p256dh":"BCVx…","auth":"BTBZ…"},"key":"…"}
//
// The content is encrypted for the subscription (RFC 8291, RFC 8188), and the issuer shows who it is by a token of its VAPID key
// (RFC 8292). A subscription is bound to that key for life: keys are kept for as long as there are subscriptions of theirs.
//
// # Whom this trusts
//
// An endpoint is an address that somebody's device has named. Only https is spoken there, to public addresses, judged when they are
// connected to; no redirect is followed, little is read of an answer, and a list of hosts can be demanded. What such a host answers is
// held against that one subscription: never against the sender, since anybody could stop everybody's notifications that way.
//
// The protocol is implemented here on the standard library. docs/decisions/0014-web-push-is-ours.md says why.
package webpush
