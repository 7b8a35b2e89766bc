// SPDX-License-Identifier: Apache-2.0

package carriers

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/trust"
)

// Outward is how a service of somebody else is reached: the options that all guests of push and sms have.
type Outward struct {
	// The address of the service, where it is not the provider's own.
	Endpoint string `json:"endpoint,omitempty"`
	// The proxy by which it is reached: http or https, usually {env.NAME}. Default: none, whatever the environment says.
	Proxy string `json:"proxy,omitempty"`
	// A file with the certificate authorities that may vouch for the service. Default: those of the system.
	CAFile string `json:"ca_file,omitempty"`
	// How long one request may take. Default: 5s.
	Timeout caddy.Duration `json:"time_out,omitempty"`
	// How many requests are under way at once. Default: 64.
	Places int `json:"places,omitempty"`
}

// options adds those of o to a guest's own.
func (o *Outward) options(own map[string]option.Parse) map[string]option.Parse {
	own["endpoint"], own["proxy"] = option.String(&o.Endpoint), option.String(&o.Proxy)
	own["ca_file"], own["time_out"] = option.String(&o.CAFile), option.Duration(&o.Timeout)
	own["places"] = option.Number(&o.Places)
	return own
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
	r = reached{timeout: time.Duration(o.Timeout), places: o.Places}
	if r.endpoint, err = known(o.Endpoint, "endpoint"); err != nil {
		return r, err
	}
	proxy, err := known(o.Proxy, "proxy")
	if err != nil {
		return r, err
	}
	if proxy != "" {
		if r.proxy, err = url.Parse(proxy); err != nil {
			return r, fmt.Errorf("proxy: it is no address") // which may hold a password
		}
	}
	r.roots, err = trust.Pool(o.CAFile)
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
