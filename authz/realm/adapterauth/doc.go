// SPDX-License-Identifier: Apache-2.0

// Package adapterauth owns the authenticator that leaves a realm to a back end of the operator's: the back end decides what to
// ask and judges the answers, in any number of rounds.
//
// In each round it is told what is known, and the answers to what it asked last. It says one of four things: what to ask next,
// who the person is, what another login module is to verify, or no. It remembers a person by a state of its own, which stays
// on this server, with the names of the fields that were asked: answers to other fields are dropped. Each challenge has a mark
// that comes back with the answers, so that answers to a challenge of before, or answers that were sent twice, reach nobody.
package adapterauth
