// SPDX-License-Identifier: Apache-2.0

package arch_test

import (
	"fmt"
	"go/ast"
	"strings"
)

const (
	maxChain  = 6
	maxFanOut = 8
)

// graph holds what each of our packages imports outside its tests, and where. A package that is imported but does not exist
// yet counts as a package that imports nothing.
type graph map[string]map[string]finding

func imports(t *tree) graph {
	g := graph{}
	for _, f := range t.where(func(f *file) bool { return !strings.HasSuffix(f.path, "_test.go") }) {
		if g[f.dir] == nil {
			g[f.dir] = map[string]finding{}
		}
		f.imports(func(spec *ast.ImportSpec, name string) {
			if _, known := g[f.dir][name]; !known {
				g[f.dir][name] = f.at(spec, "")
			}
			if path := strings.Trim(spec.Path.Value, `"`); strings.HasPrefix(path, module+"/") && g[name] == nil {
				g[name] = map[string]finding{}
			}
		})
	}
	return g
}

// own returns the packages of ours that dir imports.
func (g graph) own(dir string) []string {
	var names []string
	sorted(g[dir], func(name string, _ finding) {
		if _, ok := g[name]; ok {
			names = append(names, name)
		}
	})
	return names
}

// checkChain reports a chain of imports that is too long. What only wires others together is not counted: a face, what it
// works on and what that stands on are six packages, and wiring knows all of them by name anyway.
func checkChain(t *tree) []finding {
	g := imports(t)
	var longest []string
	known := map[string][]string{}
	sorted(g, func(dir string, _ map[string]finding) {
		if under(dir, "cmd/...", "tests/...", "caddymodule/...") {
			return
		}
		if chain := g.chain(dir, known); len(chain) > len(longest) {
			longest = chain
		}
	})
	if len(longest) <= maxChain {
		return nil
	}
	at := g[longest[0]][longest[1]]
	return []finding{{at.path, at.line, fmt.Sprintf("%d packages in a row, at most %d: %s",
		len(longest), maxChain, strings.Join(longest, " → "))}}
}

// chain returns the longest chain of our packages that begins at dir. The compiler has refused cycles.
func (g graph) chain(dir string, known map[string][]string) []string {
	if chain, ok := known[dir]; ok {
		return chain
	}
	known[dir] = []string{dir}
	var longest []string
	for _, name := range g.own(dir) {
		if chain := g.chain(name, known); len(chain) > len(longest) {
			longest = chain
		}
	}
	known[dir] = append([]string{dir}, longest...)
	return known[dir]
}

// checkFanOut reports a package that needs too many others of ours. Those that put parts together do: the server, and the API
// for back ends, which shows every record there is in one form, and decides nothing about any.
func checkFanOut(t *tree) []finding {
	g := imports(t)
	var found []finding
	sorted(g, func(dir string, _ map[string]finding) {
		if dir == "authz/server" || dir == "mobileauth/restapi" || under(dir, "caddymodule/...", "cmd/...", "tests/...") {
			return
		}
		if names := g.own(dir); len(names) > maxFanOut {
			at := g[dir][names[maxFanOut]]
			found = append(found, finding{at.path, at.line, fmt.Sprintf("%s imports %d packages of ours, at most %d: %s",
				dir, len(names), maxFanOut, strings.Join(names, ", "))})
		}
	})
	return found
}
