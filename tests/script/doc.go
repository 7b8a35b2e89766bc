// SPDX-License-Identifier: Apache-2.0

// Package script proves the command line: each script in testdata is what an operator types, at the real program, with a
// server of its own where it needs one.
package script
