// SPDX-License-Identifier: Apache-2.0

package onegini_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// row is one of a table of the page: its first cell, below a heading, and what proves the rest of it.
type row struct {
	what  string
	prove func(t *testing.T, s *server)
}

// rows are those of each section of the page that has tables.
var rows = map[string][]row{
	"Calls":                 calls,
	"Fields of a start":     fields,
	"The answer to a start": answers,
	"The result":            results,
	"Methods and types":     slices.Concat(methods, settings),
	"Errors":                refusals,
	"Limits":                limits,
}

// tables returns the first cells of a page's tables, by section.
func tables(page string) map[string][]string {
	found := map[string][]string{}
	for _, part := range strings.Split("\n"+page, "\n## ")[1:] {
		section, text, _ := strings.Cut(part, "\n")
		head := true
		for line := range strings.Lines(text) {
			cells, isRow := strings.CutPrefix(line, "| ")
			switch {
			case strings.HasPrefix(line, "|-"):
				head = false
			case !isRow:
				head = true
			case !head:
				cell, _, _ := strings.Cut(cells, " |")
				found[section] = append(found[section], cell)
			}
		}
	}
	return found
}

// TestEveryRowHasACase: the page and the cases cannot drift apart.
func TestEveryRowHasACase(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/migrate-onegini.md")
	must(t, err)
	proven := map[string][]string{}
	for section, cases := range rows {
		for _, c := range cases {
			proven[section] = append(proven[section], c.what)
		}
	}
	written := tables(string(page))
	if diff := cmp.Diff(written, proven); diff != "" {
		t.Errorf("the rows of the page (-) and the cases (+):\n%s", diff)
	}
	total := 0
	for _, cells := range written {
		total += len(cells)
	}
	if total < 70 {
		t.Errorf("the page has %d rows", total)
	}
}

// TestRows proves each row at one server.
func TestRows(t *testing.T) {
	t.Parallel()
	s := serve(t, whole)
	t.Run("all", func(t *testing.T) {
		for section, cases := range rows {
			for _, c := range cases {
				t.Run(section+": "+c.what, func(t *testing.T) {
					t.Parallel()
					c.prove(t, s)
				})
			}
		}
	})
}
