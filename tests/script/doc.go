// SPDX-License-Identifier: Apache-2.0

// Package script owns the tests of the command line: each file in testdata is a session of an operator with the real program,
// beside a server of its own.
package script
