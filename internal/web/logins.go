// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"html/template"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
)

const (
	// loginTemplate is the common login page.
	loginTemplate = "login"
	// loginsDir is where a theme has login pages of its own.
	loginsDir = "templates/login"
)

// loginPattern is what their files are called.
var loginPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}\.html$`)

// Notice is something that people are told whatever else happens: that there is an update, that an app is switched off.
type Notice struct {
	// Text is in the language of the reader. It is no key of the catalogue.
	Text string
	// URL is where more is said. It is left out unless it is an http or https URI.
	URL string
}

// OwnLogin is a login page of the theme's own that is going to be shown.
type OwnLogin struct {
	// Template names its file in the theme's folder templates/login.
	Template string
	// Fields are what it is going to ask. None leaves that open: the page then has to ask whatever it is given.
	Fields []Field
}

// ownLogin reports whether a file of a theme is a login page of its own.
func ownLogin(name string) bool {
	return path.Dir(name) == loginsDir && loginPattern.MatchString(path.Base(name))
}

// checkLogins looks for the pages that are going to be shown.
func checkLogins(logins []OwnLogin, files map[string]string) error {
	for _, login := range logins {
		name := loginsDir + "/" + login.Template
		if _, ok := files[name]; !ok || !ownLogin(name) {
			return fmt.Errorf("reading theme: there is no file %q, and a login page is to be made of it: %w", name, errTheme)
		}
	}
	return nil
}

// parseLogins adds the theme's own login pages to pages. Each is the common one but for what it defines anew.
func parseLogins(pages map[string]*template.Template, base *template.Template, files map[string]string) error {
	for name, text := range files {
		if !ownLogin(name) {
			continue
		}
		set, err := base.Clone()
		if err != nil {
			return fmt.Errorf("cloning layout for %s: %w", name, err)
		}
		if _, err := set.New(pagesDir + "/" + loginTemplate + ".html").Parse(files[pagesDir+"/"+loginTemplate+".html"]); err != nil {
			return fmt.Errorf("parsing %s: %w", loginTemplate, err)
		}
		if _, err := set.New(name).Parse(text); err != nil {
			return fmt.Errorf("parsing %s: %w", name, err)
		}
		pages[name] = set
	}
	return nil
}

// loginSamples are what a login page has to cope with: answers that were wrong, a notice, a user who is known. It has to ask
// for the fields that are named.
func loginSamples(name string, fields []Field, asks ...string) []sample {
	page := LoginPage{
		Template: name, Client: "Sample app", Action: "/sample", Hidden: []Field{{Name: "sample_step", Value: "s1"}}, Cancel: true,
		Fields: fields,
	}
	controls := append([]string{"sample_step", CancelField}, asks...)
	told := page
	told.Message = "Sample message"
	told.Notice = &Notice{Text: "Sample notice", URL: "https://app.example/sample"}
	again := page
	again.User, again.Message, again.Kind = "Sample user", MessageReauthAge, KindInfo
	return []sample{
		{page: page, action: "/sample", controls: controls},
		{page: told, action: "/sample", controls: controls, shows: []string{"Sample message", "Sample notice", "https://app.example/sample"}},
		{page: again, action: "/sample", controls: controls},
	}
}

// loginSamples returns the samples of the common login page and of the theme's own. Those that are going to be shown have to ask
// what they are going to be given, or anything when that is not known.
func (r *Renderer) loginSamples(logins []OwnLogin) []sample {
	some := []Field{
		{Name: "sample_user", Label: LabelUsername, Autocomplete: "username", Value: "a", Help: "Help", Required: true},
		{Name: "sample_secret", Label: LabelPassword, Type: "password", Error: "Error", InputMode: "text"},
	}
	all := loginSamples("", some, names(some)...)
	for _, name := range slices.Sorted(maps.Keys(r.pages[r.locales.names[0]])) {
		if ownLogin(name) {
			all = append(all, loginSamples(path.Base(name), some)...) // it may be for fields that nothing asks in this server
		}
	}
	for _, login := range logins {
		fields := login.Fields
		if len(fields) == 0 {
			fields = some
		}
		all = append(all, loginSamples(login.Template, fields, names(fields)...)...)
	}
	return all
}

func names(fields []Field) (all []string) {
	for _, f := range fields {
		all = append(all, f.Name)
	}
	return all
}

// webLink is link for what only a web page may be: an http or https URI.
func webLink(raw string) template.URL {
	if u, err := url.Parse(raw); err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return link(raw)
}
