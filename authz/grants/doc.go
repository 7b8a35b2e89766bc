// SPDX-License-Identifier: Apache-2.0

// Package grants owns the token endpoint (RFC 6749 3.2). Every request passes the same row of phases; a grant type fills
// two of them and cannot skip the others:
//
//	parse ─► authenticate the client ─► find the grant type ─► scope rule ─► settle ─► mint ─► answer
//	                                                              ▲            ▲
//	                                                              └─ grant type ┘
//
// Settling is one transition of the store, or none for a client's own token. Minting comes after the commit: if it fails,
// what was single-use stays spent, since safety against replay comes before convenience.
package grants
