// SPDX-License-Identifier: Apache-2.0

package arch_test

import (
	"fmt"
	"go/ast"
	"strings"
)

// Caps. Most code stays far below them: a function that comes near one is usually two.
const (
	maxFunction  = 80
	maxParser    = 40
	maxNesting   = 4
	maxParams    = 5
	maxFile      = 600
	maxTestFile  = 1000
	maxPackage   = 2500
	maxInterface = 5
)

func checkFunctions(t *tree) []finding {
	return eachFunction(t, func(f *file, fn *ast.FuncDecl) (string, bool) {
		limit, kind := maxFunction, "function"
		if f.parses(fn) {
			limit, kind = maxParser, "parser"
		}
		n := f.span(fn)
		return fmt.Sprintf("%s %s: %d lines, at most %d", kind, fn.Name.Name, n, limit), n > limit
	})
}

// parses reports whether fn reads a Caddyfile.
func (f *file) parses(fn *ast.FuncDecl) bool {
	if strings.HasPrefix(fn.Name.Name, "UnmarshalCaddyfile") {
		return true
	}
	for _, param := range fn.Type.Params.List {
		expr := param.Type
		if star, ok := expr.(*ast.StarExpr); ok {
			expr = star.X
		}
		if selector, ok := expr.(*ast.SelectorExpr); ok {
			if id, ok := selector.X.(*ast.Ident); ok && (id.Name == "caddyfile" || id.Name == "httpcaddyfile") {
				return true
			}
		}
	}
	return strings.HasPrefix(fn.Name.Name, "parse") && strings.Contains(f.path, "caddyfile")
}

func checkNesting(t *tree) []finding {
	return eachFunction(t, func(_ *file, fn *ast.FuncDecl) (string, bool) {
		depth := nesting(fn.Body, 0)
		return fmt.Sprintf("%s nests %d deep, at most %d", fn.Name.Name, depth, maxNesting), depth > maxNesting
	})
}

// nesting returns the deepest level of control structures and function literals below node. An else-if chain counts once.
func nesting(node ast.Node, depth int) int {
	deepest := depth
	into := func(body ast.Node, level int) bool {
		deepest = max(deepest, nesting(body, level))
		return false
	}
	ast.Inspect(node, func(n ast.Node) bool {
		switch s := n.(type) {
		case *ast.IfStmt:
			into(s.Body, depth+1)
			switch branch := s.Else.(type) {
			case *ast.IfStmt:
				into(&ast.BlockStmt{List: []ast.Stmt{branch}}, depth)
			case *ast.BlockStmt:
				into(branch, depth+1)
			}
			return false
		case *ast.ForStmt:
			return into(s.Body, depth+1)
		case *ast.RangeStmt:
			return into(s.Body, depth+1)
		case *ast.SwitchStmt:
			return into(s.Body, depth+1)
		case *ast.TypeSwitchStmt:
			return into(s.Body, depth+1)
		case *ast.SelectStmt:
			return into(s.Body, depth+1)
		case *ast.FuncLit:
			return into(s.Body, depth+1)
		}
		return true
	})
	return deepest
}

func checkParams(t *tree) []finding {
	return eachFunction(t, func(_ *file, fn *ast.FuncDecl) (string, bool) {
		n := fn.Type.Params.NumFields()
		return fmt.Sprintf("%s takes %d parameters, at most %d: then a struct", fn.Name.Name, n, maxParams), n > maxParams
	})
}

func eachFunction(t *tree, judge func(*file, *ast.FuncDecl) (text string, broken bool)) []finding {
	var found []finding
	for _, f := range t.production() {
		f.functions(func(fn *ast.FuncDecl) {
			if text, broken := judge(f, fn); broken {
				found = append(found, f.at(fn, "%s", text))
			}
		})
	}
	return found
}

func checkFiles(t *tree) []finding {
	var found []finding
	for _, f := range t.files {
		limit := maxFile
		if f.test {
			limit = maxTestFile
		}
		if f.lines > limit && !f.generated {
			found = append(found, finding{f.path, f.lines, fmt.Sprintf("%d lines, at most %d", f.lines, limit)})
		}
	}
	return found
}

func checkPackages(t *tree) []finding {
	var found []finding
	sorted(byPackage(t.production()), func(dir string, files []*file) {
		lines := 0
		for _, f := range files {
			lines += f.lines
		}
		if lines > maxPackage {
			found = append(found, finding{files[0].path, 1, fmt.Sprintf("package %s: %d lines, at most %d", dir, lines, maxPackage)})
		}
	})
	return found
}

func checkInterfaces(t *tree) []finding {
	var found []finding
	for _, f := range t.production() {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if it, ok := n.(*ast.InterfaceType); ok && it.Methods.NumFields() > maxInterface {
				found = append(found, f.at(it, "interface of %d methods, at most %d", it.Methods.NumFields(), maxInterface))
			}
			return true
		})
	}
	return found
}
