// SPDX-License-Identifier: Apache-2.0

// Package faces owns what the tests of the pages that people meet have in common: an issuer in memory with realms that
// answer as they are told, and a browser that keeps cookies, follows redirects and fills in forms. An issuer is two servers
// over one store, which take requests in turn, so that nothing can rest on the memory of one. The store runs closures twice
// at random and fails on demand, and the clock moves when it is told to.
package faces
