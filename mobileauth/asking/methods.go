// SPDX-License-Identifier: Apache-2.0

package asking

import (
	"context"
	"fmt"

	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
)

// Available is a type by which a user can be asked now.
type Available struct {
	Type   string
	Method mobiletype.Method
	// By is the type that would be used, and ByMethod its method: the type itself where it can begin, otherwise one that it falls
	// back to. Where a PIN stands in for a factor that no phone has, that is the method.
	By       string
	ByMethod mobiletype.Method
	// Devices are the phones that can answer, none over SMS.
	Devices []handset.Device
	// Number is what may be shown of the number a message would go to.
	Number string
}

// Methods returns the types by which a user can be asked now, in the order of their names, by one device or the devices of one
// application where these are named. There are none for a user who is not there, or may not answer, and to find that out takes
// the same reads.
func (s *Service) Methods(ctx context.Context, userID, deviceID, application string) ([]Available, error) {
	known, err := s.facts(ctx, userID, "")
	if err != nil {
		return nil, err
	}
	standing, err := s.operations.Standing(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("looking at how a user can be asked: %w", err)
	}
	if standing.Barred || !standing.BlockedUntil.IsZero() {
		known = facts{noSMS: NoNumber}
	}
	a := &attempt{service: s, facts: known, Request: &Request{DeviceID: deviceID, Application: application}}
	var all []Available
	for _, t := range s.types.All() {
		chain, err := s.types.Chain(t.Name)
		if err != nil {
			return nil, fmt.Errorf("looking at how a user can be asked: %w", err)
		}
		if one, ok := a.available(chain); ok {
			all = append(all, one)
		}
	}
	return all, nil
}

// available returns how the first type of a chain would be asked.
func (a *attempt) available(chain []mobiletype.Type) (Available, bool) {
	asked := chain[0]
	for _, t := range chain {
		found := Available{Type: asked.Name, Method: asked.Method, By: t.Name, ByMethod: t.Method}
		if t.Method == mobiletype.SMS {
			if a.noSMS == "" {
				found.Number = a.number.Masked()
				return found, true
			}
			continue
		}
		methods, reason := a.methods(t)
		if reason != "" {
			continue
		}
		found.Devices, _ = a.service.able(a.devices, a.DeviceID, a.Application, methods[0])
		if t.Method != mobiletype.OTP {
			found.ByMethod, _ = mobiletype.Prove(mobiletype.ByPush, methods[0])
		}
		return found, true
	}
	return Available{}, false
}
