// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

// Certificate is a certificate of a device as the API shows one.
type Certificate struct {
	// ID is the SHA-256 of the certificate in base64url, and Installation the device that it is for.
	ID           string             `json:"id"`
	Serial       string             `json:"serial"`
	Installation string             `json:"installation"`
	Entity       string             `json:"entity"`
	Application  string             `json:"application"`
	Platform     string             `json:"platform"`
	AppVersion   string             `json:"app_version"`
	Model        string             `json:"model,omitempty"`
	OS           string             `json:"os,omitempty"`
	OSVersion    string             `json:"os_version,omitempty"`
	UserID       string             `json:"user_id,omitempty"`
	ClientID     string             `json:"client_id,omitempty"`
	Attributes   map[string]string  `json:"attributes"`
	Status       provisioning.State `json:"status"`
	// Grade says where the key was shown to be when the certificate was issued.
	Grade string `json:"grade"`

	IssuedAt   time.Time `json:"issued_at"`
	NotBefore  time.Time `json:"not_before"`
	NotAfter   time.Time `json:"not_after"`
	ReplacedAt time.Time `json:"replaced_at,omitzero"`
	RevokedAt  time.Time `json:"revoked_at,omitzero"`
}

// CertificatesOf shows certificates as they are at a moment.
func CertificatesOf(all []provisioning.Certificate, now time.Time) []Certificate {
	shown := []Certificate{}
	for i := range all {
		c := &all[i]
		one := Certificate{
			ID: c.ID, Serial: c.Serial, Installation: c.Installation, Entity: c.Entity().String(), Application: c.Application,
			Platform: c.Platform, AppVersion: c.Version, Model: c.Device.Model, OS: c.Device.OS, OSVersion: c.Device.OSVersion,
			Grade: cmp.Or(string(c.Attestation.Grade), string(attestation.Unknown)), UserID: c.UserID, ClientID: c.ClientID, Attributes: c.Attributes, Status: c.State(now),
			IssuedAt: c.IssuedAt, NotBefore: c.NotBefore, NotAfter: c.NotAfter, ReplacedAt: c.ReplacedAt, RevokedAt: c.RevokedAt,
		}
		if one.Attributes == nil {
			one.Attributes = map[string]string{}
		}
		shown = append(shown, one)
	}
	return shown
}
