// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/web"
)

func TestLocale(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	tests := []struct {
		name, ui, accept, want string
	}{
		{name: "nothing", want: "en"},
		{name: "ui_locales", ui: "nl", want: "nl"},
		{name: "ui_locales before the header", ui: "nl", accept: "en", want: "nl"},
		{name: "English ui_locales before the header", ui: "en", accept: "nl", want: "en"},
		{name: "region", ui: "nl-BE", want: "nl"},
		{name: "case", ui: "NL", want: "nl"},
		{name: "list", ui: "fr-CA fr nl", want: "nl"},
		{name: "order of the list", ui: "en-GB nl", want: "en"},
		{name: "several spaces", ui: "  de \t nl ", want: "nl"},
		{name: "broken tag among good ones", ui: "!! nl", want: "nl"},
		{name: "unknown ui_locales leave it to the header", ui: "de ja", accept: "nl", want: "nl"},
		{name: "broken ui_locales leave it to the header", ui: "'; drop", accept: "nl", want: "nl"},
		{name: "oversized ui_locales leave it to the header", ui: strings.Repeat("en ", 100), accept: "nl", want: "nl"},
		{name: "many tags", ui: strings.Repeat("x-", 100) + "y nl", want: "nl"},
		{name: "header", accept: "nl-NL,nl;q=0.9,en;q=0.8", want: "nl"},
		{name: "weights", accept: "en;q=0.5, nl;q=0.8", want: "nl"},
		{name: "weight zero", accept: "nl;q=0, en;q=0.1", want: "en"},
		{name: "unknown first", accept: "de, fr, nl;q=0.2", want: "nl"},
		{name: "only unknown", accept: "de, fr", want: "en"},
		{name: "wildcard", accept: "*", want: "en"},
		{name: "broken header", accept: "nl;;q=x,,", want: "en"},
		{name: "oversized header", accept: strings.Repeat("nl,", 300), want: "en"},
		{name: "close relative", accept: "fy", want: "nl"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := r.Locale(tt.ui, tt.accept); got != tt.want {
				t.Errorf("Locale(%q, %q) = %q, want %q", tt.ui, tt.accept, got, tt.want)
			}
		})
	}
}

func FuzzLocale(f *testing.F) {
	for _, seed := range []struct{ ui, accept string }{
		{"nl", "en"}, {"nl-BE en", "*;q=0"}, {"", "nl;q=0.5,en;q=0.4"}, {"x-a-b", ",,,"}, {"en-u-rg-nlzzzz", "a-DE"},
		{strings.Repeat("a-", 120), strings.Repeat("_", 400)}, {"\x00", "\xff;q=1"},
	} {
		f.Add(seed.ui, seed.accept)
	}
	r := newRenderer(f, web.Config{})
	f.Fuzz(func(t *testing.T, ui, accept string) {
		got := r.Locale(ui, accept)
		if !slices.Contains(r.Locales(), got) {
			t.Fatalf("Locale(%q, %q) = %q", ui, accept, got)
		}
		if again := r.Locale(got, accept); again != got {
			t.Errorf("Locale(%q, %q) = %q", got, accept, again)
		}
		// What the header says only counts when ui_locales says nothing.
		if alone := r.Locale(ui, ""); alone != "en" && alone != got {
			t.Errorf("Locale(%q, %q) = %q, without the header %q", ui, accept, got, alone)
		}
	})
}

func TestRenderSpeaksTheReadersLanguage(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	tests := []struct {
		name, locale, accept, want string
	}{
		{name: "default", want: "en"},
		{name: "header", accept: "nl", want: "nl"},
		{name: "ui_locales", locale: "de nl-BE", accept: "en", want: "nl"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := httptest.NewRecorder()
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			req.Header.Set("Accept-Language", tt.accept)
			// A page that is refused still speaks the reader's language.
			for _, page := range []web.Page{web.ErrorPage{Locale: tt.locale}, web.LoginPage{Locale: tt.locale}} {
				rec.Body.Reset()
				r.Render(rec, req, http.StatusOK, page)
				if got := rec.Header().Get("Content-Language"); got != tt.want {
					t.Errorf("%T: Content-Language %q, want %q", page, got, tt.want)
				}
				if got := attr(find(parse(t, rec.Body.String()), "html")[0], "lang"); got != tt.want {
					t.Errorf("%T: lang %q, want %q", page, got, tt.want)
				}
			}
		})
	}
}

