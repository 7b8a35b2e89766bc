// SPDX-License-Identifier: Apache-2.0

// Package record owns what an operation is: its states and the ways between them, what a start may ask for, what is shown, and
// the limits. It keeps nothing and asks nobody: package operation, which does both, has the same names for what is here.
package record
