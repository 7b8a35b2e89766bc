// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/caddymodule/secret"
	"github.com/gatehouse-id/gatehouse/caddymodule/trust"
	"github.com/gatehouse-id/gatehouse/internal/callout"
)

// backend is how a back end is called: what the options of those guests have in common that call one.
type backend struct {
	url     string
	header  map[string]string
	caFile  string
	keys    *KeyPair // nil shows no certificate
	timeout caddy.Duration
}

// resolve returns the back end as it is called, with what is known only where the server runs.
func (b backend) resolve(logger *slog.Logger) (c callout.Config, err error) {
	if b.url, err = caddy.NewReplacer().ReplaceOrErr(b.url, true, true); err != nil {
		return c, fmt.Errorf("address: %w", err)
	}
	resolved := map[string]string{}
	for name, value := range b.header {
		if resolved[name], err = secret.Resolve(value, "header "+name, logger); err != nil {
			return c, fmt.Errorf("header %s: %w", name, err)
		}
	}
	b.header = resolved
	c = b.config()
	if c.Roots, err = trust.Pool(b.caFile); err != nil {
		return c, err
	}
	c.Certificates, err = b.keys.load()
	return c, err
}

// sketch returns the back end as far as its options tell before the server runs. An address that is not known yet stands for any.
func (b backend) sketch() callout.Config {
	if secret.Deferred(b.url) {
		b.url = "https://backend.example"
	}
	return b.config()
}

func (b backend) config() callout.Config {
	c := callout.Config{URL: b.url, Header: http.Header{}, Timeout: time.Duration(b.timeout)}
	for name, value := range b.header {
		c.Header.Set(name, value)
	}
	return c
}
