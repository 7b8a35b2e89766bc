// SPDX-License-Identifier: Apache-2.0

package channels

import (
	"context"
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/caddymodule/development"
	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	"github.com/gatehouse-id/gatehouse/mobileauth/origin"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

// Guests are what the configuration's guests are good for.
type Guests struct {
	// Push are the push services by name.
	Push map[string]push.Sender
	// SMS are the gateways in their order.
	SMS []delivery.Gateway
	// Locator knows where addresses are. It may be nil.
	Locator origin.Locator
}

// runner is a guest that has something to do while the server runs.
type runner interface{ Run(ctx context.Context) }

// Load provisions the guests. It connects to nothing, and starts nothing. A gateway that is for development is refused where that
// is not on.
func (c *Config) Load(ctx caddy.Context, develops bool) (*Guests, error) {
	g := &Guests{Push: make(map[string]push.Sender, len(c.Push))}
	for i := range c.Push {
		s := &c.Push[i]
		sender, err := load[push.Sender](ctx, s, "SenderRaw", "no push service")
		if err != nil {
			return nil, fmt.Errorf("push %q: %w", s.Name, err)
		}
		g.Push[s.Name] = sender
	}
	for i := range c.SMS {
		s := &c.SMS[i]
		sender, err := load[sms.Sender](ctx, s, "SenderRaw", "no gateway")
		if err == nil {
			err = admit(sender, develops)
		}
		if err != nil {
			return nil, fmt.Errorf("sms %q: %w", s.Name, err)
		}
		g.SMS = append(g.SMS, delivery.Gateway{Name: s.Name, Sender: sender})
	}
	if c.GeolocationRaw == nil {
		return g, nil
	}
	var err error
	if g.Locator, err = load[origin.Locator](ctx, c, "GeolocationRaw", "nothing that knows places"); err != nil {
		return nil, fmt.Errorf("geolocation: %w", err)
	}
	return g, nil
}

// load provisions the guest of a field, which has to be of a kind.
func load[T any](ctx caddy.Context, of any, field, otherwise string) (guest T, err error) {
	module, err := ctx.LoadModule(of, field)
	if err != nil {
		return guest, err
	}
	guest, ok := module.(T)
	if !ok {
		return guest, fmt.Errorf("%T is %s", module, otherwise)
	}
	return guest, nil
}

// admit refuses a guest that is for development where development is not on.
func admit(guest any, develops bool) error {
	if g, ok := guest.(development.Only); ok && !develops {
		return fmt.Errorf("%s: it works only with \"development on\", which is not for production", g.DevelopmentOnly())
	}
	return nil
}

// Runners are the guests that have something to do until their context ends.
func (g *Guests) Runners() (all []func(context.Context)) {
	if r, ok := g.Locator.(runner); ok {
		all = append(all, r.Run)
	}
	for _, s := range g.Push {
		if r, ok := s.(runner); ok {
			all = append(all, r.Run)
		}
	}
	for _, s := range g.SMS {
		if r, ok := s.Sender.(runner); ok {
			all = append(all, r.Run)
		}
	}
	return all
}
