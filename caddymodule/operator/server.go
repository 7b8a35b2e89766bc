// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/internal/audit"
)

// Health is what "GET /gatehouse/health" answers: status is "ok" or "degraded".
type Health struct {
	Status      string `json:"status"`
	Issuer      string `json:"issuer"`
	Store       string `json:"store"`
	Keys        string `json:"keys"`
	Revocations string `json:"revocations"`
	Apps        string `json:"apps"`
}

// Key is one signing key, without its private part.
type Key struct {
	KID         string    `json:"kid"`
	Algorithm   string    `json:"alg"`
	State       string    `json:"state"`
	CreatedAt   time.Time `json:"created_at"`
	ActivatedAt time.Time `json:"activated_at,omitzero"`
	RetiredAt   time.Time `json:"retired_at,omitzero"`
}

// RotateRequest is what "POST /gatehouse/keys/rotate" takes.
type RotateRequest struct {
	// Force rotates although the next key has been published for less than an hour, so that verifiers may not know it yet.
	Force bool `json:"force,omitempty"`
}

// Session is one browser session.
type Session struct {
	ID        string    `json:"id"`
	Subject   string    `json:"sub"`
	Name      string    `json:"name,omitempty"`
	Realms    []string  `json:"realms"`
	Clients   []string  `json:"clients,omitempty"`
	ClientIP  string    `json:"client_ip,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// TokenRequest is what "POST /gatehouse/tokens/inspect" takes.
type TokenRequest struct {
	Token string `json:"token"`
}

func health(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	h := Health{Status: "ok", Issuer: app.Issuer, Store: "ok", Keys: "ok", Revocations: "ok", Apps: "ok"}
	report := func(part *string, err error) {
		if err != nil {
			*part, h.Status = err.Error(), "degraded"
		}
	}
	report(&h.Store, app.Store().Healthy(r.Context()))
	_, err := app.Ring().Signer()
	report(&h.Keys, err)
	if app.View().Stale() {
		report(&h.Revocations, fmt.Errorf("the log of revocations has not been read for too long"))
	}
	if app.Apps().Stale() {
		report(&h.Apps, fmt.Errorf("which versions of apps are switched off has not been read for too long"))
	}
	if h.Status != "ok" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	return h, nil
}

func listKeys(app *caddymodule.App, _ http.ResponseWriter, _ *http.Request) (any, error) {
	keys := []Key{}
	for _, k := range app.Ring().List() {
		keys = append(keys, Key{
			KID: k.KID, Algorithm: string(k.Alg), State: string(k.State),
			CreatedAt: k.CreatedAt, ActivatedAt: k.ActivatedAt, RetiredAt: k.RetiredAt,
		})
	}
	return keys, nil
}

func rotateKeys(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	var in RotateRequest
	if err := body(w, r, &in); err != nil {
		return nil, err
	}
	err := audited(app, r, audit.Event{Name: "keys.rotate"}, app.Ring().Rotate(r.Context(), in.Force))
	if err != nil {
		return nil, err
	}
	return listKeys(app, w, r)
}

// revokeKey withdraws a signing key that has leaked: what it signed is refused from now on.
func revokeKey(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	kid := r.PathValue("kid")
	if err := audited(app, r, audit.Event{Name: "keys.revoke", Reason: kid}, app.Ring().Revoke(r.Context(), kid)); err != nil {
		return nil, err
	}
	return listKeys(app, nil, r)
}

func listSessions(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	sessions, err := sessions(app, r)
	list := []Session{}
	for _, s := range sessions {
		item := Session{
			ID: s.ID, Subject: s.Subject, Name: s.Name, Clients: s.Clients, ClientIP: s.ClientIP, UserAgent: s.UserAgent,
			CreatedAt: s.CreatedAt, SeenAt: s.SeenAt, ExpiresAt: s.ExpiresAt,
		}
		for name := range s.Proofs {
			item.Realms = append(item.Realms, name)
		}
		list = append(list, item)
	}
	return list, err
}

func sessions(app *caddymodule.App, r *http.Request) ([]authz.Session, error) {
	query := r.URL.Query()
	name := query.Get("user")
	if name == "" {
		most, err := limit(r)
		if err != nil {
			return nil, err
		}
		return app.Store().Sessions(r.Context(), query.Get("after"), most)
	}
	user, err := findUser(r.Context(), app, name)
	if err != nil {
		return nil, err
	}
	return app.Store().SessionsOf(r.Context(), user.ID)
}

func endSession(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	id := r.PathValue("session")
	session, err := app.Store().Session(r.Context(), id)
	if err != nil {
		return nil, fmt.Errorf("looking for the session %q: %w", id, err)
	}
	revocations, err := app.Store().EndSession(r.Context(), id)
	app.View().Apply(revocations...)
	if err := audited(app, r, audit.Event{Name: "session.end", Subject: session.Subject, SessionID: id}, err); err != nil {
		return nil, err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil, nil
}

func inspectToken(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	var in TokenRequest
	if err := body(w, r, &in); err != nil {
		return nil, err
	}
	return app.Server().Inspect(r.Context(), in.Token), nil
}
