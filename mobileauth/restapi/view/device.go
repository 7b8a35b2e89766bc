// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
)

// Device is a device as the API shows one. It has no key but by its thumbprint, and no push address: whoever has that can send
// to the phone.
type Device struct {
	ID           string         `json:"id"`
	UserID       string         `json:"user_id"`
	Name         string         `json:"name,omitempty"`
	Application  string         `json:"application"`
	Platform     string         `json:"platform"`
	AppVersion   string         `json:"app_version,omitempty"`
	Model        string         `json:"model,omitempty"`
	OS           string         `json:"os,omitempty"`
	Status       handset.Status `json:"status"`
	StatusReason string         `json:"status_reason,omitempty"`
	// Handset tells the same phone across users.
	Handset     string      `json:"handset,omitempty"`
	SignKeyID   string      `json:"sign_key_id"`
	EncKeyID    string      `json:"enc_key_id"`
	Encryption  string      `json:"encryption"`
	Factors     []Factor    `json:"factors"`
	Failures    int         `json:"failures"`
	Push        *Push       `json:"push,omitempty"`
	Attestation Attestation `json:"attestation"`

	CreatedAt     time.Time `json:"created_at"`
	ActivatedAt   time.Time `json:"activated_at,omitzero"`
	LastSeenAt    time.Time `json:"last_seen_at,omitzero"`
	LockedAt      time.Time `json:"locked_at,omitzero"`
	DeactivatedAt time.Time `json:"deactivated_at,omitzero"`
}

// Factor is what a device has registered beside its key.
type Factor struct {
	Kind  string    `json:"kind"`
	SetAt time.Time `json:"set_at"`
}

// Push says that there is an address for notifications.
type Push struct {
	Service string    `json:"service"`
	SetAt   time.Time `json:"set_at"`
	DeadAt  time.Time `json:"dead_at,omitzero"`
}

// Attestation is what vouches for the device.
type Attestation struct {
	Format string            `json:"format,omitempty"`
	Result string            `json:"result"`
	Grade  attestation.Grade `json:"grade"`
	At     time.Time         `json:"at,omitzero"`
}

// DeviceOf shows a device.
func DeviceOf(d *handset.Device) Device {
	out := Device{
		ID: d.ID, UserID: d.UserID, Name: d.Name, Application: d.Application, Platform: d.Platform, AppVersion: d.AppVersion,
		Model: d.Model, OS: d.OS, Status: d.Status, StatusReason: d.StatusReason, Handset: d.Hash, SignKeyID: d.SignKeyID,
		EncKeyID: d.EncKeyID, Encryption: "jose", Factors: []Factor{}, Failures: d.Failures,
		Attestation: Attestation{d.Attestation.Format, d.Attestation.Result, d.Attestation.Grade, d.Attestation.At},
		CreatedAt:   d.CreatedAt, ActivatedAt: d.ActivatedAt, LastSeenAt: d.LastSeenAt, LockedAt: d.LockedAt,
		DeactivatedAt: d.DeactivatedAt,
	}
	if len(d.PGP) > 0 {
		out.Encryption = "openpgp"
	}
	out.Attestation.Result = cmp.Or(out.Attestation.Result, handset.Absent)
	out.Attestation.Grade = cmp.Or(out.Attestation.Grade, attestation.Unknown)
	for _, f := range d.Factors {
		out.Factors = append(out.Factors, Factor{f.Kind, f.At})
	}
	if d.Push != nil {
		out.Push = &Push{d.Push.Service, d.Push.At, d.Push.DeadAt}
	}
	return out
}
