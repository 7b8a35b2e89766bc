// SPDX-License-Identifier: Apache-2.0

package attack_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	advisoryRow = regexp.MustCompile(`(?m)^\| [0-9]+ \|.*$`)
	faultRow    = regexp.MustCompile(`(?m)^\| .* \|.*\| ` + "`" + `[a-z0-9/]+\.(?:Test|Fuzz).*$`)
	namedTest   = regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz)[A-Za-z0-9_]+)`")
)

// A test that the threat model names is there: a promise that nothing holds is worse than none.
func TestAdvisoriesAreHeld(t *testing.T) {
	t.Parallel()
	held(t, "threats.md", advisoryRow, 20)
}

// TestFaultsAreHeld: so it is with what goes wrong while a phone is asked.
func TestFaultsAreHeld(t *testing.T) {
	t.Parallel()
	held(t, "step-up.md", faultRow, 18)
}

// held fails unless each of so many rows of a page names tests that are there.
func held(t *testing.T, name string, row *regexp.Regexp, many int) {
	t.Helper()
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	rows := row.FindAllString(string(page), -1)
	if len(rows) != many {
		t.Fatalf("%s has %d rows, want %d", name, len(rows), many)
	}
	sources := map[string]string{}
	for _, row := range rows {
		named := namedTest.FindAllStringSubmatch(row, -1)
		if len(named) == 0 {
			t.Errorf("no test holds %.40s", row)
		}
		for _, name := range named {
			if sources[name[1]] == "" {
				sources[name[1]] = source(t, filepath.Join(root, name[1]))
			}
			if !strings.Contains(sources[name[1]], "\nfunc "+name[2]+"(") {
				t.Errorf("there is no %s in %s", name[2], name[1])
			}
		}
	}
}

// source returns the tests of a package.
func source(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
