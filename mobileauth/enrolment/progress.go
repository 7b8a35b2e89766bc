// SPDX-License-Identifier: Apache-2.0

package enrolment

import (
	"context"

	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Progress is how far a registration is. Like a [Begun] it is for the person who began it.
type Progress struct {
	Begun
	// Device is the one that has registered; without an id none has.
	Device handset.Device
	// DigitsLeft is how many tries of the digits are left.
	DigitsLeft int
}

// Progress returns how far a registration is, with its activation code for as long as it waits for a phone. A transfer is none
// that anybody but the older phone may see: it is operation.ErrNotFound, as is any other kind of operation. Whether the caller may see
// this one is for the caller to know.
func (s *Store) Progress(ctx context.Context, operationID string) (Progress, error) {
	key, err := s.ServerKey()
	if err != nil {
		return Progress{}, failed("reading a registration", err)
	}
	var p Progress
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		p = Progress{}
		o, state, err := s.registration(tx, operationID)
		if err != nil {
			return err
		}
		if state.TransferOf != "" {
			return operation.ErrNotFound
		}
		p.Begun = Begun{Operation: o, Expires: o.AnswerBy}
		p.DigitsLeft = max(DigitTries-state.DigitTries, 0)
		if state.Device != "" {
			p.Device, _, err = s.Devices.Find(tx, state.Device)
		}
		return err
	})
	if err == nil {
		p.Begun, err = s.invite(p.Begun, key)
	}
	if err != nil {
		return Progress{}, failed("reading a registration", err)
	}
	return p, nil
}
