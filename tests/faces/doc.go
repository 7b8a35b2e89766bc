// SPDX-License-Identifier: Apache-2.0

// Package faces owns what the tests of the pages that people meet have in common: an issuer in memory with realms that
// answer as they are told, and a browser that keeps cookies, follows redirects and fills in forms. Every store of an issuer
// runs closures twice at random and fails on demand, and its clock moves when it is told to.
package faces
