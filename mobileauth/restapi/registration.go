// SPDX-License-Identifier: Apache-2.0

package restapi

import (
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/view"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
)

// newRegistration is the body of a call that registers a device.
type newRegistration struct {
	UserID          string `json:"user_id"`
	UserExternalRef string `json:"user_external_ref"`
	Application     string `json:"application"`
	ExternalID      string `json:"external_id"`
	CallbackURL     string `json:"callback_url"`
	Proofed         bool   `json:"proofed"`
	RecoveryCode    string `json:"recovery_code"`
}

// begun is a registration as the API shows one that has just begun.
type begun struct {
	view.Operation
	ActivationCode string `json:"activation_code,omitempty"`
	QR             string `json:"qr,omitempty"`
	// RecoveryCode stands in the place of the one that was used.
	RecoveryCode string `json:"recovery_code,omitempty"`
}

func (a *API) startRegistration(c *call) error {
	if a.config.Enrolment == nil {
		return wire.New(wire.NotFound, "devices are not registered here")
	}
	key, err := wire.IdempotencyKey(c.r)
	if err != nil {
		return err
	}
	var in newRegistration
	if err := c.body(&in); err != nil {
		return err
	}
	userID, err := a.askedUser(c.r.Context(), in.UserID, in.UserExternalRef, "")
	if err != nil {
		return err
	}
	if err := a.checkCallback(c, in.CallbackURL); err != nil {
		return err
	}
	start := enrolment.Start{
		UserID: userID, Application: in.Application, ClientID: c.caller.ClientID, ExternalID: in.ExternalID, IdempotencyKey: key,
		CallbackURL: in.CallbackURL, Traceparent: c.trace.Parent, Proofed: in.Proofed,
	}
	if in.RecoveryCode != "" {
		return a.recover(c, start, in.RecoveryCode)
	}
	b, created, err := a.config.Enrolment.Start(c.r.Context(), start)
	if err != nil {
		return err
	}
	return c.sendBegun(c.started(b.Operation.ID, created), b, "")
}

func (c *call) sendBegun(status int, b enrolment.Begun, recovery string) error {
	return c.sendVersion(status, b.Operation.Version, begun{c.showOperation(&b.Operation), b.Code, b.QR, recovery})
}

// recover starts a registration for a person whose phone is gone. A code is used up by it, so the request is not one that can be
// repeated, and a key would promise what cannot be kept.
func (a *API) recover(c *call, start enrolment.Start, code string) error {
	if start.IdempotencyKey != "" {
		return wire.New(wire.InvalidParameter, "a recovery code is good once").With("Idempotency-Key", "is not taken with a recovery code")
	}
	out, err := a.config.Enrolment.Recover(c.r.Context(), start, code)
	switch {
	case err != nil:
		return err
	case !out.OK:
		return wire.New(wire.InvalidValue, "").With("recovery_code", "is not good")
	}
	return c.sendBegun(c.started(out.Begun.Operation.ID, true), out.Begun, out.Replacement)
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
	if o.ClientID != c.caller.ClientID {
		return wire.New(wire.InvalidState, "only the client that started a registration confirms it")
	}
	done, err := a.config.Enrolment.Confirm(c.r.Context(), o.ID, in.Digits)
	switch {
	case err != nil:
		return err
	case done.Code == operation.NotAllowed:
		return wire.New(wire.InvalidState, "no phone has registered yet")
	case done.Code == operation.Gone:
		return wire.New(wire.InvalidState, "the registration has ended")
	}
	if err := a.applied(c); err != nil { // older devices may be gone
		return err
	}
	answer := struct {
		Confirmed bool           `json:"confirmed"`
		Left      int            `json:"tries_left"`
		Operation view.Operation `json:"operation"`
		Device    *view.Device   `json:"device,omitempty"`
	}{done.Code == operation.Accepted, done.Remaining, c.showOperation(&done.Operation), nil}
	if answer.Confirmed {
		shown := view.DeviceOf(&done.Device)
		answer.Device = &shown
	}
	return c.sendVersion(http.StatusOK, done.Operation.Version, answer)
}

// end ends an open operation, and with a registration the device that waits to be confirmed.
func (a *API) end(c *call, o operation.Operation, reason string) (operation.Operation, error) {
	if o.Kind == operation.Registration && a.config.Enrolment != nil {
		return a.config.Enrolment.Reject(c.r.Context(), o.ID)
	}
	return a.config.Operations.Cancel(c.r.Context(), o.ID, reason)
}

func (a *API) makeRecoveryCodes(c *call) error {
	if err := c.optionalBody(&struct{}{}); err != nil {
		return err
	}
	u, err := a.config.Users.Get(c.r.Context(), c.r.PathValue("user"))
	if err != nil {
		return err
	}
	codes, err := a.config.Enrolment.NewRecoveryCodes(c.r.Context(), u.ID)
	if err != nil {
		return err
	}
	return c.send(http.StatusCreated, struct {
		Codes []string `json:"recovery_codes"`
	}{nonNil(codes)})
}

func (a *API) countRecoveryCodes(c *call) error {
	u, err := a.config.Users.Get(c.r.Context(), c.r.PathValue("user"))
	if err != nil {
		return err
	}
	left, since, err := a.config.Enrolment.RecoveryLeft(c.r.Context(), u.ID)
	if err != nil {
		return err
	}
	return c.send(http.StatusOK, struct {
		Left      int       `json:"left"`
		CreatedAt time.Time `json:"created_at,omitzero"`
	}{left, since})
}
