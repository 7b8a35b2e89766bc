// SPDX-License-Identifier: Apache-2.0

// Package origin owns what a person is told about where a question comes from: "Device: macOS 10.14 Chrome 73, Location: NL,
// Utrecht".
//
//	user agent ─► ParseAgent ─┐
//	                          ├─► Template of the language ─► the message with its origin
//	address ────► Locator ────┘         └── something is missing ──► the message alone, and an event
//
// # What it guarantees
//
// A question is asked, whatever becomes of its origin: a locator that fails, takes too long or knows half of what the template
// asks for leaves the message as it was, and the operator is told why ([Config].Missed). A sentence with holes is never shown.
//
// What a browser says of itself and what a locator knows are words from outside: whatever could make the message look like
// another one is taken out of them, and they are cut. They are a help for the person, and prove nothing.
//
// Addresses are handed to the locator and kept nowhere: not in the operation, in an event or in a log.
package origin
