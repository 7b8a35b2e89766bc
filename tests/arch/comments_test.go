// SPDX-License-Identifier: Apache-2.0

package arch_test

import (
	"bytes"
	"go/ast"
	"path"
	"regexp"
	"strings"
)

const license = "// SPDX-License-Identifier: Apache-2.0\n"

var unfinished = regexp.MustCompile(`(?i)\b(TODO|FIXME|XXX|HACK|for now|not (yet )?implemented)\b`)

func checkLicense(t *tree) []finding {
	var found []finding
	for _, f := range t.files {
		if !f.generated && !bytes.HasPrefix(f.src, []byte(license+"\n")) {
			found = append(found, finding{f.path, 1, "the first line is not the SPDX line, followed by an empty one"})
		}
	}
	return found
}

func checkUnfinished(t *tree) []finding {
	var found []finding
	for _, f := range t.files {
		for _, group := range f.ast.Comments {
			for _, comment := range group.List {
				if at := unfinished.FindStringIndex(comment.Text); at != nil {
					place := f.at(comment, "a comment says %q", comment.Text[at[0]:at[1]])
					place.line += strings.Count(comment.Text[:at[0]], "\n")
					found = append(found, place)
				}
			}
		}
	}
	return found
}

// checkPackageDocs wants the package comment of every package in its doc.go. A command may have it where main is.
func checkPackageDocs(t *tree) []finding {
	var found []finding
	shipped := t.where(func(f *file) bool { return !strings.HasSuffix(f.path, "_test.go") && !f.generated })
	sorted(byPackage(shipped), func(dir string, files []*file) {
		documented := false
		for _, f := range files {
			name := f.ast.Name.Name
			if f.ast.Doc == nil || path.Base(f.path) != "doc.go" && name != "main" {
				continue
			}
			text := f.ast.Doc.Text()
			documented = documented || strings.HasPrefix(text, "Package "+name+" ") || name == "main" && text != ""
		}
		if !documented {
			found = append(found, finding{files[0].path, 1, "package " + dir + " has no doc.go that begins with \"Package " +
				files[0].ast.Name.Name + " \""})
		}
	})
	return found
}

// checkExportedDocs wants a comment on every exported name. A comment on a group of constants or variables serves all of it.
func checkExportedDocs(t *tree) []finding {
	var found []finding
	for _, f := range t.production() {
		if f.ast.Name.Name == "main" {
			continue
		}
		for _, decl := range f.ast.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && exportedReceiver(d) && d.Doc.Text() == "" {
					found = append(found, f.at(d, "%s is exported and has no comment", d.Name.Name))
				}
			case *ast.GenDecl:
				found = append(found, f.bareSpecs(d)...)
			}
		}
	}
	return found
}

func (f *file) bareSpecs(d *ast.GenDecl) []finding {
	var found []finding
	for _, spec := range d.Specs {
		names, text := named(spec)
		if d.Doc.Text()+text != "" {
			continue
		}
		for _, name := range names {
			if name.IsExported() {
				found = append(found, f.at(name, "%s is exported and has no comment", name.Name))
			}
		}
	}
	return found
}

// named returns the names that a specification declares, and its comments.
func named(spec ast.Spec) (names []*ast.Ident, text string) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		return []*ast.Ident{s.Name}, s.Doc.Text() + s.Comment.Text()
	case *ast.ValueSpec:
		return s.Names, s.Doc.Text() + s.Comment.Text()
	}
	return nil, ""
}

// exportedReceiver reports whether fn is a function, or a method of an exported type.
func exportedReceiver(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	expr := fn.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.IsExported()
		default:
			return false
		}
	}
}
