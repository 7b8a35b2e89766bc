// SPDX-License-Identifier: Apache-2.0

// Package ldap owns the login module that asks an LDAP directory (RFC 4511): it finds the one entry that a login name stands
// for, binds as that entry with the password, and makes an identity of what the entry says.
//
// What it guarantees: a password goes only to a directory that the configured certificate authorities vouch for, unless the
// operator has said otherwise. Nothing that somebody types changes what is searched for, or which entry is bound as. An empty
// password never reaches the directory, which would take it for a bind as nobody and accept it (RFC 4513 5.1.2). An unknown
// user costs the same connections and operations as a wrong password. Every login opens its own connections, which end with
// it: nothing of one user's is left for the next. Errors hold neither password nor what the directory says in its own words.
package ldap
