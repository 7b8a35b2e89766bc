// SPDX-License-Identifier: Apache-2.0

package restapi

import (
	"context"
	"net/http"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/view"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
)

// Certificates are those of devices. A [provisioning.Store] knows them, and package owned whose they are.
type Certificates interface {
	List(ctx context.Context, installation, after string, limit int) ([]provisioning.Certificate, error)
	// Of lists those of the installations on which a user has logged in.
	Of(ctx context.Context, user, after string, limit int) ([]provisioning.Certificate, error)
	Revoke(ctx context.Context, installation string) (fresh bool, err error)
}

// certificates are the paths about them; none where nobody issues any.
func (a *API) certificates() map[string]resource {
	if a.config.Certificates == nil {
		return nil
	}
	return map[string]resource{
		"/certificates":                        {http.MethodGet: read(ScopeDevices, a.listCertificates)},
		"/installations/{installation}/revoke": {http.MethodPost: write(ScopeDevices, a.revokeInstallation)},
	}
}

// listCertificates lists all of them, or those of one installation, or of one user.
func (a *API) listCertificates(c *call) error {
	query, p, err := c.paged("installation", "user")
	if err != nil {
		return err
	}
	var found []provisioning.Certificate
	switch user, installation := query["user"], query["installation"]; {
	case user != "" && installation != "":
		return wire.New(wire.InvalidParameter, "").With("user", "does not go with installation")
	case user != "":
		found, err = a.config.Certificates.Of(c.r.Context(), user, p.After, p.Limit)
	default:
		found, err = a.config.Certificates.List(c.r.Context(), installation, p.After, p.Limit)
	}
	if err != nil {
		return err
	}
	return c.send(http.StatusOK, struct {
		Certificates []view.Certificate `json:"certificates"`
		Next         string             `json:"next,omitempty"`
	}{view.CertificatesOf(found, a.config.Now()), wire.Next(p, found, func(c *provisioning.Certificate) string { return c.ID })})
}

// revokeInstallation takes all certificates of an installation away. To say it again does no harm.
func (a *API) revokeInstallation(c *call) error {
	if err := c.optionalBody(&struct{}{}); err != nil {
		return err
	}
	id := c.r.PathValue("installation")
	fresh, err := a.config.Certificates.Revoke(c.r.Context(), id)
	if err != nil {
		return err
	}
	if err := a.applied(c); err != nil {
		return err
	}
	return c.send(http.StatusOK, struct {
		Installation string `json:"installation"`
		Fresh        bool   `json:"fresh"`
	}{id, fresh})
}
