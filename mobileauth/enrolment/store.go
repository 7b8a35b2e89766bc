// SPDX-License-Identifier: Apache-2.0

package enrolment

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	// TimeToLive is how long an activation code is good, and the registration that it begins may take.
	TimeToLive = 10 * time.Minute
	// CodeTries is how many wrong proofs of a code end a registration.
	CodeTries = 5
	// DigitTries is how many wrong digits do.
	DigitTries = 3
)

// Users is what is asked about the owner of a device, as in package handset.
type Users interface {
	Active(tx storage.Tx, userID string) error
}

// Applications says what becomes of a version of an app. A mobileauth.Registry does.
type Applications interface {
	Status(app, platform, version string) (mobileauth.Status, mobileauth.Notice)
}

// Audit is where changes are written down, in the transaction that makes them.
type Audit interface {
	Prepare(e audit.Event) audit.Event
	Append(tx storage.Tx, e audit.Event) error
}

// Config describes a [Store]. All fields but Attestation and PGP are required.
type Config struct {
	DB         storage.DB
	Sealer     storage.Sealer
	Users      Users
	Devices    *handset.Store
	Operations *operation.Store
	// Applications judges versions: those that are active or only told something register devices.
	Applications Applications
	// Policies returns the normalized policy of an application, or that there is none.
	Policies func(application string) (Policy, bool)
	Audit    Audit
	// Issuer is what a QR code names as the server, and ServerKey the name of the encryption key that the phone is to use.
	Issuer    string
	ServerKey func() (string, error)
	Now       func() time.Time
	// Attestation grades evidence. Default: [Unverified].
	Attestation Grader
	// Address refuses a device whose push address cannot be one of its service. Nil takes any.
	Address func(d *handset.Device) error
	// PGP makes keys for devices whose policy says [OpenPGP]. Default: those of package pgp.
	PGP PGP
}

// Store registers devices. It is safe for concurrent use, holds nothing in memory between calls, and any number of stores
// may stand over one database.
type Store struct {
	Config
	codes    storage.Table[code]
	recovery storage.Table[recovery]

	challenges storage.Table[challenge]
}

// code leads from an activation code to its operation.
type code struct {
	Lookup    string    `json:"lookup"`
	Operation string    `json:"operation"`
	Until     time.Time `json:"until"`
}

// New returns a store. It reads and writes nothing yet.
func New(c Config) (*Store, error) {
	if c.DB == nil || c.Sealer == nil || c.Users == nil || c.Devices == nil || c.Operations == nil || c.Applications == nil ||
		c.Policies == nil || c.Audit == nil || c.Issuer == "" || c.ServerKey == nil || c.Now == nil {
		return nil, errors.New("creating a store of registrations: only Attestation, Address and PGP may be left out")
	}
	if c.Attestation == nil {
		c.Attestation = Unverified{}
	}
	if c.PGP == nil {
		c.PGP = profile{c.Now}
	}
	s := describe(c.Sealer)
	s.Config = c
	return &s, nil
}

// describe returns a store that knows its tables and nothing else.
func describe(sealer storage.Sealer) Store {
	return Store{
		codes: storage.Table[code]{
			Name: "enrolment_code", Version: 1,
			ID:     func(r *code) string { return r.Lookup },
			Expiry: func(r *code) time.Time { return r.Until },
		},
		recovery: storage.Table[recovery]{
			Name: "enrolment_recovery", Version: 1, Sealer: sealer, ID: func(r *recovery) string { return r.UserID },
		},
		challenges: storage.Table[challenge]{
			Name: "enrolment_challenge", Version: 1,
			ID:     func(r *challenge) string { return r.Device },
			Expiry: func(r *challenge) time.Time { return r.Until },
		},
	}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables(sealer storage.Sealer) []storage.Kind {
	s := describe(sealer)
	return []storage.Kind{&s.codes, &s.recovery, &s.challenges}
}

// now has the precision that every engine keeps.
func (s *Store) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// policy returns that of an application which registers devices.
func (s *Store) policy(application string) (Policy, error) {
	p, found := s.Policies(application)
	switch {
	case !found:
		return Policy{}, ErrApplication
	case !p.Keys:
		return Policy{}, ErrOff
	}
	return p, nil
}

// rivals are the other devices of the user and the application that count for the push mode. One that is only pending has
// been confirmed by nobody, and one that is lost or stolen is not at hand.
func (s *Store) rivals(tx storage.Tx, userID, application string, but ...string) ([]handset.Device, error) {
	live, err := s.Devices.Live(tx, userID)
	if err != nil {
		return nil, err
	}
	var rivals []handset.Device
	for _, d := range live {
		if d.Application == application && d.Status != handset.Pending && !slices.Contains(but, d.ID) {
			rivals = append(rivals, d)
		}
	}
	return rivals, nil
}

// atHand reports whether a device speaks against a second one.
func atHand(devices []handset.Device) bool {
	return slices.ContainsFunc(devices, func(d handset.Device) bool { return d.Status != handset.Lost && d.Status != handset.Stolen })
}

// event is a line of the audit trail about a registration.
func (s *Store) event(by audit.Actor, e audit.Event) audit.Event {
	e.ClientID = cmp.Or(by.ClientID, e.ClientID)
	return s.Audit.Prepare(e.Caused(by))
}

func failed(what string, err error) error { return fmt.Errorf("%s: %w", what, err) }
