// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed templates static locales
var builtin embed.FS

// staticDir is where assets live under the base path.
const staticDir = "/static/"

// assetSources says which files make each asset, in order.
var assetSources = []struct {
	name, contentType string
	files             []string
}{
	{"app.css", "text/css; charset=utf-8", []string{"static/css/theme.css", "static/css/base.css"}},
	{"app.js", "text/javascript; charset=utf-8", []string{"static/js/app.js"}},
	{"submit.js", "text/javascript; charset=utf-8", []string{"static/js/submit.js"}},
	{"wait.js", "text/javascript; charset=utf-8", []string{"static/js/wait.js"}},
	{"confirm.js", "text/javascript; charset=utf-8", []string{"static/js/confirm.js"}},
	{"icon.svg", "image/svg+xml", []string{"static/img/icon.svg"}},
}

type asset struct {
	contentType   string
	body, zipped  []byte
	length, zlong string
}

// assets serves files under names that hold their hash, so that they never change and may be kept for ever.
type assets struct {
	prefix string            // base path and /static/
	hashed map[string]string // name to hashed name
	files  map[string]asset  // by hashed name
}

// loadAssets reads the built-in files and appends a theme's variables to the style sheet, where they win.
func loadAssets(base string, themeCSS []byte) (*assets, error) {
	a := &assets{prefix: base + staticDir, hashed: map[string]string{}, files: map[string]asset{}}
	for _, source := range assetSources {
		var body []byte
		for _, file := range source.files {
			data, err := fs.ReadFile(builtin, file)
			if err != nil {
				return nil, fmt.Errorf("reading asset: %w", err)
			}
			body = append(body, data...)
		}
		if source.name == "app.css" {
			body = append(body, themeCSS...)
		}
		if err := a.add(source.name, source.contentType, body); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *assets) add(name, contentType string, body []byte) error {
	var zipped bytes.Buffer
	z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return fmt.Errorf("compressing %s: %w", name, err)
	}
	if _, err := z.Write(body); err != nil {
		return fmt.Errorf("compressing %s: %w", name, err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("compressing %s: %w", name, err)
	}
	sum := sha256.Sum256(body)
	ext := path.Ext(name)
	hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:8]) + ext
	a.hashed[name] = hashed
	a.files[hashed] = asset{
		contentType: contentType,
		body:        body, length: strconv.Itoa(len(body)),
		zipped: zipped.Bytes(), zlong: strconv.Itoa(zipped.Len()),
	}
	return nil
}

// url is the template function that names an asset.
func (a *assets) url(name string) (string, error) {
	hashed, ok := a.hashed[name]
	if !ok {
		return "", fmt.Errorf("looking up asset %q: no such file", name)
	}
	return a.prefix + hashed, nil
}

// ServeHTTP answers GET and HEAD for the exact hashed names and nothing else.
func (a *assets) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	name, ok := strings.CutPrefix(req.URL.Path, a.prefix)
	file, known := a.files[name]
	if !ok || !known {
		// A page of a newer or older release may ask for a name that is not ours. Nobody should remember this answer.
		h.Set("Cache-Control", "no-store")
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", file.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	// An SVG opened by itself is a document; it gets no powers.
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Vary", "Accept-Encoding")
	body, length := file.body, file.length
	if acceptsGzip(req.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		body, length = file.zipped, file.zlong
	}
	h.Set("Content-Length", length)
	w.WriteHeader(http.StatusOK)
	if req.Method == http.MethodGet {
		_, _ = w.Write(body) // The reader went away: there is nobody to tell.
	}
}

// acceptsGzip wants the coding named without a weight. Whoever weighs codings gets the plain file.
func acceptsGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		if strings.TrimSpace(coding) == "gzip" {
			return true
		}
	}
	return false
}
