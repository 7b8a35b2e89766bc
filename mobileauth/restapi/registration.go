// SPDX-License-Identifier: Apache-2.0

package restapi

import (
	"context"
	"net/http"

	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
)

// Registration asks for a device to be registered.
type Registration struct {
	UserID         string
	Application    string
	ClientID       string
	ExternalID     string
	IdempotencyKey string
	Callback       string
	Traceparent    string
	// Proofed says that the client has made sure who the person is, so that a new device need not be watched.
	Proofed bool
}

// Begun is a registration that waits for a phone.
type Begun struct {
	Operation operation.Operation
	Created   bool
	// Code is the activation code, QR the text of a QR code that holds it. They are empty for a request that was made before:
	// they are shown once.
	Code, QR string
}

// Enrolment registers devices.
type Enrolment interface {
	Start(ctx context.Context, r Registration) (Begun, error)
	// Confirm compares the digits that the phone shows with those typed where the registration began. Wrong ones are reported
	// with the tries that are left.
	Confirm(ctx context.Context, operationID, digits string) (ok bool, left int, err error)
	// RecoveryCodes replaces the recovery codes of a user and returns them, the only time that they are shown.
	RecoveryCodes(ctx context.Context, userID string) ([]string, error)
}

// newRegistration is the body of a call that registers a device.
type newRegistration struct {
	UserID          string `json:"user_id"`
	UserExternalRef string `json:"user_external_ref"`
	Application     string `json:"application"`
	ExternalID      string `json:"external_id"`
	CallbackURL     string `json:"callback_url"`
	Proofed         bool   `json:"proofed"`
}

func (a *API) startRegistration(c *call) error {
	if a.config.Enrolment == nil {
		return wire.New(wire.NotFound, "devices are not registered here")
	}
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	var in newRegistration
	if err := c.body(&in); err != nil {
		return err
	}
	userID, err := a.askedUser(c.r.Context(), in.UserID, in.UserExternalRef)
	if err != nil {
		return err
	}
	if err := a.checkCallback(c, in.CallbackURL); err != nil {
		return err
	}
	begun, err := a.config.Enrolment.Start(c.r.Context(), Registration{
		UserID: userID, Application: in.Application, ClientID: c.caller.ClientID, ExternalID: in.ExternalID, IdempotencyKey: key,
		Callback: in.CallbackURL, Traceparent: c.trace.Parent, Proofed: in.Proofed,
	})
	if err != nil {
		return err
	}
	return c.sendVersion(c.started(begun.Operation.ID, begun.Created), begun.Operation.Version, struct {
		shownOperation
		Code string `json:"activation_code,omitempty"`
		QR   string `json:"qr,omitempty"`
	}{c.showOperation(&begun.Operation), begun.Code, begun.QR})
}

func (a *API) confirmOperation(c *call) error {
	var in struct {
		Digits string `json:"digits"`
	}
	if err := c.body(&in); err != nil {
		return err
	}
	o, err := a.operationOf(c)
	if err != nil {
		return err
	}
	ok, left, err := a.config.Enrolment.Confirm(c.r.Context(), o.ID, in.Digits)
	if err != nil {
		return err
	}
	if o, err = a.config.Operations.Get(c.r.Context(), o.ID); err != nil {
		return err
	}
	return c.sendVersion(http.StatusOK, o.Version, struct {
		Confirmed bool           `json:"confirmed"`
		Left      int            `json:"tries_left"`
		Operation shownOperation `json:"operation"`
	}{ok, left, c.showOperation(&o)})
}

func (a *API) makeRecoveryCodes(c *call) error {
	if err := c.optionalBody(&struct{}{}); err != nil {
		return err
	}
	u, err := a.config.Users.Get(c.r.Context(), c.r.PathValue("user"))
	if err != nil {
		return err
	}
	codes, err := a.config.Enrolment.RecoveryCodes(c.r.Context(), u.ID)
	if err != nil {
		return err
	}
	return c.send(http.StatusCreated, struct {
		Codes []string `json:"recovery_codes"`
	}{nonNil(codes)})
}
