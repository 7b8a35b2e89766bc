// SPDX-License-Identifier: Apache-2.0

package phones

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/account"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

const (
	// ownRegistration is the reference of registrations that were begun on the account page. They have no client: no back end
	// can confirm them, and the account page confirms none of a back end's.
	ownRegistration = "account"
	// reasonRemoved says on the trail that the user removed a phone.
	reasonRemoved = "removed_by_user"
	// shownOperations is how many operations people see, and searched how many are looked through for a registration.
	shownOperations, searched = 10, 50
	// disowned is for how long the page warns after somebody said that they had not begun something.
	disowned = 7 * 24 * time.Hour
)

// Account is the phones as the account page shows them. It is made before the mobile side that it shows, and answers once that is
// there.
type Account struct{ phones *Phones }

var (
	_ account.Phones        = (*Account)(nil)
	_ account.Registrations = (*Account)(nil)
)

// Of returns the devices and the latest operations of a user. A device that waits to be confirmed is shown by its registration.
func (a *Account) Of(ctx context.Context, user string) (account.Owned, error) {
	p := a.phones
	devices, err := p.devices.ByUser(ctx, user)
	if err != nil {
		return account.Owned{}, err
	}
	var owned account.Owned
	for _, d := range devices {
		if d.Status == handset.Deactivated || d.Status == handset.Pending {
			continue
		}
		phone := account.Phone{
			ID: d.ID, Name: d.Name, Model: d.Model, App: d.Application, Status: string(d.Status), Since: d.CreatedAt, Seen: d.LastSeenAt,
		}
		if d.Attestation.Verified(attestation.Software) {
			phone.Grade, phone.Shown = string(d.Attestation.Grade), d.Attestation.At
		}
		owned.Phones = append(owned.Phones, phone)
	}
	for app, policy := range p.policies {
		if policy.Keys && policy.Confirmation == enrolment.ConfirmDigits {
			owned.Apps = append(owned.Apps, account.App{ID: app, Name: app})
		}
	}
	slices.SortFunc(owned.Apps, func(a, b account.App) int { return cmp.Compare(a.ID, b.ID) })
	operations, err := p.operations.ListByUser(ctx, user, "", searched)
	if err != nil {
		return account.Owned{}, err
	}
	for i := range operations {
		o := &operations[i]
		if said := o.EndedAt; o.Reason == envelope.NotMe && p.parts.Now().Sub(said) < disowned && said.After(owned.Disowned) {
			owned.Disowned = said
		}
		if owned.Adding == "" && ownOpen(o) {
			owned.Adding = o.ID
		}
		if len(owned.Operations) < shownOperations {
			owned.Operations = append(owned.Operations, account.Operation{
				Kind: string(o.Kind), State: string(o.State), Title: title(o), At: o.CreatedAt,
			})
		}
	}
	return owned, nil
}

// title is what a user was shown, as far as one line tells it.
func title(o *operation.Operation) string {
	shown, err := envelope.ParseDisplay(o.Display, o.ID)
	if err != nil {
		return ""
	}
	return shown.Title
}

// own reports whether a registration was begun on the account page.
func own(o *operation.Operation) bool {
	return o.Kind == operation.Registration && o.ClientID == "" && o.ExternalID == ownRegistration
}

func ownOpen(o *operation.Operation) bool { return own(o) && o.State.Open() }

// device returns one of the user's devices.
func (a *Account) device(ctx context.Context, user, id string) (handset.Device, error) {
	d, err := a.phones.devices.Get(ctx, id)
	switch {
	case errors.Is(err, handset.ErrNotFound):
		return d, account.ErrGone
	case err != nil:
		return d, err
	case d.UserID != user || d.Status == handset.Deactivated || d.Status == handset.Pending:
		return d, account.ErrGone
	}
	return d, nil
}

// Rename names a device.
func (a *Account) Rename(ctx context.Context, user, id, name string) error {
	if clean, err := handset.CleanName(name); err != nil || clean == "" {
		return account.ErrName
	}
	d, err := a.device(ctx, user, id)
	if err != nil {
		return err
	}
	_, err = a.phones.devices.Rename(ctx, d.ID, name, d.Version)
	if errors.Is(err, handset.ErrTransition) {
		return account.ErrGone
	}
	return err
}

