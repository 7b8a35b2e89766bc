// SPDX-License-Identifier: Apache-2.0

// Package mobiletype owns the named policies by which people are asked: by which method, for how long, how often they may be
// wrong, in which words, and what comes next when it cannot be done.
//
//	push_pin ──(no phone)──► push ──(no phone)──► sms_code
//
// A type that cannot begin hands over to its fallback. Chains are checked when a [Set] is made: they end, and nothing stands in
// one twice. [Fallbacks] says how far down a chain may lead. What an approval is worth is computed from the method that was
// really used ([Prove]), never from the one that was asked for.
//
// The package decides nothing about a user: which types can begin for whom is for package asking.
package mobiletype
