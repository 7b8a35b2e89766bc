// SPDX-License-Identifier: Apache-2.0

// Package mobileauth owns the operator's apps: which there are, on which platforms, and what becomes of each of their versions.
// A [Registry] answers for every request whether a version is switched off, from memory and without a lock.
//
// # Versions
//
// A [Rule] says what becomes of the versions that its pattern matches: an exact version, "2.*" for 2 and everything that begins
// with "2.", or "*" for all. It holds on one platform, or on all of them. Of several rules that match, the most specific one
// counts: an exact version before a pattern, a longer pattern before a shorter one, and where the patterns are the same, the rule
// of the platform before that of all platforms.
//
// What nobody has allowed is refused. An application or a platform that is not configured is [Unknown], and a version that no rule
// matches is [Disabled]; only where the configuration has no rules for an application at all are its versions [Active].
//
// # Overrides
//
// The rules come from the configuration, and operators put others over them while the server runs. An [Override] lies in the store
// under its application, platform and pattern, takes the place of the configured rule with the same three, and is a rule like any
// other otherwise. Taking it away brings the configured rule back.
//
//	Set, Unset on this node ──► Refresh ──┐
//	                                      ├─► snapshot ─► Status, Disabled
//	elsewhere ──► sequence ──► Run, every half second
//
// Each change raises one number in the same transaction. Nodes look at that number, and read the overrides when it has moved.
package mobileauth
