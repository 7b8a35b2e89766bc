// SPDX-License-Identifier: Apache-2.0

// Package tokens owns what is written into signed tokens. There are four kinds, told apart by their typ and their audience,
// so that none can stand in for another (RFC 8725 3.11, 3.12):
//
//	kind       typ                      aud                     read by
//	access     at+jwt                   the client's audience   gates and resource servers (RFC 9068)
//	ID         JWT                      the client              the client (OpenID Connect Core 2)
//	site       gatehouse-session+jwt    the site's origin       the site's own gate
//	assertion  gatehouse-assertion+jwt  the upstream            an upstream behind a gate
//
// Nothing is decided here: claims come from the grant as it was made, and do not move when a token is refreshed.
package tokens
