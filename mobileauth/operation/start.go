// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation/record"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Draft is an operation that was checked and drawn and is not stored yet: [Store.Prepare] makes it outside of transactions.
type Draft struct {
	operation Operation
	key       record.Key
	event     audit.Event
	actor     audit.Actor
}

// ID returns the id that the operation will have, if it is not one that exists.
func (d *Draft) ID() string { return d.operation.ID }

// AnswerBy returns until when the operation will be answerable.
func (d *Draft) AnswerBy() time.Time { return d.operation.AnswerBy }

// SetRegistration replaces what package enrolment keeps with the operation, where that depends on the id.
func (d *Draft) SetRegistration(data json.RawMessage) { d.operation.Registration = slices.Clone(data) }

// Start starts an operation, or returns the one that the same request started before, with created false. Refusals are
// [ErrInvalid], [ErrIdempotency], [ErrUser], [ErrDevice], [ErrBlocked] and [ErrTooManyOpen], which may be [ErrShare].
func (s *Store) Start(ctx context.Context, start Start) (o Operation, created bool, err error) {
	draft, err := s.Prepare(ctx, start)
	if err != nil {
		return Operation{}, false, err
	}
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		o, created, err = s.StartTx(tx, draft)
		return err
	})
	if err != nil {
		return Operation{}, false, fmt.Errorf("starting an operation: %w", err)
	}
	if created {
		s.Started(ctx, draft, o)
	}
	return o, created, nil
}

// Started tells of an operation that [Store.StartTx] has created, after the commit: those who wait, and the log.
func (s *Store) Started(ctx context.Context, d Draft, o Operation) {
	s.Announce(ctx, o)
	s.audit.Log(ctx, d.event)
}

// Prepare checks a start and draws everything that is random about it.
func (s *Store) Prepare(ctx context.Context, start Start) (Draft, error) {
	o, err := start.Draw(&s.limits, s.now())
	if err != nil {
		return Draft{}, fmt.Errorf("starting an operation: %w", err)
	}
	said, err := json.Marshal(start)
	if err != nil {
		return Draft{}, fmt.Errorf("starting an operation: %w", err)
	}
	d := Draft{operation: o, actor: audit.ActorOf(ctx)}
	d.key = record.NewKey(start.ClientID, start.IdempotencyKey, cmp.Or(start.Fingerprint, string(said)))
	d.event = s.audit.Prepare(event(d.actor, "operation.start", &o))
	return d, nil
}

// StartTx is [Store.Start] in the caller's transaction, which must be rolled back when it fails. After the commit the caller
// calls [Store.Started] with an operation that was created.
func (s *Store) StartTx(tx storage.Tx, d Draft) (o Operation, created bool, err error) {
	o, found, err := s.repeated(tx, d.key, d.operation.CreatedAt)
	if err != nil || found {
		return o, false, err
	}
	o = d.operation.Clone() // the caller's, not the draft's
	if o.UserID == "" {
		return o, true, s.store(tx, &d, &o)
	}
	if err := s.users.Active(tx, o.UserID); err != nil {
		return Operation{}, false, refusedUser(err)
	}
	reached, err := s.target(tx, &o)
	if err != nil {
		return Operation{}, false, err
	}
	desk, err := s.readDesk(tx, o.UserID, o.CreatedAt)
	switch {
	case err != nil:
		return Operation{}, false, err
	case desk.Blocked(o.CreatedAt):
		return Operation{}, false, ErrBlocked
	}
	if err := desk.Admit(&s.limits, &o); err != nil {
		return Operation{}, false, err
	}
	switch {
	case o.Channel == ByPush && reached:
		if o.Push = desk.Push(&s.limits, &o, o.CreatedAt); o.Push != PushQueued {
			o.Late = nil // it is us who do not notify: who brings that about must not get the weaker way for it
		}
	case o.Channel == ByPush:
		o.Push = PushNone
	}
	desk.Add(&o)
	if err := s.writeDesk(tx, desk); err != nil {
		return Operation{}, false, err
	}
	return o, true, s.store(tx, &d, &o)
}

func (s *Store) store(tx storage.Tx, d *Draft, o *Operation) error {
	if err := s.operations.Insert(tx, *o); err != nil {
		return err
	}
	for _, due := range dueItems(o) {
		if err := tx.Put(due); err != nil {
			return err
		}
	}
	if key := d.key; !key.None() {
		key.Operation, key.Until = o.ID, o.CreatedAt.Add(keepKeys)
		if err := s.keys.Put(tx, key); err != nil {
			return err
		}
	}
	if err := s.audit.Append(tx, d.event); err != nil {
		return err
	}
	return s.tell(tx, Started, *o)
}

// repeated returns the operation that the same request has started, as it stands at now.
func (s *Store) repeated(tx storage.Tx, key record.Key, now time.Time) (Operation, bool, error) {
	if key.None() {
		return Operation{}, false, nil
	}
	was, found, err := s.keys.Find(tx, key.Name)
	if err == nil && found {
		err = was.Check(key)
	}
	if err != nil || !found {
		return Operation{}, false, err
	}
	o, err := s.operations.Get(tx, was.Operation)
	return o.At(now), err == nil, err
}

// Repeated returns the operation that a client started before under a key and with the same fingerprint, if there is one. With
// another fingerprint it is [ErrIdempotency]. It is for callers that decide on more than [Start] says before they start.
func (s *Store) Repeated(ctx context.Context, clientID, key, fingerprint string) (o Operation, found bool, err error) {
	if key == "" {
		return Operation{}, false, nil
	}
	now, of := s.now(), record.NewKey(clientID, key, fingerprint)
	err = s.db.View(ctx, func(tx storage.Tx) error {
		o, found, err = s.repeated(tx, of, now)
		return err
	})
	if err != nil {
		return Operation{}, false, fmt.Errorf("looking for an operation that was started before: %w", err)
	}
	return o, found, nil
}

func refusedUser(err error) error {
	if errors.Is(err, mobileauth.ErrInactive) {
		return fmt.Errorf("%w: %w", ErrUser, err)
	}
	return err
}

// target refuses an operation that no device could answer, and reports whether one that could can be notified.
func (s *Store) target(tx storage.Tx, o *Operation) (reached bool, err error) {
	if o.Channel != ByPush {
		return false, nil
	}
	if o.DeviceID != "" {
		d, found, err := s.devices.Find(tx, o.DeviceID)
		if err == nil && (!found || !Answerable(o, &d)) {
			err = ErrDevice
		}
		return err == nil && s.pushes(&d), err
	}
	devices, err := s.devices.Live(tx, o.UserID)
	devices = slices.DeleteFunc(devices, func(d handset.Device) bool { return !Answerable(o, &d) })
	if err == nil && len(devices) == 0 {
		err = ErrDevice
	}
	return slices.ContainsFunc(devices, func(d handset.Device) bool { return s.pushes(&d) }), err
}

// Answerable reports whether a device is one that may answer and has what an answer needs.
func Answerable(o *Operation, d *handset.Device) bool {
	return d.Status == handset.Active && meant(o, d) &&
		slices.ContainsFunc(d.Methods(), func(m string) bool { return handset.Accepts(o.Methods, m) })
}

// meant reports whether an operation is put to a device.
func meant(o *Operation, d *handset.Device) bool {
	return o.Kind != Registration && o.Channel != BySMS && o.UserID == d.UserID && (o.DeviceID == "" || o.DeviceID == d.ID) &&
		(o.Application == "" || o.Application == d.Application)
}
