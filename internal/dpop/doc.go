// SPDX-License-Identifier: Apache-2.0

// Package dpop owns proofs of possession (RFC 9449): the header DPoP, in which whoever makes a request shows with a signature that it
// holds a key, for this method, this address and this moment. The authorization server reads proofs to learn a key that tokens are
// bound to; a resource server, to see that a token is presented by whom it was bound to.
//
//	DPoP header ─► Checker.Check ─► Proof ─► the caller compares the key ─► Replays.Use, or a row in the store
//
// # How old a proof is
//
// A proof without nonce is as old as it says, and passes while its iat is within [Past] and [Future] of the clock. One with a nonce is
// as old as the nonce, whatever its iat says: the clocks of phones are off by days. A proof that is too old is answered with a nonce
// ([ErrNonce]), by which the client makes another one (RFC 9449 section 8): none is refused for its clock alone.
//
// # Replay
//
// A proof is used once. Who keeps the account is the caller's choice: the authorization server writes [Proof.ID] into the store before it
// goes on, for all nodes; the gate keeps it in memory ([Replays]), and writes it there too where nodes share a store. What was used before
// the process began a memory cannot know; therefore a proof that is older than the memory is answered with a nonce too.
package dpop
