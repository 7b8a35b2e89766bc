// SPDX-License-Identifier: Apache-2.0

package session

import (
	"log/slog"
	"net/http"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
)

// Complete ends an authorization with a code, as [authz.Store.Complete] does, and logs it. Where another grant had to give
// way, the gates are told.
func (m *Manager) Complete(r *http.Request, c authz.Completion, logger *slog.Logger) error {
	ended, err := m.store.Complete(r.Context(), c)
	m.apply(ended...)
	if err != nil {
		return err
	}
	caller := httpx.CallerOf(r.Context())
	attrs := []slog.Attr{
		slog.String("client_id", c.Grant.ClientID), slog.String("sub", c.Grant.Subject), slog.String("acr", c.Grant.Authn.ACR),
		slog.String("grant_id", c.Grant.ID), slog.String("client_ip", caller.ClientIP), slog.String("request_id", caller.RequestID),
	}
	for _, revocation := range ended {
		attrs = append(attrs, slog.String("ended_grant_id", revocation.Target))
	}
	logger.LogAttrs(r.Context(), slog.LevelInfo, "authorization granted", attrs...)
	return nil
}
