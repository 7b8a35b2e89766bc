// SPDX-License-Identifier: Apache-2.0

// Package twilio owns a service that answers as Twilio's Messages resource does (API version 2010-04-01): it knows accounts, keys and
// senders, refuses what Twilio refuses with Twilio's numbers, keeps what it took, and tells of it by signed status callbacks, late,
// repeated and forged ones among them.
//
// What was sent to a number lies in the inbox of that number, with the text as the payload's "body".
package twilio
