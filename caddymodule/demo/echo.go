// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(Echo{})
	httpcaddyfile.RegisterHandlerDirective("demo_echo", parseEcho)
	httpcaddyfile.RegisterDirectiveOrder("demo_echo", httpcaddyfile.Before, "respond")
}

// Echo answers every request with what it was told about the caller: as a page to a browser, as JSON to everybody else. It
// is for demonstrations and keeps no secrets.
type Echo struct{}

// CaddyModule returns the Caddy module information.
func (Echo) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.demo_echo", New: func() caddy.Module { return new(Echo) }}
}

// seen is what the upstream knows.
type seen struct {
	Method string            `json:"method"`
	Path   string            `json:"path"`
	Caller map[string]string `json:"caller"`
}

// ServeHTTP answers.
func (Echo) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	s := seen{Method: r.Method, Path: r.URL.RequestURI(), Caller: map[string]string{}}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "Gatehouse-") {
			s.Caller[name] = strings.Join(values, ", ")
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Vary", "Accept")
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(s)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self' http: https:; frame-ancestors 'none'")
	return page.Execute(w, s.rows())
}

type row struct{ Name, Value string }

type view struct {
	seen
	Rows []row
}

func (s seen) rows() view {
	v := view{seen: s}
	for name, value := range s.Caller {
		v.Rows = append(v.Rows, row{name, value})
	}
	slices.SortFunc(v.Rows, func(a, b row) int { return strings.Compare(a.Name, b.Name) })
	return v
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Demo upstream</title>
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .5rem .75rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { white-space: nowrap; font-weight: 600; }
code { background: var(--soft); padding: .1rem .35rem; border-radius: .3rem; overflow-wrap: anywhere; }
button { font: inherit; padding: .5rem 1rem; border-radius: .5rem; border: 1px solid var(--line); cursor: pointer; margin-top: 1.5rem; }
</style>
<h1>Hello{{with index .Caller "Gatehouse-Name"}}, {{.}}{{end}}</h1>
<p>This page is served by an upstream that knows nothing of OAuth. You asked for <code>{{.Method}} {{.Path}}</code>, and
the gate told it:</p>
<table>
{{range .Rows}}<tr><th scope="row">{{.Name}}<td>{{.Value}}
{{else}}<tr><td>nothing: nobody is logged in
{{end}}</table>
{{with .Rows}}<form method="post" action="/_gatehouse/logout"><button>Log out</button></form>{{end}}
</html>
`))

// parseEcho reads: demo_echo [<matcher>]
func parseEcho(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	e := new(Echo)
	return e, e.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile reads: demo_echo
func (e *Echo) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// Interface guards.
var (
	_ caddyhttp.MiddlewareHandler = (*Echo)(nil)
	_ caddyfile.Unmarshaler       = (*Echo)(nil)
)
