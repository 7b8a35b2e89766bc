// SPDX-License-Identifier: Apache-2.0

package web

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// defaultLocale comes first in every list: the matcher falls back to it.
const defaultLocale = "en"

// Bounds on what a stranger can have parsed per request.
const (
	maxUILocales      = 256
	maxAcceptLanguage = 512
	maxTags           = 16
)

// catalogue is the text of one language by key.
type catalogue map[string]string

type locales struct {
	names   []string
	texts   map[string]catalogue
	matcher language.Matcher
}

// loadLocales reads every locales/*.json of fsys, the default language first.
func loadLocales(fsys fs.FS) (*locales, error) {
	files, err := fs.Glob(fsys, "locales/*.json")
	if err != nil {
		return nil, fmt.Errorf("listing locales: %w", err)
	}
	l := &locales{names: []string{defaultLocale}, texts: make(map[string]catalogue, len(files))}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".json")
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, fmt.Errorf("reading locale: %w", err)
		}
		var texts catalogue
		if err := json.Unmarshal(data, &texts); err != nil {
			return nil, fmt.Errorf("parsing %s: %w", file, err)
		}
		l.texts[name] = texts
		if name != defaultLocale {
			l.names = append(l.names, name)
		}
	}
	tags := make([]language.Tag, len(l.names))
	for i, name := range l.names {
		if tags[i], err = language.Parse(name); err != nil {
			return nil, fmt.Errorf("parsing locale name %q: %w", name, err)
		}
	}
	l.matcher = language.NewMatcher(tags)
	return l, nil
}

// match returns the language for a list of tags, best first, and whether any of them is one we have.
func (l *locales) match(tags []language.Tag) (string, bool) {
	if len(tags) == 0 {
		return defaultLocale, false
	}
	_, i, confidence := l.matcher.Match(tags[:min(len(tags), maxTags)]...)
	if confidence == language.No {
		return defaultLocale, false
	}
	return l.names[i], true
}

// Locale decides the language of a page: the first of ui_locales (OpenID Connect Core, section 3.1.2.1) that we have,
// else the best of an Accept-Language header, else English. Malformed or oversized input is ignored, never an error.
func (r *Renderer) Locale(uiLocales, acceptLanguage string) string {
	if slices.Contains(r.locales.names, uiLocales) {
		return uiLocales
	}
	if name, ok := r.locales.match(parseUILocales(uiLocales)); ok {
		return name
	}
	if acceptLanguage == "" || len(acceptLanguage) > maxAcceptLanguage {
		return defaultLocale
	}
	tags, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil {
		return defaultLocale
	}
	name, _ := r.locales.match(tags)
	return name
}

func parseUILocales(s string) []language.Tag {
	if s == "" || len(s) > maxUILocales {
		return nil
	}
	var tags []language.Tag
	for word := range strings.FieldsSeq(s) {
		if tag, err := language.Parse(word); err == nil {
			tags = append(tags, tag)
		}
	}
	return tags
}

// Locales lists the languages there are, the default first, for ui_locales_supported.
func (r *Renderer) Locales() []string { return slices.Clone(r.locales.names) }

// ScopeText says in the given language what a well-known scope allows. For any other scope it is empty: whoever
// defines a scope describes it. The locale may be a ui_locales list.
func (r *Renderer) ScopeText(locale, scope string) string {
	key, ok := scopeKeys[scope]
	if !ok {
		return ""
	}
	return r.locales.texts[r.Locale(locale, "")][key]
}

var scopeKeys = map[string]string{
	"openid":         "scope.openid",
	"profile":        "scope.profile",
	"email":          "scope.email",
	"phone":          "scope.phone",
	"address":        "scope.address",
	"offline_access": "scope.offline_access",
}
