// SPDX-License-Identifier: Apache-2.0

// Package delivery owns how a question reaches a person after it was written down: notifications to phones, and messages with
// codes. Both are items of the outbox, written in the transaction of what causes them and handed over after the commit, so that
// whoever starts an operation waits for no provider, and a crash loses nothing.
//
//	operation ── PushItem ──► outbox ──► Pushes ───► push.Sender of the phone's service
//	          └─ SMSItem ───► outbox ──► Messages ─► sms.Sender, and the next one where nothing was sent
//
// An item holds ids and nothing else. What is to be sent is read when it is sent: an operation that is over, has moved to another
// channel or was fetched meanwhile is not sent, an address that the phone has changed is not used.
//
// # What becomes of a failure
//
// Of a notification: a dead address is marked, and where that was the last one of the person, what would take over later does so
// at once. A service that wants to be left alone, or that our credential does not open, is left alone: the others are not.
// Anything that passes is tried again for as long as the question is open.
//
// Of a message: what was surely not sent goes to the next gateway, and is tried again when none took it. What may have been sent
// is never repeated by a program: the person's own "send again" is the repetition. A number that takes no messages ends the
// operation, so that the person is not left waiting.
//
// Every try is told to [Observation]s, which hold no address, number or code.
package delivery
