// SPDX-License-Identifier: Apache-2.0

// Package sieve owns the cache that keeps what is known about tokens: split into shards, bounded in bytes, evicting by the
// SIEVE rule, so that a run of tokens which are seen once does not drive out those that are in use. It keeps no tokens,
// only digests of them, and decides nothing: how long a value holds is told to it together with the value.
//
// SIEVE is the algorithm of Zhang et al., "SIEVE is Simpler than LRU" (NSDI 2024): entries stand in the order of their
// arrival and stay there; a hit only marks an entry; a hand walks from old to new, takes the mark off the marked and throws
// out the first one without. A hit therefore changes nothing that other hits wait for.
package sieve
