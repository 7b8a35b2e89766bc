// SPDX-License-Identifier: Apache-2.0

package arch_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// module is the path of the module whose packages are named by their directories here.
const module = "github.com/gatehouse-id/gatehouse"

var (
	generatedLine = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
	majorVersion  = regexp.MustCompile(`/v[0-9]+$`)
)

// tree is the parsed source of the module.
type tree struct {
	files []*file
	// broken holds the files that do not parse; no other rule sees them.
	broken []finding
}

// file is one parsed Go file.
type file struct {
	path      string // slash-separated, relative to the module's root
	dir       string // the package's directory; "." for the root
	lines     int
	test      bool // a _test.go file, or anything below tests/
	generated bool
	src       []byte
	ast       *ast.File
	set       *token.FileSet
}

// finding is one place that breaks a rule.
type finding struct {
	path string
	line int
	text string
}

func (f finding) String() string { return fmt.Sprintf("%s:%d: %s", f.path, f.line, f.text) }

// load parses every Go file of the module in fsys. Nested modules, vendored code, testdata and hidden directories are not
// part of it.
func load(fsys fs.FS) (*tree, error) {
	t := &tree{}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return skip(fsys, name)
		case strings.HasSuffix(name, ".go"):
			return t.add(fsys, name)
		}
		return nil
	})
	return t, err
}

// skip returns fs.SkipDir for a directory that holds no source of the module.
func skip(fsys fs.FS, dir string) error {
	if dir == "." {
		return nil
	}
	base := path.Base(dir)
	if strings.HasPrefix(base, ".") || slices.Contains([]string{"testdata", "vendor", "node_modules"}, base) {
		return fs.SkipDir
	}
	if _, err := fs.Stat(fsys, path.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func (t *tree) add(fsys fs.FS, name string) error {
	src, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.broken = append(t.broken, finding{name, 1, err.Error()})
		return nil
	}
	t.files = append(t.files, &file{
		path:      name,
		dir:       path.Dir(name),
		lines:     bytes.Count(src, []byte("\n")),
		test:      strings.HasSuffix(name, "_test.go") || under(path.Dir(name), "tests/..."),
		generated: generatedLine.Match(src),
		src:       src,
		ast:       parsed,
		set:       set,
	})
	return nil
}

// production returns the files that ship and are written by hand.
func (t *tree) production() []*file {
	return t.where(func(f *file) bool { return !f.test && !f.generated })
}

// core returns the production files below caddymodule and cmd: the part of the house that knows nothing of Caddy.
func (t *tree) core() []*file {
	return t.where(func(f *file) bool {
		return !f.test && !f.generated && !under(f.dir, "caddymodule/...", "cmd/...", "examples/...")
	})
}

func (t *tree) tests() []*file { return t.where(func(f *file) bool { return f.test }) }

func (t *tree) where(keep func(*file) bool) []*file {
	var kept []*file
	for _, f := range t.files {
		if keep(f) {
			kept = append(kept, f)
		}
	}
	return kept
}

// byPackage groups files by directory.
func byPackage(files []*file) map[string][]*file {
	grouped := map[string][]*file{}
	for _, f := range files {
		grouped[f.dir] = append(grouped[f.dir], f)
	}
	return grouped
}

// sorted walks a map in the order of its keys, so that findings come out in a fixed order.
func sorted[V any](m map[string]V, visit func(string, V)) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		visit(key, m[key])
	}
}

// at makes a finding at a node of the file.
func (f *file) at(node ast.Node, format string, args ...any) finding {
	return finding{f.path, f.set.Position(node.Pos()).Line, fmt.Sprintf(format, args...)}
}

// span returns how many lines a node takes.
func (f *file) span(node ast.Node) int {
	return f.set.Position(node.End()).Line - f.set.Position(node.Pos()).Line + 1
}

// functions calls visit for every function and method with a body.
func (f *file) functions(visit func(*ast.FuncDecl)) {
	for _, decl := range f.ast.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
			visit(fn)
		}
	}
}

// imports calls visit for every import: the path as the import table writes it, our own packages by their directory.
func (f *file) imports(visit func(spec *ast.ImportSpec, name string)) {
	for _, spec := range f.ast.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has accepted the literal already
		}
		if name == module {
			name = "."
		}
		visit(spec, strings.TrimPrefix(name, module+"/"))
	}
}

// uses calls visit for every selector on an imported package, such as time.Now, by import path and name, so that an alias
// hides nothing.
func (f *file) uses(visit func(node ast.Node, pkg, name string)) {
	named := map[string]string{}
	f.imports(func(spec *ast.ImportSpec, name string) {
		local := path.Base(majorVersion.ReplaceAllString(name, ""))
		if spec.Name != nil {
			local = spec.Name.Name
		}
		named[local] = name
	})
	ast.Inspect(f.ast, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := selector.X.(*ast.Ident); ok && named[id.Name] != "" {
			visit(n, named[id.Name], selector.Sel.Name)
		}
		return true
	})
}

// under reports whether dir is one of the patterns: a path, or a path and everything below it ("authz/...").
func under(dir string, patterns ...string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		root, deep := strings.CutSuffix(pattern, "...")
		if !deep {
			return dir == pattern
		}
		root = strings.TrimSuffix(root, "/")
		return root == "" || dir == root || strings.HasPrefix(dir, root+"/")
	})
}
