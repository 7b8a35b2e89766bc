// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/authz/intake"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// Recorder keeps the trail of decisions.
type Recorder interface {
	// Record stores an event. What it stands for does not happen when it returns an error.
	Record(ctx context.Context, e audit.Event) error
}

// Config describes a [Handler]. Store, Clients, ClientAuth, Intake, Sessions, Pages, Trail and Logger are required.
type Config struct {
	// Issuer is the iss of every answer.
	Issuer  string
	Store   *authz.Store
	Clients *authz.Clients
	// ClientAuth authenticates those that push their requests.
	ClientAuth *clientauth.Authenticator
	// Intake reads what is asked for.
	Intake   *intake.Reader
	Sessions *session.Manager
	Pages    *web.Renderer
	Trail    Recorder
	Logger   *slog.Logger
	// ScopeTexts say what the operator's own scopes allow, for the consent page.
	ScopeTexts map[string]string
}

// Handler is the authorization endpoint with its pages, and the endpoint for pushed requests. It keeps nothing in memory and is safe for concurrent use.
type Handler struct {
	Config
	base  string
	pages session.ErrorPages
}

// New returns a handler. It reads and writes nothing yet.
func New(c Config) (*Handler, error) {
	if c.Store == nil || c.Clients == nil || c.ClientAuth == nil || c.Intake == nil || c.Sessions == nil || c.Pages == nil ||
		c.Trail == nil || c.Logger == nil {
		return nil, errors.New("building the authorization endpoint: " +
			"store, clients, client authentication, intake, sessions, pages, trail and logger are required")
	}
	if err := oauth.CheckIssuer(c.Issuer); err != nil {
		return nil, err
	}
	return &Handler{
		Config: c, base: authz.BasePath(c.Issuer), pages: session.ErrorPages{Pages: c.Pages, Logger: c.Logger},
	}, nil
}

// Routes returns the handlers by their path below the issuer.
func (h *Handler) Routes() map[string]http.Handler {
	return map[string]http.Handler{
		authz.PathAuthorize: http.HandlerFunc(h.authorize),
		authz.PathConsent:   http.HandlerFunc(h.consent),
		authz.PathPushed:    http.HandlerFunc(h.push),
		authz.PathContinue:  http.HandlerFunc(h.handover),
	}
}
