// SPDX-License-Identifier: Apache-2.0

// Package caution owns what follows from a person's "that was not me" for whoever asked: the address at which the question
// began, and the client that put it, are slowed. It slows and never stops, because both are shared: an address by a household
// or a company, a client by everybody who uses it. The user who said so is not asked loudly any more in any case; that is the
// business of package operation.
//
//	not_me ──► mark address, client and user ──┐
//	next start ──────────────────────────────► Check ──► starts, or waits (Retry-After)
//
// What slows grows with each "not me" of the last hour and is forgotten an hour after the last one:
//
//   - an address starts one operation in 30 seconds, then in 1, 2, 4 … minutes, at most in 15;
//   - a client starts one for that very user at the same pace;
//   - a client of which [Crowd] people have said it starts one a second, then in 2, 4, 8 and at most in 10. What a request of
//     the user's own began (operation.Operation.OwnRequest) neither counts there nor waits: people who agree to say it about
//     their own requests would slow everybody's.
//
// One person, who says it as often as they like, therefore slows their own questions and their own address, and nobody else's.
package caution
