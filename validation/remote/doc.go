// SPDX-License-Identifier: Apache-2.0

// Package remote owns what a resource server asks an issuer over the network: its keys, and what it thinks of a token that
// only it can read.
//
// [Keys] is a [validation.KeySource] over the issuer's JWK set. Nothing runs in the background: a request that needs a key
// which is not at hand fetches the set, one fetch at a time for all requests and none sooner than a floor after the last,
// whatever tokens are presented. While the issuer is down the last set serves for a limited time; after that nothing
// passes.
//
// [Introspector] is a [validation.Authority] over the issuer's introspection endpoint (RFC 7662). What it was told it
// remembers briefly, never beyond the end of the token.
//
// Both are given the HTTP client that they use, and with it proxy, trust and limits on connections. They speak https only,
// or http with an issuer on a loopback host; they follow no redirect to another origin, send no cookies, and read no
// answer beyond a limit. Which hosts a name may resolve to is the business of the client's dialer: the addresses come from
// the operator or from the issuer that he trusts, never from a token.
package remote
