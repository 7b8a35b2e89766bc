// SPDX-License-Identifier: Apache-2.0

// Package twilio sends text messages through Twilio's Messages resource (API version 2010-04-01), and reads the status callbacks that
// Twilio answers with.
//
// A message is handed over once. Twilio keeps one that it cannot deliver for ten hours unless it is told otherwise, so it is told the
// life of the code (ValidityPeriod). A time-out or an error of the server's after the request was written is [sms.Ambiguous], since
// there is no idempotency key.
//
// Callbacks are authentic when X-Twilio-Signature is the HMAC-SHA1, by the primary auth token, of the public address as Twilio was given
// it followed by all parameters. The signature holds no time: whoever has seen a callback can repeat it, so reports only go forward and
// change nothing but what is known of a message.
//
// One request on net/http does all that; docs/decisions/0013-one-request-to-twilio.md says why Twilio's own library does not.
package twilio
