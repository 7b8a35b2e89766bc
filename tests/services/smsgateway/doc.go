// SPDX-License-Identifier: Apache-2.0

// Package smsgateway owns a service that takes text messages as many small providers do: JSON at /json, a form at /form, or nothing
// but an address at /get, with the credentials of whatever kind a provider might want. It takes a reference for an idempotency key,
// refuses numbers that it does not like with a word, and tells of deliveries by receipts that it signs.
//
// What was sent to a number lies in the inbox of that number in E.164 form, with the text as the payload's "text".
package smsgateway
