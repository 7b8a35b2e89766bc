// SPDX-License-Identifier: Apache-2.0

// Package gateway sends text messages through any provider that takes them by HTTP: a request made of a template, and rules for what
// its answers mean.
//
// # Templates
//
// A template is a JSON document or a form. It is read once, when the sender is made, and its string values are filled for each message:
//
//	{"messages": [{"to": "{to}", "from": "Example", "text": "{text}", "reference": "{id}", "ttl": "{ttl:number}"}]}
//
// What is filled in is put there by the encoder of the template's type, so no message, whatever is in it, changes the shape of a
// request. {to} is the number in the spelling that was chosen, {from} the sender, {text} the message, {id} our id of it, and {ttl} how
// many seconds it is worth something; {ttl:number} alone in a JSON string becomes a number. Names of members are fixed. The address
// and header fields may hold {id}, {from} and {ttl}: an id that the provider takes for an idempotency key belongs there. The number and
// the text stand in the address only where the configuration says that the provider reads nothing else, since addresses are logged.
//
// # Answers
//
// By default each status from 200 to 299 says that the message was taken, 429 that there were too many, and no status that a message may be
// sent again. Which statuses and words mean what is configured. What is not, is judged on the side that sends nothing twice.
//
// # Receipts
//
// Providers tell of deliveries at an address that cannot be guessed, with an HMAC over the body where they sign. Their words are
// mapped to the three states; other words are no news.
package gateway
