// SPDX-License-Identifier: Apache-2.0

package arch_test

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

var failedTo = regexp.MustCompile(`(?i)\bfailed to\b`)

// forbid reports the uses of names of one package in some files.
func forbid(files []*file, pkg, instead string, names ...string) []finding {
	var found []finding
	for _, f := range files {
		f.uses(func(node ast.Node, of, name string) {
			if of == pkg && slices.Contains(names, name) {
				found = append(found, f.at(node, "%s.%s: %s", pkg, name, instead))
			}
		})
	}
	return found
}

func checkClock(t *tree) []finding {
	return forbid(t.core(), "time", "the clock is injected as Now func() time.Time",
		"Now", "Since", "Until", "After", "Tick", "Sleep")
}

func checkSleep(t *tree) []finding {
	return forbid(t.tests(), "time", "tests use a fake clock or testing/synctest", "Sleep")
}

func checkBackground(t *tree) []finding {
	return forbid(t.core(), "context", "the caller's context is handed down", "Background", "TODO")
}

func checkHTTPDefaults(t *tree) []finding {
	return forbid(t.core(), "net/http", "the client, its timeout and its trust are given by whoever assembles",
		"DefaultClient", "DefaultTransport", "DefaultServeMux", "Get", "Head", "Post", "PostForm", "Handle", "HandleFunc")
}

// checkOAuthErrors keeps OAuth errors out of the wiring: they are made where an outcome is known. Handing one on is fine.
func checkOAuthErrors(t *tree) []finding {
	wiring := t.where(func(f *file) bool {
		return !f.test && under(f.dir, "caddymodule/...", "cmd/...", "mobileauth/...", "storage/...")
	})
	const instead = "OAuth errors are made in authz and validation"
	found := forbid(wiring, "internal/oauth", instead, "NewError", "Internal", "Unavailable")
	for _, f := range wiring {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if literal, ok := n.(*ast.CompositeLit); ok && isSelector(literal.Type, "oauth", "Error") {
				found = append(found, f.at(literal, "internal/oauth.Error: %s", instead))
			}
			return true
		})
	}
	return found
}

func isSelector(expr ast.Expr, pkg, name string) bool {
	selector, ok := expr.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	id, ok := selector.X.(*ast.Ident)
	return ok && id.Name == pkg
}

// checkErrorWords wants gerund phrases ("loading client %q: %w"), which read well when they are wrapped.
func checkErrorWords(t *tree) []finding {
	var found []finding
	for _, f := range t.production() {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && makesError(call) && len(call.Args) > 0 {
				if text, ok := call.Args[0].(*ast.BasicLit); ok && failedTo.MatchString(text.Value) {
					found = append(found, f.at(text, `an error says "failed to"; say what was being done`))
				}
			}
			return true
		})
	}
	return found
}

func makesError(call *ast.CallExpr) bool {
	return isSelector(call.Fun, "fmt", "Errorf") || isSelector(call.Fun, "errors", "New")
}

// checkErrorCompare wants errors.Is: an error that is wrapped later is still the same error.
func checkErrorCompare(t *tree) []finding {
	var found []finding
	for _, f := range t.production() {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch s := n.(type) {
			case *ast.BinaryExpr:
				if (s.Op == token.EQL || s.Op == token.NEQ) && comparesError(s.X, s.Y) {
					found = append(found, f.at(s, "an error is compared with %s; use errors.Is", s.Op))
				}
			case *ast.SwitchStmt:
				if s.Tag != nil && isErrorVariable(s.Tag) {
					found = append(found, f.at(s, "a switch compares errors with ==; use errors.Is"))
				}
			}
			return true
		})
	}
	return found
}

func comparesError(x, y ast.Expr) bool {
	return isErrorVariable(x) && isSentinel(y) || isSentinel(x) && isErrorVariable(y)
}

func isErrorVariable(expr ast.Expr) bool {
	id, ok := expr.(*ast.Ident)
	return ok && (id.Name == "err" || strings.HasSuffix(id.Name, "Err"))
}

func isSentinel(expr ast.Expr) bool {
	switch e := expr.(type) {
	case *ast.Ident:
		return strings.HasPrefix(e.Name, "Err") || strings.HasPrefix(e.Name, "err") && e.Name != "err"
	case *ast.SelectorExpr:
		return strings.HasPrefix(e.Sel.Name, "Err") || e.Sel.Name == "EOF"
	}
	return false
}

func checkInit(t *tree) []finding {
	var found []finding
	for _, f := range t.core() {
		f.functions(func(fn *ast.FuncDecl) {
			if fn.Recv == nil && fn.Name.Name == "init" {
				found = append(found, f.at(fn, "an init function: whoever assembles decides what happens at start"))
			}
		})
	}
	return found
}

func checkTestLibraries(t *tree) []finding {
	var found []finding
	for _, f := range t.files {
		f.imports(func(spec *ast.ImportSpec, name string) {
			if under(name, "github.com/stretchr/...", "github.com/golang/mock/...", "go.uber.org/mock/...", "github.com/onsi/...") {
				found = append(found, f.at(spec, "%s: tests use the standard library and go-cmp, fakes are written by hand", name))
			}
		})
	}
	return found
}
