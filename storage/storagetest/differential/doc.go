// SPDX-License-Identifier: Apache-2.0

// Package differential owns the random part of the proof that an engine keeps the storage contract: it plays the same histories against
// the engine and the reference model side by side, and has updates race whose outcome must be that of some order.
package differential
