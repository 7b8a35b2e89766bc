// SPDX-License-Identifier: Apache-2.0

// Package flow owns the tests of whole flows: a browser, applications and protected sites against the assembled server, with
// a clock that moves when it is told to. An issuer is two servers over one store, which take requests in turn, and the
// store runs closures twice at random, so that nothing can rest on the memory of one node or on a closure running once.
package flow
