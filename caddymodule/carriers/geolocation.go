// SPDX-License-Identifier: Apache-2.0

package carriers

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/secret"
	"github.com/gatehouse-id/gatehouse/caddymodule/trust"
	"github.com/gatehouse-id/gatehouse/internal/callout"
	"github.com/gatehouse-id/gatehouse/mobileauth/origin"
	"github.com/gatehouse-id/gatehouse/mobileauth/origin/locate"
	"github.com/gatehouse-id/gatehouse/mobileauth/origin/maxmind"
)

func init() {
	caddy.RegisterModule(MaxMind{})
	caddy.RegisterModule(LocationService{})
}

// MaxMind knows where addresses are from a file in MaxMind's format, such as GeoLite2-City. The file is used when it has changed.
type MaxMind struct {
	// The file. It is not part of Gatehouse.
	Path string `json:"path,omitempty"`
	// The language of the names of regions and cities. Default: en.
	Language string `json:"language,omitempty"`

	file *maxmind.File
}

// CaddyModule returns the Caddy module information.
func (MaxMind) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.geolocation.maxmind", New: func() caddy.Module { return new(MaxMind) }}
}

// Provision reads the file.
func (m *MaxMind) Provision(ctx caddy.Context) error {
	path, err := known(m.Path, "maxmind")
	if err != nil {
		return err
	}
	logger := ctx.Slogger()
	m.file, err = maxmind.Open(maxmind.Config{Path: path, Language: m.Language, Changed: changed(logger, path)})
	return err
}

// changed tells the operator what became of a new file.
func changed(logger *slog.Logger, path string) func(context.Context, error) {
	return func(ctx context.Context, err error) {
		if err != nil {
			logger.ErrorContext(ctx, "the location file cannot be used; the one from before stays in use", "file", path, "error", err)
			return
		}
		logger.InfoContext(ctx, "a new location file is in use", "file", path)
	}
}

// Locate looks an address up.
func (m *MaxMind) Locate(ctx context.Context, address netip.Addr) (origin.Place, error) {
	return m.file.Locate(ctx, address)
}

// Run looks for a new file.
func (m *MaxMind) Run(ctx context.Context) { m.file.Run(ctx) }

// UnmarshalCaddyfile reads: maxmind <path> [<language>]
func (m *MaxMind) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if err := option.String(&m.Path)(d); err != nil {
		return err
	}
	if d.NextArg() {
		m.Language = d.Val()
	}
	return read(d, option.Block{})
}

// LocationService has a web service say where addresses are: it is asked by a POST of {"ip":"..."} and answers country_code, region
// and city.
type LocationService struct {
	// The service: https, or http on this host.
	URL string `json:"url,omitempty"`
	// The header fields that tell the service who is asking, usually with {env.NAME} or {file.PATH} in their values.
	Header map[string]string `json:"header,omitempty"`
	// How long one request may take; a question waits no longer than geolocation_time_out. Default: 5s.
	Timeout caddy.Duration `json:"time_out,omitempty"`
	// A file with the certificate authorities that may vouch for the service. Default: those of the system.
	CAFile string `json:"ca_file,omitempty"`

	service *locate.Service
}

// CaddyModule returns the Caddy module information.
func (LocationService) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.geolocation.http", New: func() caddy.Module { return new(LocationService) }}
}

// Provision builds the client. It connects to nothing.
func (m *LocationService) Provision(ctx caddy.Context) error {
	c := callout.Config{Header: http.Header{}, Timeout: time.Duration(m.Timeout)}
	var err error
	if c.URL, err = known(m.URL, "geolocation http"); err != nil {
		return err
	}
	for name, value := range m.Header {
		if value, err = secret.Resolve(value, "header "+name, ctx.Slogger()); err != nil {
			return fmt.Errorf("geolocation http: header %s: %w", name, err)
		}
		c.Header.Set(name, value)
	}
	if c.Roots, err = trust.Pool(m.CAFile); err != nil {
		return fmt.Errorf("geolocation http: %w", err)
	}
	m.service, err = locate.New(c)
	return err
}

// Locate asks the service.
func (m *LocationService) Locate(ctx context.Context, address netip.Addr) (origin.Place, error) {
	return m.service.Locate(ctx, address)
}

// Cleanup lets go of connections.
func (m *LocationService) Cleanup() error {
	if m.service != nil {
		m.service.Close()
	}
	return nil
}

// UnmarshalCaddyfile reads:
//
//	http <url> {
//		header   <name> <value>
//		time_out <duration>
//		ca_file  <path>
//	}
func (m *LocationService) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if err := option.String(&m.URL)(d); err != nil {
		return err
	}
	return read(d, option.Block{
		Options: map[string]option.Parse{
			"header": option.Pair(&m.Header), "time_out": option.Duration(&m.Timeout), "ca_file": option.String(&m.CAFile),
		},
		Repeat: []string{"header"},
	})
}

// Interface guards.
var (
	_ origin.Locator        = (*MaxMind)(nil)
	_ origin.Locator        = (*LocationService)(nil)
	_ caddy.Provisioner     = (*MaxMind)(nil)
	_ caddy.Provisioner     = (*LocationService)(nil)
	_ caddy.CleanerUpper    = (*LocationService)(nil)
	_ caddyfile.Unmarshaler = (*MaxMind)(nil)
	_ caddyfile.Unmarshaler = (*LocationService)(nil)
)
