// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxPooled keeps one large account page from staying in memory for ever.
const maxPooled = 64 << 10

var (
	errBase = errors.New("base path is not usable")
	errPage = errors.New("there is no such page")
)

// Config says how pages look and where they live. The zero value is usable.
type Config struct {
	// Theme is laid over the built-in templates and variables. Nil leaves them as they are.
	Theme fs.FS
	// Logins are the login pages of the theme's own that are going to be shown. One that the theme does not have is an error.
	Logins []OwnLogin
	// Base is the path of the issuer: "" or "/auth". Static files are under it.
	Base string
	// Service is the name at the top of every page. Default: Gatehouse.
	Service string
	// Logger hears of pages that could not be rendered. Default: nobody.
	Logger *slog.Logger
}

// Renderer writes pages and serves the files they need. It is safe for concurrent use.
type Renderer struct {
	service   string
	logger    *slog.Logger
	locales   *locales
	assets    *assets
	pages     map[string]map[string]*template.Template // by locale, by page
	lastWords map[string][]byte                        // by locale, the page for a page that did not render
	buffers   sync.Pool
}

// New parses all templates and renders every page in every language with sample data. Its error names the template.
func New(cfg Config) (*Renderer, error) {
	base, err := cleanBase(cfg.Base)
	if err != nil {
		return nil, err
	}
	files, css, err := readTemplates(cfg.Theme)
	if err != nil {
		return nil, err
	}
	if err := checkLogins(cfg.Logins, files); err != nil {
		return nil, err
	}
	r := &Renderer{service: cfg.Service, logger: cfg.Logger, pages: map[string]map[string]*template.Template{}}
	r.buffers.New = func() any { return new(bytes.Buffer) }
	if r.service == "" {
		r.service = "Gatehouse"
	}
	if r.logger == nil {
		r.logger = slog.New(slog.DiscardHandler)
	}
	if r.locales, err = loadLocales(builtin); err != nil {
		return nil, err
	}
	if r.assets, err = loadAssets(base, css); err != nil {
		return nil, err
	}
	for _, locale := range r.locales.names {
		funcs := templateFuncs(r.locales.texts[locale], r.assets)
		if r.pages[locale], err = parseTemplates(files, funcs); err != nil {
			return nil, err
		}
	}
	if err := r.rehearse(append(samples(), r.loginSamples(cfg.Logins)...)); err != nil {
		return nil, err
	}
	return r, nil
}

func cleanBase(base string) (string, error) {
	base = strings.TrimSuffix(base, "/")
	if base == "" {
		return "", nil
	}
	if !localPath(base) || strings.ContainsAny(base, "?#%\"'<>{}") {
		return "", fmt.Errorf("reading base path %q: %w", base, errBase)
	}
	return base, nil
}

// Static serves the style sheet, scripts and icon. It expects the whole path, [Renderer.StaticPath] included.
func (r *Renderer) Static() http.Handler { return r.assets }

// StaticPath is the path that everything served by [Renderer.Static] is under, with the base path and a slash at the
// end.
func (r *Renderer) StaticPath() string { return r.assets.prefix }

// Render sends page with status. A page that cannot be rendered, or that would post or lead to where no form should,
// is logged and answered with a plain error page and status 500.
func (r *Renderer) Render(w http.ResponseWriter, req *http.Request, status int, page Page) {
	var about meta
	if page != nil {
		about = page.meta()
	}
	buf, _ := r.buffers.Get().(*bytes.Buffer)
	defer r.release(buf)
	locale := r.Locale(about.locale, req.Header.Get("Accept-Language"))
	csp, err := r.execute(buf, locale, page)
	body := buf.Bytes()
	if err != nil {
		r.logger.ErrorContext(req.Context(), "rendering page", "error", err)
		status, about, csp, body = http.StatusInternalServerError, meta{}, policyHead+policyTail, r.lastWords[locale]
	}
	h := w.Header()
	secure(h, csp)
	if about.refers {
		h.Set("Referrer-Policy", "same-origin")
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", locale)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Add("Vary", "Accept-Language")
	if after := retryAfter(about.wait, status); after != "" {
		h.Set("Retry-After", after)
	}
	w.WriteHeader(status)
	if req.Method != http.MethodHead {
		_, _ = w.Write(body) // The reader went away: there is nobody to tell.
	}
}

// release empties the buffer before anybody else gets it: pages hold one-time values, such as an authorization
// response or a step's token.
func (r *Renderer) release(buf *bytes.Buffer) {
	if buf.Cap() > maxPooled {
		return
	}
	clear(buf.Bytes())
	buf.Reset()
	r.buffers.Put(buf)
}

// execute renders page into buf and returns the policy that goes with it.
func (r *Renderer) execute(buf *bytes.Buffer, locale string, page Page) (string, error) {
	if page == nil {
		return "", errPage
	}
	about := page.meta()
	name := about.template
	if err := page.check(); err != nil {
		return "", fmt.Errorf("rendering page %s: %w", name, err)
	}
	csp, err := policy(about.targets)
	if err != nil {
		return "", fmt.Errorf("rendering page %s: %w", name, err)
	}
	if about.watches {
		csp += policyWatch
	}
	data := view{Lang: locale, Service: r.service, Page: page}
	template, ok := r.pages[locale][name]
	if !ok {
		return "", fmt.Errorf("rendering %s: %w", fileOf(name), errPage)
	}
	if err := template.ExecuteTemplate(buf, layoutFile, data); err != nil {
		return "", fmt.Errorf("rendering %s in %s: %w", fileOf(name), locale, err)
	}
	return csp, nil
}

// retryAfter is the Retry-After header, for the statuses that have one (RFC 9110, section 10.2.3; RFC 6585, section 4).
func retryAfter(wait time.Duration, status int) string {
	limited := status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
	if !limited || wait <= 0 {
		return ""
	}
	return strconv.Itoa(waitSeconds(wait))
}
