// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"time"

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
	// most is how long the log of revocations may go unread; zero is for ever.
	most time.Duration
}

var _ interface {
	validation.Revocations
	validation.Explainer
	validation.Current
} = (*dead)(nil)

func (s *Server) dead() *dead {
	return &dead{s.config.View, s.config.Applications, s.config.MaxStaleness}
}

// ErrBlind is the log of revocations that could not be read for too long. Another node may have revoked anything.
var ErrBlind = errors.New("what was revoked has not been read for longer than max_staleness")

// Current reports whether the log was read not too long ago.
func (d *dead) Current(now time.Time) error {
	if d.most > 0 && d.view.Unread(now) > d.most {
		return ErrBlind
	}
	return nil
}

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
