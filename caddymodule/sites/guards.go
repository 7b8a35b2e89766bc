// SPDX-License-Identifier: Apache-2.0

package sites

import (
	"maps"
	"net/http"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/caddymodule/mutualtls"
	"github.com/gatehouse-id/gatehouse/internal/clientcert"
)

// Guard is a handler that keeps what clients say about themselves from upstreams.
type Guard interface {
	Member
	// StandAlone gives the guard a list of its own, where it stands in none that was read.
	StandAlone()
	// AddHeaders adds the header fields in which it tells the upstream who is asking, by the claim they carry.
	AddHeaders(into map[string]string)
}

// Guards are those of one configuration. They enter while it is provisioned, one after the other; what they say together is known
// once it was read, before a request is answered, and from then on Guards are safe for concurrent use.
type Guards struct {
	entered  []Guard
	foreseen bool
	strip    *site.Headers
	strange  *site.Headers // what is stripped of a request that comes from no proxy of the operator's
	served   atomic.Pointer[Served]
}

// Enter adds a guard that is provisioned.
func (g *Guards) Enter(guard Guard) { g.entered = append(g.entered, guard) }

// Foresee refuses a configuration in which a login can begin and not end, before anything starts. It wraps [ErrUnreachable].
func (g *Guards) Foresee(ctx caddy.Context) error {
	for _, module := range ctx.Modules() {
		if app, ok := module.(*caddyhttp.App); ok && !g.foreseen {
			g.foreseen = true
			return Foresee(app)
		}
	}
	return nil
}

// Read collects what the HTTP app serves, nil for none. All apps are provisioned by the time one of them starts.
func (g *Guards) Read(app *caddyhttp.App) error {
	served, err := Read(app)
	if err != nil {
		return err
	}
	headers := map[string]string{}
	for _, guard := range g.entered {
		guard.StandAlone()
		guard.AddHeaders(headers)
	}
	g.strip, g.strange = site.NewHeaders(headers), strange(headers)
	g.served.Store(served)
	return nil
}

// Allowed reports whether an origin is a site where browsers log in; none is before the sites were read. A loopback host is one
// in development only.
func (g *Guards) Allowed(origin string, development bool) bool {
	served := g.served.Load()
	return served != nil && served.Has(origin, development)
}

// strange returns the headers that are stripped of strangers: identities, and certificates of clients, which a proxy passes on (RFC 9440 4)
// and nobody else.
func strange(identities map[string]string) *site.Headers {
	all := maps.Clone(identities)
	all[clientcert.Field], all[clientcert.Chain] = "", ""
	return site.NewHeaders(all)
}

// Clean removes the identity headers that a client sent, wherever they stand.
func (g *Guards) Clean(r *http.Request) {
	strip := g.strange
	if mutualtls.Proxied(r) {
		strip = g.strip
	}
	if strip == nil { // nothing is loaded: what every site strips
		strip = strange(map[string]string{})
	}
	strip.Clean(r)
}