// Remove takes a device out, and with it what rests on it.
func (a *Account) Remove(ctx context.Context, user, id string) error {
	d, err := a.device(ctx, user, id)
	if err != nil {
		return err
	}
	if _, err := a.phones.devices.Deactivate(ctx, d.ID, reasonRemoved); err != nil {
		return err
	}
	return a.phones.parts.Applied(ctx)
}

// Begin starts a registration, or finds the one that the user has begun for that app.
func (a *Account) Begin(ctx context.Context, user, app string) (string, error) {
	p := a.phones
	if policy, found := p.policies[app]; !found || policy.Confirmation != enrolment.ConfirmDigits {
		return "", account.ErrNotNow
	}
	operations, err := p.operations.ListByUser(ctx, user, "", searched)
	if err != nil {
		return "", err
	}
	begun := slices.IndexFunc(operations, func(o operation.Operation) bool { return ownOpen(&o) && o.Application == app })
	if begun >= 0 {
		return operations[begun].ID, nil
	}
	b, _, err := p.enrolment.Start(ctx, enrolment.Start{UserID: user, Application: app, ExternalID: ownRegistration, Own: true})
	switch {
	case errors.Is(err, enrolment.ErrSingle):
		return "", account.ErrSingle
	case errors.Is(err, enrolment.ErrOff), errors.Is(err, operation.ErrUser), errors.Is(err, operation.ErrBlocked),
		errors.Is(err, operation.ErrTooManyOpen), errors.Is(err, mobileauth.ErrInactive):
		return "", account.ErrNotNow
	}
	return b.Operation.ID, err
}

// find returns a registration that this user began on the account page.
func (a *Account) find(ctx context.Context, user, id string) (enrolment.Progress, error) {
	at, err := a.phones.enrolment.Progress(ctx, id)
	switch {
	case errors.Is(err, operation.ErrNotFound):
		return enrolment.Progress{}, account.ErrGone
	case err != nil:
		return enrolment.Progress{}, err
	case at.Operation.UserID != user || !own(&at.Operation):
		return enrolment.Progress{}, account.ErrGone
	}
	return at, nil
}

// Find returns how far a registration is.
func (a *Account) Find(ctx context.Context, user, id string) (account.Registration, error) {
	at, err := a.find(ctx, user, id)
	if err != nil {
		return account.Registration{}, err
	}
	return account.Registration{
		ID: at.Operation.ID, App: at.Operation.Application, Phone: cmp.Or(at.Device.Name, at.Device.Model), Stage: stage(&at),
		Code: at.Code, QR: at.QR, TriesLeft: at.DigitsLeft, Expires: at.Expires,
	}, nil
}

// stage says in one word what the person is to do.
func stage(at *enrolment.Progress) account.Stage {
	switch o := &at.Operation; {
	case o.State.Open() && at.Device.ID == "":
		return account.Waiting
	case o.State.Open() && at.DigitsLeft < enrolment.DigitTries:
		return account.Wrong
	case o.State.Open():
		return account.Confirm
	case o.State == operation.Expired:
		return account.Expired
	case o.State != operation.Approved:
		return account.Refused
	}
	switch d := &at.Device; {
	case d.Status == handset.Active:
		return account.Done
	case d.Status == handset.Quarantined && d.StatusReason == enrolment.ReasonSecond:
		return account.Held
	case d.Status == handset.Quarantined:
		return account.Check
	}
	return account.Refused // it was removed, rejected or locked since
}

// Confirm takes the digits. The devices in whose place this one comes are gone then.
func (a *Account) Confirm(ctx context.Context, user, id, digits string) error {
	if _, err := a.find(ctx, user, id); err != nil {
		return err
	}
	if _, err := a.phones.enrolment.Confirm(ctx, id, digits); err != nil {
		return err
	}
	return a.phones.parts.Applied(ctx)
}

// Stop ends a registration. One that has ended by itself stays as it is.
func (a *Account) Stop(ctx context.Context, user, id string) error {
	if _, err := a.find(ctx, user, id); err != nil {
		return err
	}
	_, err := a.phones.enrolment.Reject(ctx, id)
	if errors.Is(err, enrolment.ErrTransition) {
		return nil
	}
	return err
}
