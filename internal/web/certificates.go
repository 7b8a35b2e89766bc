// SPDX-License-Identifier: Apache-2.0

package web

import (
	"errors"
	"time"
)

// RemoveCertificateField is sent by [CertificatePage] with the ID of the device to remove.
const RemoveCertificateField = "remove_certificate"

// MessageCertificateRemoved confirms that a device lost its certificate, for [AccountPage].
const MessageCertificateRemoved = "certificates.removed"

// Certificate is that of an app on a device of a person.
type Certificate struct {
	// ID is that of the device.
	ID string
	// Entity is what its key stands for: application, group or device. Group is the name of the group.
	Entity, Group string
	// App is the application that has asked for it, and Model and System the device. Empty leaves them out.
	App, Model, System string
	// Status is valid, expired, revoked, authority_revoked or another word.
	Status string
	// Grade says where the key was shown to be: hardware, tee or software. Empty leaves it out.
	Grade string
	// URL is the page that asks whether to remove it, a path of this origin. Empty leaves the link out.
	URL string
	// The zero time is left out.
	Issued, Expires, Revoked time.Time
}

// AccountCertificates are what an account page shows of certificates.
type AccountCertificates struct{ Certificates []Certificate }

// CertificatePage asks whether to take a certificate away. Its form sends [RemoveCertificateField].
type CertificatePage struct {
	// Locale: see [LoginPage].
	Locale      string
	Certificate Certificate
	// BackURL is the account page.
	BackURL, Action string
	Hidden          []Field
}

func (p CertificatePage) meta() meta { return meta{template: "certificate", locale: p.Locale} }

func (p CertificatePage) check() error {
	return errors.Join(checkPath(p.Action), checkHidden(p.Hidden), checkPath(p.BackURL))
}

func (p *AccountCertificates) check() (err error) {
	if p == nil {
		return nil
	}
	for _, one := range p.Certificates {
		if one.URL != "" {
			err = errors.Join(err, checkPath(one.URL))
		}
	}
	return err
}

// certificateSamples fill every field of the pages about certificates.
func certificateSamples(at time.Time, hidden []Field) []sample {
	one := Certificate{
		ID: "ins_1", Entity: "group", Group: "Sample", App: "Sample", Model: "Sample", System: "Sample", Status: "valid", Grade: "tee",
		URL: "/sample", Issued: at, Expires: at, Revoked: at,
	}
	return []sample{
		{page: AccountPage{Action: "/sample", Certificates: &AccountCertificates{[]Certificate{one, {}}}}, shows: []string{"/sample"}},
		{page: AccountPage{Action: "/sample", Certificates: &AccountCertificates{}}},
		{
			page: CertificatePage{Certificate: one, BackURL: "/sample", Action: "/sample", Hidden: hidden}, action: "/sample",
			controls: []string{"sample_step", RemoveCertificateField + "=ins_1"},
		},
	}
}
