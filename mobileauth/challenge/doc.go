// SPDX-License-Identifier: Apache-2.0

// Package challenge owns the phone as a realm: an authenticator that asks a person by a mobile type, and the login module that takes
// the approval. What was asked and what became of it is the operation's (package operation); how somebody can be asked is for package
// asking. What is kept here, in the state of the realm's challenge, is which operation belongs to which request.
//
//	no state ──► who is asked? ──► asked, scan or code ──► approved ──► redeemed: a proof
//	               (a name)             │    ▲
//	                                    ▼    │ again, another way
//	             denied, not_me, expired, failed, cancelled, impossible
//
// For somebody who is known the operation is started once for a request: a page that is loaded twice finds the same. It is bound to the
// request and the realm by a reference that no back end can use, and redeemed once, when the proof is made; of what was really used the
// proof says it.
//
// # Who may know
//
// A user whom the security context already belongs to is told whether they said no, that it was not them, or nothing. Somebody who has
// typed a login name is told none of it: whether that is a user's, whether that user has a phone, and what they answered on it look and
// take the same, up to an approval. Where nobody is there to be asked, nothing is started, and the page waits for nothing. A form that is
// sent twice before the first answer is there asks twice, each with a number of its own, and the one that is answered last is kept: that
// the first was found again would tell that there is one. Of a question whose caller has left before it was shown nothing remains.
package challenge
