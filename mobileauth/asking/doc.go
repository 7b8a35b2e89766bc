// SPDX-License-Identifier: Apache-2.0

// Package asking owns the choice of how a person is asked. A client names a mobile type (package mobiletype); whether that can begin
// for this person depends on their phones, on what those have registered, and on a number to send to. Where it cannot, its fallbacks
// are tried in turn, as far as the policy lets them go, and the operation says which type was used and why those before it were not.
//
//	type ──► phones of the user, their factors ──► operation over push
//	  │ cannot begin
//	  ▼
//	fallback ──► number, budget of messages ──► operation over SMS
//
// A phone that has no address for notifications is as good as any: it fetches what waits. Only what is known when the operation
// begins decides; a type may besides name a time after which SMS takes over from phones that have not fetched the question.
//
// Whether a user exists is told by nothing here: one who does not has no phone and no number, and it takes the same reads to find
// that out.
package asking
