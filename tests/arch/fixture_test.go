// SPDX-License-Identifier: Apache-2.0

package arch_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
)

// repeated is a line of a fixture that stands for many: "@repeat 78 _ = 0".
var repeated = regexp.MustCompile(`(?m)^(\s*)@repeat (\d+) ?(.*)\n`)

// TestRulesBite runs every rule over the fixture of its name. The fixture lists what the rule must find, one line each
// ("want authz/clock.go:9 time.Now"), and shows beside it what the rule must let pass: nothing else may be found.
func TestRulesBite(t *testing.T) {
	t.Parallel()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			broken, wants := fixture(t, r.name)
			if len(wants) == 0 {
				t.Fatal("the fixture breaks nothing")
			}
			found := r.check(broken)
			for _, want := range wants {
				i := slices.IndexFunc(found, want.meets)
				if i < 0 {
					t.Errorf("not found: %v", want)
					continue
				}
				found = slices.Delete(found, i, i+1)
			}
			for _, f := range found {
				t.Errorf("found, though it is allowed: %v", f)
			}
		})
	}
}

// TestSoundHousePasses runs all the rules over a small house that keeps them: a rule that always fires helps nobody.
func TestSoundHousePasses(t *testing.T) {
	t.Parallel()
	house, _ := fixture(t, "sound")
	for _, r := range rules {
		for _, f := range r.check(house) {
			t.Errorf("%s: %v", r.name, f)
		}
	}
}

// meets reports whether got is the finding that f describes with a piece of its text.
func (f finding) meets(got finding) bool {
	return got.path == f.path && got.line == f.line && strings.Contains(got.text, f.text)
}

func fixture(t *testing.T, name string) (*tree, []finding) {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for _, f := range archive.Files {
		files[f.Name] = &fstest.MapFile{Data: []byte(expand(string(f.Data)))}
	}
	return mustLoad(t, files), wanted(t, string(archive.Comment))
}

func mustLoad(t *testing.T, files fstest.MapFS) *tree {
	t.Helper()
	parsed, err := load(files)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func expand(src string) string {
	return repeated.ReplaceAllStringFunc(src, func(line string) string {
		m := repeated.FindStringSubmatch(line)
		n, _ := strconv.Atoi(m[2])
		return strings.Repeat(m[1]+m[3]+"\n", n)
	})
}

func wanted(t *testing.T, comment string) []finding {
	t.Helper()
	var wants []finding
	for line := range strings.Lines(comment) {
		rest, ok := strings.CutPrefix(line, "want ")
		if !ok {
			continue
		}
		place, text, _ := strings.Cut(strings.TrimSpace(rest), " ")
		path, number, _ := strings.Cut(place, ":")
		n, err := strconv.Atoi(number)
		if err != nil || text == "" {
			t.Fatalf("not a finding: %q", line)
		}
		wants = append(wants, finding{path, n, text})
	}
	return wants
}

// TestEveryWallStands builds, for every line of the import table, a package behind the wall that imports what it must not,
// directly and by way of another package, and looks whether the line speaks.
func TestEveryWallStands(t *testing.T) {
	t.Parallel()
	for _, w := range walls {
		for _, room := range w.room {
			for pattern := range w.never {
				t.Run(room+" never "+pattern, func(t *testing.T) {
					t.Parallel()
					inside, outside := sample(room, "inside"), sample(pattern, "outside")
					if len(w.check(importing(t, inside, outside))) == 0 {
						t.Errorf("%s may import %s", inside, outside)
					}
					if isOurs(outside) && len(w.check(importing(t, inside, "between", outside))) == 0 {
						t.Errorf("%s may import %s by way of another package", inside, outside)
					}
				})
			}
		}
	}
}

// TestDoorsOpen checks the exceptions of the table: what a wall does not cover may import what the wall forbids, and what
// is behind it may use its doors, whatever lies beyond them.
func TestDoorsOpen(t *testing.T) {
	t.Parallel()
	for _, w := range walls {
		for pattern := range w.never {
			outside := sample(pattern, "outside")
			for _, free := range w.but {
				if found := w.check(importing(t, sample(free, "free"), outside)); len(found) > 0 {
					t.Errorf("outside the wall: %v", found)
				}
			}
			for _, door := range w.door {
				if found := w.check(importing(t, sample(w.room[0], "inside"), door, outside)); len(found) > 0 {
					t.Errorf("through the door: %v", found)
				}
			}
		}
	}
}

// TestTableNamesRealPackages finds a wall that has lost its package: a name that was mistyped, moved or deleted.
func TestTableNamesRealPackages(t *testing.T) {
	t.Parallel()
	packages := byPackage(house(t).files)
	for _, w := range walls {
		for _, pattern := range slices.Concat(w.room, w.but, w.door, slices.Collect(maps.Keys(w.never))) {
			name := strings.TrimSuffix(pattern, "/...")
			if pattern == ours || !isOurs(name) || slices.Contains(planned, name) {
				continue
			}
			if !slices.ContainsFunc(slices.Collect(maps.Keys(packages)), func(dir string) bool { return under(dir, name+"/...") }) {
				t.Errorf("the import table names %s, which does not exist", name)
			}
		}
	}
}

// sample returns a package that a pattern of the table covers.
func sample(pattern, leaf string) string {
	if pattern == ours {
		return leaf
	}
	return strings.Replace(pattern, "...", leaf, 1)
}

func isOurs(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return !strings.Contains(first, ".") &&
		!slices.Contains([]string{"net/http", "database/sql", "math/rand", "math/rand/v2"}, name)
}

// importing returns the graph of a row of packages of which each imports the next.
func importing(t *testing.T, row ...string) graph {
	t.Helper()
	files := fstest.MapFS{}
	for i, dir := range row[:len(row)-1] {
		next := row[i+1]
		if isOurs(next) {
			next = module + "/" + next
		}
		files[dir+"/p.go"] = &fstest.MapFile{Data: fmt.Appendf(nil, "package p\n\nimport _ %q\n", next)}
	}
	return imports(mustLoad(t, files))
}
