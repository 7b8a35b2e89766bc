// SPDX-License-Identifier: Apache-2.0

// Package mobiletest owns what the tests of several packages of this room need: keys of phones, people who may be locked, and
// callers who all begin at once.
package mobiletest
