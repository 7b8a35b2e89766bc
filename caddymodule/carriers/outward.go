// SPDX-License-Identifier: Apache-2.0

package carriers

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/trust"
)

// Called is how a service of somebody else is called: the options that all guests of push and sms have.
type Called struct {
	// A file with the certificate authorities that may vouch for the service. Default: those of the system.
	CAFile string `json:"ca_file,omitempty"`
	// How long one request may take. Default: 5s.
	Timeout caddy.Duration `json:"time_out,omitempty"`
	// How many requests are under way at once. Default: 64.
	Places int `json:"places,omitempty"`

	close func() // what calls it lets go of connections; nil until it is provisioned
}

// Cleanup lets go of connections.
func (c *Called) Cleanup() error {
	if c.close != nil {
		c.close()
	}
	return nil
}

// options adds those of c to a guest's own.
func (c *Called) options(own map[string]option.Parse) map[string]option.Parse {
	own["ca_file"], own["time_out"] = option.String(&c.CAFile), option.Duration(&c.Timeout)
	own["places"] = option.Number(&c.Places)
	return own
}

// Proxied is how a service is called that a proxy may stand before.
type Proxied struct {
	// The proxy by which it is reached: http or https, usually {env.NAME}. Default: none, whatever the environment says.
	Proxy string `json:"proxy,omitempty"`
	Called
}

// options adds those of p to a guest's own.
func (p *Proxied) options(own map[string]option.Parse) map[string]option.Parse {
	own["proxy"] = option.String(&p.Proxy)
	return p.Called.options(own)
}

// Outward is how a service is reached that has an address of its own.
type Outward struct {
	// The address of the service, where it is not the provider's own.
	Endpoint string `json:"endpoint,omitempty"`
	Proxied
}

// options adds those of o to a guest's own.
func (o *Outward) options(own map[string]option.Parse) map[string]option.Parse {
	own["endpoint"] = option.String(&o.Endpoint)
	return o.Proxied.options(own)
}

// reached is an Outward as it is where the server runs.
type reached struct {
	endpoint string
	proxy    *url.URL
	roots    *x509.CertPool
	timeout  time.Duration
	places   int
}

func (o *Outward) resolve() (r reached, err error) {
	if r, err = o.Proxied.resolve(); err != nil {
		return r, err
	}
	r.endpoint, err = known(o.Endpoint, "endpoint")
	return r, err
}

func (p *Proxied) resolve() (r reached, err error) {
	if r, err = p.Called.resolve(); err != nil {
		return r, err
	}
	proxy, err := known(p.Proxy, "proxy")
	if err != nil || proxy == "" {
		return r, err
	}
	if r.proxy, err = url.Parse(proxy); err != nil {
		return r, errors.New("proxy: it is no address") // which may hold a password
	}
	return r, nil
}

func (c *Called) resolve() (r reached, err error) {
	r = reached{timeout: time.Duration(c.Timeout), places: c.Places}
	r.roots, err = trust.Pool(c.CAFile)
	return r, err
}

// known resolves the placeholders of an option. One that is not known is an error that names it.
func known(text, of string) (string, error) {
	text, err := caddy.NewReplacer().ReplaceOrErr(text, true, true)
	if err != nil {
		return "", fmt.Errorf("%s: %w", of, err)
	}
	return text, nil
}

// maxFile bounds a file with a credential, in bytes.
const maxFile = 64 << 10

// readFile reads a file with a credential. The error names the option and the path, and nothing that stands in the file.
func readFile(path, of string) ([]byte, error) {
	path, err := known(path, of)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", of, err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s: %s is no file of at most %d bytes", of, path, maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", of, err)
	}
	return data, nil
}

// read reads the block of a guest whose name has been read.
func read(d *caddyfile.Dispenser, b option.Block) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	return b.Parse(d)
}
