// SPDX-License-Identifier: Apache-2.0

// Package custom owns the test of examples/custom-realm: the page about it shows what is there, the script builds it, and people
// log in through it.
package custom
