// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/web"
)

var assetPattern = regexp.MustCompile(`(?:href|src)="([^"]*/static/[^"]+)"`)

// assetPaths is every static file that the pages refer to.
func assetPaths(t *testing.T, r *web.Renderer) map[string]string {
	t.Helper()
	paths := map[string]string{}
	for _, s := range samples(r, "en") {
		for _, match := range assetPattern.FindAllStringSubmatch(render(t, r, http.StatusOK, s.page).Body.String(), -1) {
			name := match[1][strings.LastIndex(match[1], "/")+1:]
			first, _, _ := strings.Cut(name, ".")
			paths[first+name[strings.LastIndex(name, "."):]] = match[1]
		}
	}
	return paths
}

func get(t *testing.T, r *web.Renderer, method, path, accept string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	if accept != "" {
		req.Header.Set("Accept-Encoding", accept)
	}
	rec := httptest.NewRecorder()
	r.Static().ServeHTTP(rec, req)
	return rec
}

func TestStaticServesWhatPagesAskFor(t *testing.T) {
	t.Parallel()
	types := map[string]string{
		"app.css":   "text/css; charset=utf-8",
		"app.js":    "text/javascript; charset=utf-8",
		"submit.js": "text/javascript; charset=utf-8",
		"icon.svg":  "image/svg+xml",

		"confirm.js": "text/javascript; charset=utf-8",
	}
	for _, base := range []string{"", "/auth", "/a/b/"} {
		r := newRenderer(t, web.Config{Base: base})
		prefix := strings.TrimSuffix(base, "/") + "/static/"
		if r.StaticPath() != prefix {
			t.Errorf("StaticPath %q, want %q", r.StaticPath(), prefix)
		}
		paths := assetPaths(t, r)
		if len(paths) != len(types) {
			t.Fatalf("pages ask for %v", paths)
		}
		for name, path := range paths {
			rec := get(t, r, http.MethodGet, path, "")
			h := rec.Header()
			if rec.Code != http.StatusOK || !strings.HasPrefix(path, prefix) || !hashed.MatchString(path) {
				t.Errorf("%s: status %d", path, rec.Code)
			}
			if h.Get("Content-Type") != types[name] || h.Get("Cache-Control") != "public, max-age=31536000, immutable" {
				t.Errorf("%s: headers %v", path, h)
			}
			if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Vary") != "Accept-Encoding" || h.Get("Content-Encoding") != "" {
				t.Errorf("%s: headers %v", path, h)
			}
			if !strings.HasSuffix(h.Get("Content-Security-Policy"), "sandbox") {
				t.Errorf("%s: policy %q", path, h.Get("Content-Security-Policy"))
			}
			if h.Get("Content-Length") != strconv.Itoa(rec.Body.Len()) {
				t.Errorf("%s: Content-Length %s of %d", path, h.Get("Content-Length"), rec.Body.Len())
			}
			head := get(t, r, http.MethodHead, path, "")
			if head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("Content-Length") != h.Get("Content-Length") {
				t.Errorf("HEAD %s: status %d, %d bytes", path, head.Code, head.Body.Len())
			}
		}
	}
}

func TestStaticCompresses(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	path := assetPaths(t, r)["app.css"]
	plain := get(t, r, http.MethodGet, path, "").Body.String()
	tests := []struct {
		accept string
		zipped bool
	}{
		{accept: "gzip", zipped: true},
		{accept: "br, gzip , deflate", zipped: true},
		{accept: "gzip;q=0"},
		{accept: "xgzip"},
		{accept: "identity"},
		{accept: "*"},
	}
	for _, tt := range tests {
		t.Run(tt.accept, func(t *testing.T) {
			t.Parallel()
			rec := get(t, r, http.MethodGet, path, tt.accept)
			body, zipped := io.Reader(rec.Body), rec.Header().Get("Content-Encoding") == "gzip"
			if zipped != tt.zipped {
				t.Fatalf("compressed: %v, want %v", zipped, tt.zipped)
			}
			if zipped {
				z, err := gzip.NewReader(body)
				if err != nil {
					t.Fatal(err)
				}
				body = z
			}
			got, err := io.ReadAll(body)
			if err != nil || string(got) != plain {
				t.Errorf("body differs from the plain file (%v)", err)
			}
		})
	}
}

func TestStaticRefuses(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{Base: "/auth"})
	css := assetPaths(t, r)["app.css"]
	tests := []struct {
		name, method, path string
		want               int
	}{
		{name: "post", method: http.MethodPost, path: css, want: http.StatusMethodNotAllowed},
		{name: "delete", method: http.MethodDelete, path: css, want: http.StatusMethodNotAllowed},
		{name: "post to nothing", method: http.MethodPost, path: "/auth/static/x", want: http.StatusNotFound},
		{name: "plain name", method: http.MethodGet, path: "/auth/static/app.css", want: http.StatusNotFound},
		{name: "old hash", method: http.MethodGet, path: "/auth/static/app.0123456789abcdef.css", want: http.StatusNotFound},
		{name: "directory", method: http.MethodGet, path: "/auth/static/", want: http.StatusNotFound},
		{name: "outside the base path", method: http.MethodGet, path: strings.TrimPrefix(css, "/auth"), want: http.StatusNotFound},
		{name: "up", method: http.MethodGet, path: "/auth/static/../static/app.css", want: http.StatusNotFound},
		{name: "source file", method: http.MethodGet, path: "/auth/static/css/base.css", want: http.StatusNotFound},
		{name: "template", method: http.MethodGet, path: "/auth/static/layout.html", want: http.StatusNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := get(t, r, tt.method, tt.path, "")
			if rec.Code != tt.want {
				t.Fatalf("status %d, want %d", rec.Code, tt.want)
			}
			if strings.Contains(rec.Header().Get("Cache-Control"), "immutable") {
				t.Error("a refusal is kept for ever")
			}
			if (rec.Header().Get("Allow") == "GET, HEAD") != (tt.want == http.StatusMethodNotAllowed) {
				t.Errorf("Allow %q", rec.Header().Get("Allow"))
			}
		})
	}
}

func TestAssetsAreSmall(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	limits := map[string]int{"app.css": 12 << 10, "app.js": 3 << 10, "submit.js": 512, "confirm.js": 3 << 10, "icon.svg": 1 << 10}
	for name, path := range assetPaths(t, r) {
		if size := get(t, r, http.MethodGet, path, "").Body.Len(); size == 0 || size > limits[name] {
			t.Errorf("%s has %d bytes, limit %d", name, size, limits[name])
		}
	}
}

func TestStyleSheetLoadsNothing(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	css := get(t, r, http.MethodGet, assetPaths(t, r)["app.css"], "").Body.String()
	for _, word := range []string{"url(", "@import", "@font-face", "//"} {
		if strings.Contains(css, word) {
			t.Errorf("style sheet holds %q", word)
		}
	}
	for _, word := range []string{"prefers-color-scheme: dark", "prefers-reduced-motion", ":focus-visible"} {
		if !strings.Contains(css, word) {
			t.Errorf("style sheet does not hold %q", word)
		}
	}
}

func TestBasePath(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"auth", "//auth", "/a b", `/a\b`, "/a?b", "/a#b", "/a\"b", "/%2f", "https://a.example", "/{x}"} {
		if _, err := web.New(web.Config{Base: base}); err == nil {
			t.Errorf("base %q is accepted", base)
		}
	}
}
