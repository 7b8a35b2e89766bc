// SPDX-License-Identifier: Apache-2.0

package guide

import (
	"embed"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(Guide{})
	httpcaddyfile.RegisterHandlerDirective("demo_guide", parseGuide)
	httpcaddyfile.RegisterDirectiveOrder("demo_guide", httpcaddyfile.Before, "respond")
}

// Client is a client of the issuer's, as which the guide calls the API for back ends.
type Client struct {
	// ID is its id.
	ID string `json:"id"`
	// Secret is its secret. Placeholders are resolved when the configuration is loaded.
	Secret string `json:"secret"`
}

// Guide serves the guided page at /tour, and what it needs below that. Everything but the page, its style and its script has to stand
// behind protect with sessions: to a request that protect has not let pass it answers 401. Other paths it leaves to the next handler.
type Guide struct {
	// Issuer is the authorization server. Required.
	Issuer string `json:"issuer"`
	// Application is the app on the phone. Required.
	Application string `json:"application"`
	// BackEnd invites phones, and needs the scopes gatehouse:users, gatehouse:devices and gatehouse:operations. Required.
	BackEnd Client `json:"back_end"`
	// Auditor reads receipts, and needs the scope gatehouse:operations:all. Required.
	Auditor Client `json:"auditor"`

	mux  *http.ServeMux
	base http.RoundTripper
}

// CaddyModule returns the Caddy module information.
func (Guide) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.demo_guide", New: func() caddy.Module { return new(Guide) }}
}

// patience bounds a call of the API, in which nobody is waited for.
const patience = 15 * time.Second

// Provision resolves the secrets.
func (g *Guide) Provision(caddy.Context) error {
	replace := caddy.NewReplacer()
	for _, client := range []*Client{&g.BackEnd, &g.Auditor} {
		secret, err := replace.ReplaceOrErr(client.Secret, true, true)
		if err != nil {
			return err
		}
		client.Secret = secret
	}
	g.base = http.DefaultTransport
	g.mux = g.routes()
	return nil
}

// Validate refuses a guide that has not got everything.
func (g *Guide) Validate() error {
	for _, text := range []string{g.Issuer, g.Application, g.BackEnd.ID, g.BackEnd.Secret, g.Auditor.ID, g.Auditor.Secret} {
		if text == "" {
			return errors.New("demo_guide needs issuer, application, back_end and auditor, the last two with a secret")
		}
	}
	return nil
}

//go:embed page
var assets embed.FS

// policy lets the page load its own style and script and speak to its own site, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func (g *Guide) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for path, asset := range map[string]struct{ name, contentType string }{
		"/tour":           {"page/guide.html", "text/html; charset=utf-8"},
		"/tour/guide.css": {"page/guide.css", "text/css; charset=utf-8"},
		"/tour/guide.js":  {"page/guide.js", "text/javascript; charset=utf-8"},
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			header := w.Header()
			header.Set("Content-Type", asset.contentType)
			header.Set("Content-Security-Policy", policy)
			header.Set("X-Content-Type-Options", "nosniff")
			header.Set("Referrer-Policy", "no-referrer")
			header.Set("Cache-Control", "no-cache")
			http.ServeFileFS(w, r, assets, asset.name)
		})
	}
	// Where a login and a step-up end: the rules of these paths ask for them, and then the person is back on the page.
	for _, path := range []string{"/tour/login", "/vault/tour"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/tour", http.StatusSeeOther) })
	}
	mux.HandleFunc("GET /tour/phones", g.personal(g.phones))
	mux.HandleFunc("POST /tour/phones", g.personal(g.invite))
	mux.HandleFunc("POST /tour/phones/{operation}", g.personal(g.confirm))
	mux.HandleFunc("GET /tour/receipts/{operation}", g.personal(g.receipt))
	return mux
}

// ServeHTTP answers what belongs to the guide: all below its path, in any case and with any method, since the rules of the site let
// some of it pass without login.
func (g *Guide) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	path := strings.ToLower(r.URL.Path)
	if path != "/tour" && path != "/vault/tour" && !strings.HasPrefix(path, "/tour/") {
		return next.ServeHTTP(w, r)
	}
	g.mux.ServeHTTP(w, r)
	return nil
}

// parseGuide reads: demo_guide [<matcher>] { … }
func parseGuide(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	g := new(Guide)
	return g, g.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile reads:
//
//	demo_guide {
//		issuer      <url>
//		application <name>
//		back_end    <client> <secret>
//		auditor     <client> <secret>
//	}
func (g *Guide) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		var into []*string
		switch d.Val() {
		case "issuer":
			into = []*string{&g.Issuer}
		case "application":
			into = []*string{&g.Application}
		case "back_end":
			into = []*string{&g.BackEnd.ID, &g.BackEnd.Secret}
		case "auditor":
			into = []*string{&g.Auditor.ID, &g.Auditor.Secret}
		default:
			return d.Errf("demo_guide has no option %q", d.Val())
		}
		if *into[0] != "" {
			return d.Errf("%s stands twice", d.Val())
		}
		if !d.Args(into...) || d.NextArg() {
			return d.ArgErr()
		}
	}
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Guide)(nil)
	_ caddy.Validator             = (*Guide)(nil)
	_ caddyhttp.MiddlewareHandler = (*Guide)(nil)
	_ caddyfile.Unmarshaler       = (*Guide)(nil)
)
