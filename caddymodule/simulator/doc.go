// SPDX-License-Identifier: Apache-2.0

// Package simulator owns "gatehouse device", a phone without a phone: the whole device of package mobileauth/device behind a
// command line, for operators who try their configuration and for tests. Two files are two phones.
//
// A file holds what a phone holds: the state, and in the place of the phone's hardware the keys. The PIN is not in it, and a
// copy of it tells nobody which PIN is right. Whoever has the file has the phone, so only its owner may read it.
package simulator
