// SPDX-License-Identifier: Apache-2.0

// Package identity owns the people Gatehouse knows: their records, login names, attributes and passwords, and the decision
// whether a login name and a password belong together.
//
// A user is found by an id that never changes, by one of several login names, or by the external reference under which
// another system knows them. Login names are kept in one canonical spelling ([Canonical]), so that "Alice", "alice" and
// "ＡLICE" are one name for the index that makes names unique and for the counters that slow guessing down.
//
// # An attempt
//
// [Store.Authenticate] runs in four steps:
//
//	place    a place in the hasher's queue is taken, or the attempt ends as [Busy] and touches nothing
//	count    one transaction reads the counters and the user; the attempt is counted and committed, or it is [Throttled]
//	hash     one password hash, whoever asks: an unknown login, a user without password, a locked user cost the same
//	settle   only after a right password: one transaction checks that nothing changed meanwhile and clears the counter
//
// Counting comes before hashing, so that guesses sent in parallel cannot all pass a check that none of them has been
// entered in yet. The price: a client that sends more than [Limit].Free right passwords for one login at the same
// instant sees some of them throttled.
//
// # Slowing down
//
// Two counters stand before every login name, known or not. The one per login and client address is strict: after five
// attempts the sixth waits a second, and every further one twice as long, up to a quarter of an hour. The one per login
// over all addresses is looser: fifty attempts, then up to a minute. Somebody who guesses from elsewhere is thus slowed
// down long before the person is, who waits a minute at worst; and an address from which the person logged in during
// the last thirty days is not subject to the second counter at all, so that an attacker with many addresses cannot keep
// people out where they usually are. From an address that is new, in the middle of such an attack, the person competes
// with the attacker for the one attempt a minute: that is the trade chosen. Nobody is locked for good unless
// [Config].LockAfter says so. A throttled attempt is not counted, so hammering does not prolong the wait. A right
// password clears the counter of its own login and address and no other.
//
// Guessing one password at many login names from one address is not seen here; limit requests per address in front.
//
// # What a caller may show
//
// [Outcome].Result is for the caller, [Outcome].Reason for the audit trail. An unknown login, a wrong password, a locked,
// a deactivated and a passwordless user are all [Refused], after one hash each. What remains visible to a stop-watch: a
// user whose imported hash has other parameters than the configured ones, until the first login replaces it; and the
// microseconds that reading a record takes longer than finding none, beside a hash of some 30 ms.
//
// # Who is found, and who is gone
//
// Users are found by id, login name, external reference, and by those attributes that the operator names
// ([Config].Searchable); the index of the latter holds keyed hashes, so that the store tells no attribute.
//
// A deleted user leaves a tombstone: the id, and hashes of the names. Nobody is given those names before somebody has said
// that they are free ([Store.ReleaseNames]), for other systems may know a person by nothing else.
//
// Every change is written to the audit trail in its own transaction, with whoever the context names ([audit.WithActor]).
package identity
