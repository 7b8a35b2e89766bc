// SPDX-License-Identifier: Apache-2.0

// Package revocation owns a node's view of what was revoked: the one judgement that gates, introspection and userinfo ask
// for every token. It is held in memory and read without a lock, because it is asked on every request; it is told at once
// of what this node revokes, and reads the log in the store for what others do.
//
//	transition on this node ──► Apply ──┐
//	                                    ├─► View ─► Revoked(principal)
//	transition elsewhere ──► log ──► Refresh, every half second
//
// A token is dead when its id, its grant or its session was revoked, or when it was issued no later than the moment up to
// which everything of its subject or its client is, or everything that rests on a device of those it names.
package revocation
