// SPDX-License-Identifier: Apache-2.0

package view

import (
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
)

// Method is a type by which a user can be asked.
type Method struct {
	Type     string            `json:"type"`
	Method   mobiletype.Method `json:"method"`
	By       string            `json:"by"`
	ByMethod mobiletype.Method `json:"by_method"`
	Devices  []Phone           `json:"devices"`
	// PhoneNumber is what may be shown of it.
	PhoneNumber string `json:"phone_number,omitempty"`
}

// Phone is a device that can answer.
type Phone struct {
	ID          string `json:"id"`
	Name        string `json:"name,omitempty"`
	Application string `json:"application"`
	Platform    string `json:"platform,omitempty"`
	// Push says that there is an address for notifications. Without one the phone asks by itself.
	Push bool `json:"push"`
}

// PhoneOf shows a device that can answer.
func PhoneOf(d handset.Device) Phone {
	return Phone{
		ID: d.ID, Name: d.Name, Application: d.Application, Platform: d.Platform, Push: d.Push != nil && d.Push.DeadAt.IsZero(),
	}
}
