// SPDX-License-Identifier: Apache-2.0

// Package shown owns what people are shown before they consent: titles, texts and typed fields, and what of them is refused.
//
// A person signs what they see, so a text must look like what it is and like nothing else. Whoever starts an operation often
// passes on what strangers wrote (the name of a payee), which is why nothing invisible or reordering comes through. It is
// refused and never removed: what is signed must be what was asked.
package shown
