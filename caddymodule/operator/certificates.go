// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"fmt"
	"net/http"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Revoked is what a revocation comes to.
type Revoked struct {
	Device string `json:"device"`
	// Fresh tells that it was not revoked before.
	Fresh bool `json:"fresh"`
}

// devices returns the certificates, or an error that says what is missing.
func devices(app *caddymodule.App) (*provisioning.Store, error) {
	store := app.Devices()
	if store == nil {
		return nil, fmt.Errorf("the configuration has no provisioning block: %w", storage.ErrNotFound)
	}
	return store, nil
}

// listCertificates lists those of all devices, or with device=… of one.
func listCertificates(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	store, err := devices(app)
	if err != nil {
		return nil, err
	}
	most, err := limit(r)
	if err != nil {
		return nil, err
	}
	query := r.URL.Query()
	list, err := store.List(r.Context(), query.Get("device"), query.Get("after"), most)
	if list == nil {
		list = []provisioning.Certificate{}
	}
	return list, err
}

// revokeCertificates takes those of a device away, and its tokens and sessions with them.
func revokeCertificates(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	store, err := devices(app)
	if err != nil {
		return nil, err
	}
	answer := Revoked{Device: r.PathValue("device")}
	answer.Fresh, err = store.Revoke(r.Context(), answer.Device)
	if err == nil {
		err = app.View().Refresh(r.Context())
	}
	return answer, audited(app, r, audit.Event{Name: "certificates.revoke", DeviceID: answer.Device}, err)
}
