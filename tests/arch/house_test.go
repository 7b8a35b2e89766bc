// SPDX-License-Identifier: Apache-2.0

package arch_test

import (
	"os"
	"sync"
	"testing"
)

// rule is one thing the house holds to.
type rule struct {
	name  string // also the name of its fixture in testdata
	check func(*tree) []finding
}

var rules = []rule{
	{"parses", func(t *tree) []finding { return t.broken }},
	{"walls", checkWalls},
	{"chain", checkChain},
	{"fanout", checkFanOut},
	{"packagedoc", checkPackageDocs},
	{"exporteddoc", checkExportedDocs},
	{"license", checkLicense},
	{"unfinished", checkUnfinished},
	{"function", checkFunctions},
	{"nesting", checkNesting},
	{"params", checkParams},
	{"file", checkFiles},
	{"package", checkPackages},
	{"interface", checkInterfaces},
	{"clock", checkClock},
	{"sleep", checkSleep},
	{"background", checkBackground},
	{"httpdefaults", checkHTTPDefaults},
	{"oautherrors", checkOAuthErrors},
	{"errorwords", checkErrorWords},
	{"errorcompare", checkErrorCompare},
	{"init", checkInit},
	{"testlibraries", checkTestLibraries},
}

// TestHouse holds this repository to the rules.
func TestHouse(t *testing.T) {
	t.Parallel()
	house := house(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for _, f := range r.check(house) {
				t.Error(f)
			}
		})
	}
}

var repository = sync.OnceValues(func() (*tree, error) { return load(os.DirFS("../..")) })

// house returns the source of this repository.
func house(t *testing.T) *tree {
	t.Helper()
	parsed, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	if len(parsed.production()) == 0 {
		t.Fatal("no source was found: the rules held nothing")
	}
	return parsed
}
