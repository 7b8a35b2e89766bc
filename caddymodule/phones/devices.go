// SPDX-License-Identifier: Apache-2.0

package phones

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Revoke ends, in the caller's transaction, what is open to a user who is locked or goes. Who is deleted cannot recover either.
//
// Like [Phones.Load] and [Phones.Run] it does nothing where a configuration has no mobile side and p is nil.
func (p *Phones) Revoke(tx storage.Tx, u identity.User) error {
	if p == nil {
		return nil
	}
	if !u.DeletedAt.IsZero() {
		if err := p.enrolment.DropRecoveryCodes(tx, u.ID); err != nil {
			return err
		}
	}
	return p.operations.CloseForUser(tx, u.ID)
}

// TakeOut deactivates the phones of a user who is out for good, once that is committed. They can do nothing by then, and are no
// longer listed as if they could. It can be repeated until it returns no error.
func (p *Phones) TakeOut(ctx context.Context, userID, reason string) error {
	if p == nil {
		return nil
	}
	return p.devices.DeactivateAll(ctx, userID, reason)
}

// revokeDevice ends, in the transaction that takes a device out, what rests on it: operations that only it may answer, and
// sessions, grants and tokens that name it.
func (p *Phones) revokeDevice(tx storage.Tx, d handset.Device) error {
	p.outs.Add(1)
	if err := p.parts.Store.RevokeDevice(tx, d.ID); err != nil {
		return err
	}
	return p.operations.CloseForDevice(tx, d)
}

// watch returns what has the gates of this node learn, before a phone is answered, that its message took a device out. Whether it
// did is counted by the hook, whichever message it was: the gates rather look once too often.
func (p *Phones) watch() func(context.Context) error {
	before := p.outs.Load()
	return func(ctx context.Context) error {
		if p.outs.Load() == before {
			return nil
		}
		return p.parts.Applied(ctx)
	}
}

// notice writes into the audit trail that a device has one try left (Regulation (EU) 2018/389, article 4(4)). A new status is there
// already, with who changed it. Both are logged, for whoever has no eye on the trail; a transaction that is repeated says it again.
func (p *Phones) notice(tx storage.Tx, n handset.Notice) error {
	d := &n.Device
	if n.What != handset.LastTry {
		p.parts.Logger.Info("a device gets another status", "device", d.ID, "status", d.Status, "before", n.Before)
		return nil
	}
	p.parts.Logger.Warn("a device has one try left before it is disconnected", "device", d.ID, "status", d.Status)
	return p.parts.Trail.Append(tx, p.parts.Trail.Prepare(audit.Event{
		Name: "device.last_try", Outcome: audit.Accepted, By: "device:" + d.ID, Subject: d.UserID, DeviceID: d.ID,
	}))
}
