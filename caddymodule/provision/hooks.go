// SPDX-License-Identifier: Apache-2.0

package provision

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/deviceauth"
)

// warn names, each time, what is for development or lets everybody in. It comes before the modules are loaded: Caddy forgets then what
// the configuration said of them.
func (s *Side) warn() {
	switch {
	case s.config.Mode == string(deviceauth.None):
		s.parts.Logger.Warn("provisioning: mode is none: what a device says of itself is believed, which is for development alone")
	case s.config.Attestation.mode() == provisioning.AttestationRequired: // who gets one has shown something
	case s.config.Mode == string(deviceauth.Auto):
		s.parts.Logger.Warn("provisioning: mode is auto: every app that asks with a key of its own gets a certificate")
	case s.config.ValidateCSRRaw == nil:
		s.parts.Logger.Warn("provisioning: mode is custom without validate_csr: every app that asks with a key of its own gets a certificate")
	}
}

// hooks loads whom mode custom asks. A module may be asked one of the questions and not the other.
func (s *Side) hooks(ctx caddy.Context) (h provisioning.Hooks, err error) {
	if s.config.ValidateCSRRaw != nil {
		if h.Request, err = hook[provisioning.RequestValidator](ctx, s.config, "ValidateCSRRaw"); err != nil {
			return h, fmt.Errorf("loading validate_csr: %w", err)
		}
	}
	if s.config.ValidateCertificateRaw != nil {
		if h.Certificate, err = hook[provisioning.CertificateValidator](ctx, s.config, "ValidateCertificateRaw"); err != nil {
			return h, fmt.Errorf("loading validate_certificate: %w", err)
		}
	}
	return h, nil
}

func hook[T any](ctx caddy.Context, c *Config, field string) (T, error) {
	var none T
	module, err := ctx.LoadModule(c, field)
	if err != nil {
		return none, err
	}
	if asked, ok := module.(T); ok {
		return asked, nil
	}
	return none, fmt.Errorf("%T does not answer this question", module)
}
