// SPDX-License-Identifier: Apache-2.0

package owned

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Logins knows on which devices users have logged in.
type Logins interface {
	// DevicesOf returns the ids of the devices of a user, installations among them.
	DevicesOf(ctx context.Context, user string) ([]string, error)
}

// Records are the certificates. A [provisioning.Store] has them.
type Records interface {
	List(ctx context.Context, installation, after string, limit int) ([]provisioning.Certificate, error)
	Revoke(ctx context.Context, installation string) (fresh bool, err error)
}

// Owned knows whose certificates are. It keeps nothing between calls and is safe for concurrent use.
type Owned struct {
	logins  Logins
	records Records
}

// New returns an Owned. Both arguments are required.
func New(logins Logins, records Records) (*Owned, error) {
	if logins == nil || records == nil {
		return nil, errors.New("building the certificates of users: logins and records are required")
	}
	return &Owned{logins: logins, records: records}, nil
}

// Of returns the certificates of a user, in the order of their ids, beginning after the given one, at most limit of them. A user who is
// not known has none.
func (o *Owned) Of(ctx context.Context, user, after string, limit int) ([]provisioning.Certificate, error) {
	var all []provisioning.Certificate
	err := o.each(ctx, user, func(installation string) error {
		some, err := o.records.List(ctx, installation, after, limit)
		all = append(all, some...)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b provisioning.Certificate) int { return cmp.Compare(a.ID, b.ID) })
	return all[:min(len(all), limit)], nil
}

// looked is how many certificates of an installation are looked at: a few in each year, unless they are valid for hours only.
const looked = 500

// Latest returns the certificate of each installation of a user that was issued last, the latest of them in front.
func (o *Owned) Latest(ctx context.Context, user string) ([]provisioning.Certificate, error) {
	var latest []provisioning.Certificate
	err := o.each(ctx, user, func(installation string) error {
		some, err := o.records.List(ctx, installation, "", looked)
		if err == nil && len(some) > 0 {
			latest = append(latest, slices.MaxFunc(some, older))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(latest, func(a, b provisioning.Certificate) int { return older(b, a) })
	return latest, nil
}

func older(a, b provisioning.Certificate) int { return a.IssuedAt.Compare(b.IssuedAt) }

// Remove revokes the certificates of an installation of the user's. It is [storage.ErrNotFound] for any other one.
func (o *Owned) Remove(ctx context.Context, user, installation string) error {
	devices, err := o.logins.DevicesOf(ctx, user)
	if err != nil {
		return fmt.Errorf("finding the devices of a user: %w", err)
	}
	if !slices.Contains(devices, installation) {
		return fmt.Errorf("removing a device of a user: %w", storage.ErrNotFound)
	}
	_, err = o.records.Revoke(ctx, installation)
	return err
}

func (o *Owned) each(ctx context.Context, user string, look func(installation string) error) error {
	devices, err := o.logins.DevicesOf(ctx, user)
	if err != nil {
		return fmt.Errorf("finding the devices of a user: %w", err)
	}
	for _, device := range devices {
		if device == "" { // which would stand for all of them
			continue
		}
		if err := look(device); err != nil {
			return err
		}
	}
	return nil
}
