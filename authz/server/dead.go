// SPDX-License-Identifier: Apache-2.0

package server

import (
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/revocation"
	"github.com/gatehouse-id/gatehouse/validation"
)

// dead is the one judgement of whether a token is dead before its time: it was revoked, or belongs to a version of an app that is
// refused. The gates, introspection and userinfo ask it for every token, by way of their validators; refresh asks the same of the
// grant. A version that is let in again brings its tokens back, which nothing else does.
type dead struct {
	view *revocation.View
	apps realm.Applications
}

var _ interface {
	validation.Revocations
	validation.Explainer
} = (*dead)(nil)

func (s *Server) dead() *dead { return &dead{s.config.View, s.config.Applications} }

// Revoked reports whether a token is dead.
func (d *dead) Revoked(p *validation.Principal) bool {
	return d.view.Revoked(p) || (*realm.Application)(p.Application).Barred(d.apps)
}

// Cause returns why a dead token is.
func (d *dead) Cause(p *validation.Principal) error {
	if d.view.Revoked(p) {
		return validation.ErrRevoked
	}
	return validation.ErrVersion
}
