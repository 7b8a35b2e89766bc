// SPDX-License-Identifier: Apache-2.0

package apps

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/mobileauth"
)

// The environments of Apple's push service.
const (
	production  = "production"
	development = "development"
)

// Push says how phones of one platform are notified.
type Push struct {
	// The push services, by the names of the options "push" of "mobile". A phone says which of them its address is for.
	Services []string `json:"services,omitempty"`
	// production or development: where Apple serves the build. Default: production.
	Environment string `json:"apns_environment,omitempty"`
	// What is different for some versions. Of those that match, the most specific one counts.
	Builds []Build `json:"versions,omitempty"`
}

// Build says how phones with some versions are notified.
type Build struct {
	// A version, the beginning of one with ".*", or "*".
	Version string `json:"version"`
	// The identifier of the app in these versions. Default: that of the platform.
	Identifier string `json:"identifier,omitempty"`
	// production or development. Default: that of the platform.
	Environment string `json:"apns_environment,omitempty"`
}

// Target is what a push service is told of an app.
type Target struct {
	// Identifier is the app's name on its platform, Sandbox whether that is a build for development.
	Identifier string
	Sandbox    bool
}

// Target returns what a push service is told of a version of an app on a platform. False says that the platform is not known, or
// that it is not notified by the service.
func (c *Config) Target(platform, version, service string) (Target, bool) {
	identifier, known := c.Platforms[platform]
	p := c.Push[platform]
	if !known || !slices.Contains(p.Services, service) {
		return Target{}, false
	}
	build, longest := Build{}, -1
	for _, b := range p.Builds {
		if n := specific(b.Version, version); mobileauth.Matches(b.Version, version) && n > longest {
			build, longest = b, n
		}
	}
	return Target{
		Identifier: cmp.Or(build.Identifier, identifier),
		Sandbox:    cmp.Or(build.Environment, p.Environment) == development,
	}, true
}

// specific orders patterns that match a version: an exact one comes before all others.
func specific(pattern, version string) int {
	if pattern == version {
		return mobileauth.MaxVersion + 1
	}
	return len(pattern)
}

// Services returns the push services that phones of any app are notified by.
func Services(configs []Config) (all []string) {
	for i := range configs {
		for _, p := range configs[i].Push {
			all = append(all, p.Services...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// checkPush finds what contradicts itself in how phones are notified.
func (c *Config) checkPush() error {
	for platform, p := range c.Push {
		for _, b := range append([]Build{{Version: "*", Environment: p.Environment}}, p.Builds...) {
			if err := mobileauth.CheckPattern(b.Version); err != nil {
				return fmt.Errorf("application %q: %s: %w", c.ID, platform, err)
			}
			if b.Environment != "" && b.Environment != production && b.Environment != development {
				return fmt.Errorf("application %q: %s: apns_environment is production or development, not %q", c.ID, platform, b.Environment)
			}
		}
	}
	return nil
}

// parsePush reads what may stand behind a platform:
//
//	{
//		push             <name...>
//		apns_environment production|development
//		version <version> {
//			identifier       <identifier>
//			apns_environment production|development
//		}
//	}
func (c *Config) parsePush(d *caddyfile.Dispenser, platform string) error {
	var p Push
	version := func(d *caddyfile.Dispenser) error {
		var b Build
		if err := option.String(&b.Version)(d); err != nil {
			return err
		}
		err := option.Block{Options: map[string]option.Parse{
			"identifier": option.String(&b.Identifier), "apns_environment": option.String(&b.Environment),
		}}.Parse(d)
		p.Builds = append(p.Builds, b)
		return err
	}
	err := option.Block{
		Options: map[string]option.Parse{
			"push": option.Strings(&p.Services), "apns_environment": option.String(&p.Environment), "version": version,
		},
		Repeat: []string{"version"},
	}.Parse(d)
	if err != nil || p.Services == nil && p.Environment == "" && p.Builds == nil {
		return err
	}
	if c.Push == nil {
		c.Push = map[string]Push{}
	}
	c.Push[platform] = p
	return nil
}
