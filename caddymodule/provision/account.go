// SPDX-License-Identifier: Apache-2.0

package provision

import (
	"context"
	"errors"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz/account"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/deviceauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/owned"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Records are the certificates, and whose they are.
type Records struct {
	*provisioning.Store
	*owned.Owned
}

// Backend returns the certificates as back ends see them; nil where the configuration has none.
func (s *Side) Backend() restapi.Certificates {
	if s == nil {
		return nil
	}
	return Records{s.store, s.owned}
}

// Account returns the certificates as the account page shows them; nil where nobody issues any.
func (s *Side) Account() account.Certificates {
	if s == nil || s.config.Mode == string(deviceauth.None) {
		return nil
	}
	return page{s}
}

// page is the certificates as the account page shows them.
type page struct{ side *Side }

// Of returns the latest certificate of each installation on which the user has logged in.
func (p page) Of(ctx context.Context, user string) ([]account.Certificate, error) {
	found, err := p.side.owned.Latest(ctx, user)
	if err != nil {
		return nil, err
	}
	var shown []account.Certificate
	for i := range found {
		c := &found[i]
		one := account.Certificate{
			ID: c.Installation, Entity: string(c.Kind), Group: c.Group, App: c.Application, Model: c.Device.Model,
			System: strings.TrimSpace(c.Device.OS + " " + c.Device.OSVersion), Status: string(c.State(p.side.parts.Now())),
			Issued: c.IssuedAt, Expires: c.NotAfter,
		}
		if !c.AuthorityRevoked {
			one.Revoked = c.RevokedAt
		}
		if c.Attestation.Grade.AtLeast(attestation.Software) {
			one.Grade = string(c.Attestation.Grade)
		}
		shown = append(shown, one)
	}
	return shown, nil
}

// Remove takes an installation of the user's out, and with it what rests on it.
func (p page) Remove(ctx context.Context, user, installation string) error {
	err := p.side.owned.Remove(ctx, user, installation)
	if errors.Is(err, storage.ErrNotFound) {
		return account.ErrGone
	}
	if err != nil {
		return err
	}
	return p.side.parts.Applied(ctx)
}
