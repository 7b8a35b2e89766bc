// SPDX-License-Identifier: Apache-2.0

// Package realm owns the one idea everything else rests on. A scope names realms. A realm is one [Authenticator], which
// collects credentials, and one [LoginModule], which verifies them. A realm that was satisfied leaves a [Proof]. The
// [Engine] compares the proofs at hand with what a request requires and says which realm is to be proven next.
//
// The package knows no transport: an authenticator sees an [Input] that any face (HTML forms, JSON for native apps) fills,
// and answers with a [Challenge] that any face can render. A new way to prove something is a new pair of guests, never a
// change here.
package realm
