// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

const (
	layoutFile  = "templates/layout.html"
	partsGlob   = "templates/parts/*.html"
	pagesDir    = "templates/pages"
	themeFile   = "css/theme.css"
	maxThemeCSS = 32 << 10
)

// pageNames is the template of every page struct.
var pageNames = []string{"login", "consent", "error", "logout", "continue", "told", "signedout", "formpost", "account", "phone", "addphone", "certificate", "api", "wait", "confirm"}

var errTheme = errors.New("theme is not usable")

// view is what a template sees.
type view struct {
	// Lang is the language of the page.
	Lang string
	// Service is the name on the door.
	Service string
	// Page is the page struct.
	Page Page
}

// parseTemplates returns one executable layout per page for one language.
func parseTemplates(files map[string]string, funcs template.FuncMap) (map[string]*template.Template, error) {
	base := template.New(layoutFile).Funcs(funcs).Option("missingkey=error")
	for name, text := range files {
		if path.Dir(name) == pagesDir || ownLogin(name) {
			continue
		}
		if _, err := tree(base, name).Parse(text); err != nil {
			return nil, fmt.Errorf("parsing %s: %w", name, err)
		}
	}
	pages := make(map[string]*template.Template, len(pageNames))
	for _, page := range pageNames {
		name := pagesDir + "/" + page + ".html"
		set, err := base.Clone()
		if err != nil {
			return nil, fmt.Errorf("cloning layout for %s: %w", name, err)
		}
		if _, err := set.New(name).Parse(files[name]); err != nil {
			return nil, fmt.Errorf("parsing %s: %w", name, err)
		}
		pages[page] = set
	}
	return pages, parseLogins(pages, base, files)
}

// fileOf is the file of a page's template.
func fileOf(name string) string {
	if ownLogin(name) {
		return name
	}
	return pagesDir + "/" + name + ".html"
}

func tree(base *template.Template, name string) *template.Template {
	if name == layoutFile {
		return base
	}
	return base.New(name)
}

// readTemplates returns every built-in template by path, replaced by the theme's where it has one, and the theme's
// variables.
func readTemplates(theme fs.FS) (files map[string]string, css []byte, err error) {
	files = map[string]string{}
	for _, glob := range []string{layoutFile, partsGlob, pagesDir + "/*.html"} {
		names, err := fs.Glob(builtin, glob)
		if err != nil {
			return nil, nil, fmt.Errorf("listing templates: %w", err)
		}
		for _, name := range names {
			data, err := fs.ReadFile(builtin, name)
			if err != nil {
				return nil, nil, fmt.Errorf("reading template: %w", err)
			}
			files[name] = string(data)
		}
	}
	if theme == nil {
		return files, nil, nil
	}
	css, err = overlay(theme, files)
	return files, css, err
}

func overlay(theme fs.FS, files map[string]string) (css []byte, err error) {
	walk := func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("reading theme: %w", err)
		}
		if entry.IsDir() {
			return nil
		}
		_, known := files[name]
		if !known && name != themeFile && !ownLogin(name) {
			return fmt.Errorf("reading theme: file %q replaces nothing: %w", name, errTheme)
		}
		data, err := fs.ReadFile(theme, name)
		if err != nil {
			return fmt.Errorf("reading theme: %w", err)
		}
		if name != themeFile {
			files[name] = string(data)
			return nil
		}
		css = data
		return checkCSS(data)
	}
	if err := fs.WalkDir(theme, ".", walk); err != nil {
		return nil, err
	}
	return css, nil
}

// checkCSS refuses what a browser would drop without a word: the file follows other rules, where @import has no effect.
func checkCSS(css []byte) error {
	switch {
	case len(css) > maxThemeCSS:
		return fmt.Errorf("reading theme: %s is over %d bytes: %w", themeFile, maxThemeCSS, errTheme)
	case bytes.Contains(bytes.ToLower(css), []byte("@import")):
		return fmt.Errorf("reading theme: %s uses @import: %w", themeFile, errTheme)
	case bytes.Count(css, []byte("{")) != bytes.Count(css, []byte("}")):
		return fmt.Errorf("reading theme: %s has unbalanced braces: %w", themeFile, errTheme)
	default:
		return nil
	}
}

// templateFuncs are the functions of a template in one language.
func templateFuncs(texts catalogue, files *assets) template.FuncMap {
	funcs := template.FuncMap{
		"t":         texts.t,
		"phrase":    texts.phrase,
		"text":      texts.text,
		"or_text":   texts.or,
		"notice":    texts.notice,
		"date":      texts.date,
		"datetime":  func(at time.Time) string { return at.UTC().Format(time.RFC3339) },
		"choose":    choose,
		"errortext": texts.errorText,
		"asset":     files.url,
		"link":      link,
		"exact":     exact,
		"weblink":   webLink,
		"focus":     focus,
		"described": described,
		"inputtype": func(f Field) string { return choose(f.Type, f.Type, "text") },
	}
	maps.Copy(funcs, phoneFuncs(texts))
	return funcs
}

// link returns raw when it is somewhere a page may point to, and nothing otherwise: a link that is not safe is left out.
// Private-use schemes lead back to native apps (RFC 8252, section 7.1).
func link(raw string) template.URL {
	if localPath(raw) {
		return template.URL(raw) //nolint:gosec // G203: a path of this origin.
	}
	u, err := url.Parse(raw)
	if err != nil || u.User != nil {
		return ""
	}
	web := (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
	if web || schemePattern.MatchString(u.Scheme) {
		return template.URL(raw) //nolint:gosec // G203: the scheme is one that runs no script.
	}
	return ""
}

// choose returns yes when s is not empty, else no.
func choose(s, yes, no string) string {
	if s != "" {
		return yes
	}
	return no
}

// focus is the input where typing starts: the first that is empty, else the first.
func focus(fields []Field) int {
	i := slices.IndexFunc(fields, func(f Field) bool { return f.Value == "" || f.Type == "password" })
	return max(i, 0)
}

// described lists the elements that explain an input, for aria-describedby. Whoever lands on the focused input hears
// the page's message with it.
func described(p LoginPage, i int) string {
	id := fmt.Sprintf("field-%d", i)
	var ids []string
	if p.Fields[i].Error != "" {
		ids = append(ids, id+"-error")
	}
	if p.Fields[i].Help != "" {
		ids = append(ids, id+"-help")
	}
	if p.Message != "" && i == focus(p.Fields) {
		ids = append(ids, "message")
	}
	return strings.Join(ids, " ")
}
