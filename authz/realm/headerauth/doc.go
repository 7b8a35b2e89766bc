// SPDX-License-Identifier: Apache-2.0

// Package headerauth owns the way of people whom a proxy of the operator has logged in already: an authenticator that reads who
// it is from a header field, and a login module that makes an identity of it.
//
// A header field proves nothing by itself, so both are strict about where it comes from. The authenticator looks at the field only
// on a connection of a proxy that the operator trusts, and the login module believes nothing but what the authenticator says it
// has read: an answer that somebody types into a form does not reach it.
package headerauth
