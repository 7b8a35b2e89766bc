// SPDX-License-Identifier: Apache-2.0

package account

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// pathCertificate is the page about a certificate, below the issuer, and fieldCertificate the parameter of its address.
const (
	pathCertificate  = authz.PathAccount + "/certificate"
	fieldCertificate = "id"
)

// statusRevoked is the status of a certificate that was taken away: there is nothing more to do about it.
const statusRevoked = "revoked"

// Certificates knows the certificates of the devices on which users have logged in. What belongs to another user is [ErrGone], like what
// never was. Who acts stands in the context, as package audit has it.
type Certificates interface {
	// Of returns the latest certificate of each device of a user.
	Of(ctx context.Context, user string) ([]Certificate, error)
	// Remove takes all certificates of a device away, and what rests on them.
	Remove(ctx context.Context, user, device string) error
}

// Certificate is what a device of a user is known by.
type Certificate struct {
	// ID is that of the device.
	ID string
	// Entity is what its key stands for: application, group or device. Group is the name of the group.
	Entity, Group string
	// App is the application that has asked for it; Model and System are what it has said of the device.
	App, Model, System string
	// Status is a word of the store's.
	Status string
	// Grade says where the key was shown to be; empty where it was not.
	Grade                    string
	Issued, Expires, Revoked time.Time
}

// certificates are what the account page shows, nothing where nobody issues any.
func (h *Handler) certificates(ctx context.Context, v *visit) (*web.AccountCertificates, error) {
	if h.Certificates == nil {
		return nil, nil
	}
	owned, err := h.Certificates.Of(ctx, v.session.Subject)
	if err != nil {
		return nil, err
	}
	shown := new(web.AccountCertificates)
	for i := range owned {
		shown.Certificates = append(shown.Certificates, h.certificate(&owned[i]))
	}
	return shown, nil
}

func (h *Handler) certificate(c *Certificate) web.Certificate {
	shown := web.Certificate{
		ID: c.ID, Entity: c.Entity, Group: c.Group, App: c.App, Model: c.Model, System: c.System, Status: c.Status, Grade: c.Grade,
		Issued: c.Issued, Expires: c.Expires, Revoked: c.Revoked,
	}
	if c.Status != statusRevoked {
		shown.URL = h.address(pathCertificate, fieldCertificate, c.ID)
	}
	return shown
}

// showCertificate asks whether to remove a certificate.
func (h *Handler) showCertificate(w http.ResponseWriter, r *http.Request, v *visit, params oauth.Params) {
	owned, err := h.Certificates.Of(r.Context(), v.session.Subject)
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	i := slices.IndexFunc(owned, func(c Certificate) bool { return c.ID == params.Get(fieldCertificate) })
	if i < 0 || owned[i].Status == statusRevoked {
		h.done(w, doneGone, true)
		return
	}
	h.Pages.Render(w, r, http.StatusOK, web.CertificatePage{
		Certificate: h.certificate(&owned[i]), BackURL: h.base + authz.PathAccount, Action: h.base + pathCertificate, Hidden: v.hidden(),
	})
}

// changeCertificate removes a certificate.
func (h *Handler) changeCertificate(w http.ResponseWriter, r *http.Request, v *visit, params oauth.Params) {
	if err := h.Certificates.Remove(v.acting(r), v.session.Subject, params.Get(web.RemoveCertificateField)); err != nil {
		h.fail(w, r, err)
		return
	}
	h.done(w, doneCertificate, true)
}