func TestScopeText(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	tests := []struct {
		name, locale, scope, want string
	}{
		{name: "openid", locale: "en", scope: "openid", want: "Know who you are"},
		{name: "openid in Dutch", locale: "nl", scope: "openid", want: "Te weten wie je bent"},
		{name: "ui_locales", locale: "de nl-BE", scope: "email", want: "Je e-mailadres te zien"},
		{name: "unknown locale", locale: "de", scope: "profile", want: "See your name and profile"},
		{name: "offline_access", scope: "offline_access", want: "Keep this access while you are away"},
		{name: "unknown scope", locale: "en", scope: "payments:write"},
		{name: "a key is no scope", locale: "en", scope: "login.title"},
		{name: "empty", locale: "en"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := r.ScopeText(tt.locale, tt.scope); got != tt.want {
				t.Errorf("ScopeText(%q, %q) = %q, want %q", tt.locale, tt.scope, got, tt.want)
			}
		})
	}
}

func TestLocalesBelongToTheCaller(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	if diff := cmp.Diff([]string{"en", "nl"}, r.Locales()); diff != "" {
		t.Fatal(diff)
	}
	r.Locales()[1] = "xx"
	if r.Locale("xx", "") != "en" || r.Locale("nl", "") != "nl" {
		t.Error("the list is shared")
	}
}

func catalogues(t *testing.T) map[string]map[string]string {
	t.Helper()
	files, err := filepath.Glob("locales/*.json")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d catalogues, %v", len(files), err)
	}
	out := map[string]map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var texts map[string]string
		if err := json.Unmarshal(data, &texts); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if n := strings.Count(string(data), "\": \""); n != len(texts) {
			t.Errorf("%s: %d lines, %d keys: a key is there twice", file, n, len(texts))
		}
		out[file] = texts
	}
	return out
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

func TestCataloguesSayTheSameThings(t *testing.T) {
	t.Parallel()
	all := catalogues(t)
	english := all["locales/en.json"]
	for file, texts := range all {
		if diff := cmp.Diff(slices.Sorted(maps.Keys(english)), slices.Sorted(maps.Keys(texts))); diff != "" {
			t.Errorf("%s: keys (-en +it):\n%s", file, diff)
		}
		for key, text := range texts {
			want := slices.Sorted(slices.Values(placeholder.FindAllString(english[key], -1)))
			got := slices.Sorted(slices.Values(placeholder.FindAllString(text, -1)))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: placeholders of %s (-en +it):\n%s", file, key, diff)
			}
			if strings.TrimSpace(text) != text || text == "" || strings.Contains(text, "<") {
				t.Errorf("%s: text of %s is %q", file, key, text)
			}
		}
		if n := len(strings.Fields(texts["date.months"])); n != 12 {
			t.Errorf("%s: %d months", file, n)
		}
	}
}

func TestEveryKeyIsUsed(t *testing.T) {
	t.Parallel()
	used := usedStrings(t)
	for key := range catalogues(t)["locales/en.json"] {
		parent := key[:strings.LastIndex(key, ".")]
		isPart := used[parent] && slices.Contains([]string{"title", "text", "next"}, strings.TrimPrefix(key, parent+".")) ||
			used["oneof "+parent]
		if !used[key] && !isPart {
			t.Errorf("key %s is not used", key)
		}
	}
}

var (
	quoted = regexp.MustCompile(`"([a-z_.]+)"`)
	// words are the families of keys from which a template takes the one of a word.
	words = regexp.MustCompile(`oneof "([a-z_.]+)"`)
)

// usedStrings is every string literal of the package's Go files and templates.
func usedStrings(t *testing.T) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	err := fs.WalkDir(os.DirFS("templates"), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join("templates", name))
		for _, match := range quoted.FindAllStringSubmatch(string(data), -1) {
			used[match[1]] = true
		}
		for _, match := range words.FindAllStringSubmatch(string(data), -1) {
			used["oneof "+match[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil {
					used[s] = true
				}
			}
			return true
		})
	}
	return used
}
