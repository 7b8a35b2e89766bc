// SPDX-License-Identifier: Apache-2.0

// Package browser owns the tests that a person's real browser runs against the real program: log in, deep links, consent,
// log out, the keyboard alone, without script, on a phone and in the dark.
package browser
