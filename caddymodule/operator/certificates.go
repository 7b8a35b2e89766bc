// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/former"
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

// RevokedAuthority is what the revocation of an authority comes to, or would.
type RevokedAuthority struct {
	provisioning.AuthorityRecord
	// Fresh tells that it was not revoked before.
	Fresh bool `json:"fresh"`
	// Moved is how many devices have come with a certificate of it and are taken out with it, or would be. There are some where it is another
	// system's.
	Moved int `json:"moved,omitempty"`
}

// Count says what is taken away, and whether some of it was there until then.
func (r *RevokedAuthority) Count() (text string, some bool) {
	text = fmt.Sprintf("%d certificates of %s", r.Certificates, r.Subject)
	if r.Moved > 0 {
		text += fmt.Sprintf(", and %d devices that have come with one", r.Moved)
	}
	return text, r.Fresh || r.Moved > 0
}

// authorityID returns the id of an authority by what an operator calls it: the id itself, or the fingerprint, in hex with colons or
// without.
func authorityID(named string) string {
	raw, err := hex.DecodeString(strings.ReplaceAll(named, ":", ""))
	if err != nil || len(raw) != sha256.Size {
		return named
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// listAuthorities lists those who have issued certificates.
func listAuthorities(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	store, err := devices(app)
	if err != nil {
		return nil, err
	}
	list, err := store.Authorities(r.Context(), "")
	if list == nil {
		list = []provisioning.AuthorityRecord{}
	}
	return list, err
}

// findAuthority returns the one that a request names.
func findAuthority(store *provisioning.Store, r *http.Request) (provisioning.AuthorityRecord, error) {
	list, err := store.Authorities(r.Context(), authorityID(r.PathValue("authority")))
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("the authority %q has issued nothing: %w", r.PathValue("authority"), storage.ErrNotFound)
	}
	if err != nil {
		return provisioning.AuthorityRecord{}, err
	}
	return list[0], nil
}

// revokeAuthority takes everything away that an authority has issued, and the devices that have come with it from another system; with
// dry_run=true it only says what that would be.
func revokeAuthority(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	store, err := devices(app)
	if err != nil {
		return nil, err
	}
	found, err := findAuthority(store, r)
	answer := RevokedAuthority{AuthorityRecord: found, Fresh: found.RevokedAt.IsZero()}
	if err != nil {
		return answer, err
	}
	if dryRun(r) {
		moved, err := former.Moved(r.Context(), store, found.ID)
		answer.Moved = len(moved)
		return answer, err
	}
	answer.Fresh, err = store.RevokeAuthority(r.Context(), found.ID)
	if err == nil {
		answer.Moved, err = former.RevokeMoved(r.Context(), store, found.ID)
	}
	if err == nil {
		err = app.View().Refresh(r.Context())
	}
	return answer, audited(app, r, audit.Event{Name: "authorities.revoke", Object: "authority:" + found.ID}, err)
}
