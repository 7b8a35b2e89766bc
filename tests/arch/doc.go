// SPDX-License-Identifier: Apache-2.0

// Package arch owns the tests that hold the house: which package may import which and why, how long anything may get,
// and what may not be written anywhere. The rules read the source of the module, not its behaviour, so they take a second
// and name file and line.
//
// The import table is data (walls_test.go): a package, what it must never import, the reason. Where the code shows that a
// wall stands in the wrong place, move the wall and change the table in the same commit, with the reason.
//
// Every rule has a fixture in testdata that breaks it, so that a rule which has stopped looking fails a test of its own.
package arch
