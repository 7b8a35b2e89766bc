// SPDX-License-Identifier: Apache-2.0

// Package revocation owns the view that gates, introspection and userinfo share: what has been revoked before its time. It
// is one map in memory, read without a lock on every request. What this node revokes is in it before the answer is sent;
// what other nodes revoke is read from the log in the store at short intervals.
//
//	transition ─► authz.Revocation ─► View.Apply ──┐
//	                     │                         ├─► View.Revoked ◄─ gate, introspection, userinfo
//	                     └─► log in the store ─► View.Refresh
package revocation
