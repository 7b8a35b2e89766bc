// SPDX-License-Identifier: Apache-2.0

package provision

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/deviceauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/status"
)

// StatusPath is where the server tells, below the issuer, what was revoked.
const StatusPath = "/provisioning/"

// statusOff has nothing told of it.
const statusOff = "off"

// How often an address may ask what has become of certificates: a proxy that does so for each of its connections is one address.
const statusBurst, statusEvery = 600, 20 * time.Millisecond

// Signer is implemented by authorities that sign by themselves. What they have signed with is kept, and tells others what was revoked.
type Signer interface{ Before(provisioning.Before) }

// tell builds what tells others, unless nobody is told.
func (s *Side) tell(issuers *status.Issuers) error {
	if s.config.Status == statusOff || s.config.Mode == string(deviceauth.None) {
		return nil
	}
	asked, err := limit.New(limit.Config{Burst: statusBurst, Every: statusEvery, Keys: limiterKeys, Now: s.parts.Now})
	if err != nil {
		return err
	}
	s.status, err = status.New(status.Config{
		Issuers: issuers, Certificates: s.store, Path: authz.BasePath(s.parts.Issuer) + StatusPath, Limit: asked,
		Now: s.parts.Now, Logger: s.parts.Logger,
	})
	return err
}

// Status returns what tells others what was revoked, for everything below [StatusPath] of the issuer; nil where nothing is told.
func (s *Side) Status() http.Handler {
	if s == nil || s.status == nil {
		return nil
	}
	return s.status
}

// checkStatus refuses an address that nobody could be sent to from a certificate.
func (c *Config) checkStatus() error {
	switch {
	case c.Status == "" || c.Status == statusOff:
		return nil
	case c.Mode == string(deviceauth.None):
		return errors.New("mode none issues no certificates: leave status out")
	}
	at, err := url.Parse(c.Status)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || at.User != nil || strings.ContainsAny(c.Status, "?# ") {
		return fmt.Errorf("status %q is neither off nor an http or https address without a query", c.Status)
	}
	return nil
}

// statusBase is where others ask what was revoked, as certificates have it.
func (c *Config) statusBase(issuer string) string {
	if c.Status == "" {
		return strings.TrimSuffix(issuer, "/") + StatusPath
	}
	return strings.TrimSuffix(c.Status, "/") + "/"
}
