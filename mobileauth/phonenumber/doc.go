// SPDX-License-Identifier: Apache-2.0

// Package phonenumber owns what a telephone number is: one spelling for each, which country and kind it is of, whether it may be sent
// a text message, and what of it may be shown.
//
// Numbers are given in international form. However one is written ("+31 6 1234 5678", "+31 (0)6-12345678", in full-width or Arabic
// digits), it has one [Number.E164] form, which is what is stored and compared, so that no limit is evaded by another spelling. What
// does not show itself is refused and not removed: a number is something that people compare by eye.
//
// The plans of the world's countries come from Google's metadata (github.com/nyaruka/phonenumbers). They age: a number that they do
// not know may be new. It can be parsed, is of the kind [Unassigned], and may not be texted unless a [Policy] says so.
//
// A [Number] prints masked. Its other forms have to be asked for.
package phonenumber
