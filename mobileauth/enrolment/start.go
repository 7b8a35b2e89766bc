// SPDX-License-Identifier: Apache-2.0

package enrolment

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Start describes a registration to start.
type Start struct {
	UserID      string
	Application string
	ClientID    string
	ExternalID  string
	// IdempotencyKey makes a repetition of this start return the operation, and the code, that the first one made.
	IdempotencyKey string
	// CallbackURL is told when the operation ends. Whether the client may name it was checked by the caller.
	CallbackURL string
	Traceparent string
	// Proofed says that the caller knows whom it has before it: the device is not quarantined.
	Proofed bool
	// Own says that a person began it alone, with nothing but a login. Phones that they had before count then as ones that they
	// have: whoever stole the login could otherwise remove those first, and have a phone that nobody vouched for.
	Own bool
}

// Begun is a registration that waits for a phone.
type Begun struct {
	Operation operation.Operation
	// Code is the activation code for the person, XXXXX-XXXXX-XXXXX-XXXXX, and QR the text of a QR code with it. They are shown
	// to the person and to nobody else. Both are empty once a phone has registered with the code.
	Code, QR string
	// Expires is when the code is not good any more.
	Expires time.Time
}

// String names the operation and not the code.
func (b Begun) String() string { return "registration " + b.Operation.ID }

// GoString names the operation and not the code.
func (b Begun) GoString() string { return b.String() }

// registration is what is kept with the operation. It holds secrets, and is shown to nobody.
type registration struct {
	Proofed bool `json:"proofed,omitempty"`
	// TransferOf is the device in whose place the new one comes, Recovery that a recovery code stood for proofing.
	TransferOf string `json:"transfer_of,omitempty"`
	Recovery   bool   `json:"recovery,omitempty"`
	Own        bool   `json:"own,omitempty"`

	Code  string `json:"code,omitempty"`
	Tries int    `json:"tries,omitempty"`

	Device     string `json:"device,omitempty"`
	Digits     string `json:"digits,omitempty"`
	DigitTries int    `json:"digit_tries,omitempty"`
}

func (r *registration) encode() (json.RawMessage, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding a registration: %w", err)
	}
	return data, nil
}

func decode(o *operation.Operation) (r registration, err error) {
	if o.Kind != operation.Registration || len(o.Registration) == 0 {
		return r, fmt.Errorf("reading the registration of operation %q: there is none", o.ID)
	}
	if err := json.Unmarshal(o.Registration, &r); err != nil {
		return r, fmt.Errorf("reading the registration of operation %q: %w", o.ID, err)
	}
	return r, nil
}

// registration returns the operation with the given id and what is kept with it. One that is of another kind is none.
func (s *Store) registration(tx storage.Tx, id string) (o operation.Operation, r registration, err error) {
	o, found, err := s.Operations.Find(tx, id)
	switch {
	case err != nil:
		return o, r, err
	case !found || o.Kind != operation.Registration:
		return o, r, operation.ErrNotFound
	}
	r, err = decode(&o)
	return o, r, err
}

// Start starts a registration, or returns the one that the same request started before, with created false. Refusals are
// [ErrApplication], [ErrOff], [ErrSingle] and those of operation.Store.Start.
func (s *Store) Start(ctx context.Context, start Start) (b Begun, created bool, err error) {
	p, err := s.policy(start.Application)
	if err != nil {
		return Begun{}, false, failed("starting a registration", err)
	}
	draft, err := s.draft(ctx, start, registration{Proofed: start.Proofed, Own: start.Own})
	if err != nil {
		return Begun{}, false, failed("starting a registration", err)
	}
	key, err := s.ServerKey()
	if err != nil {
		return Begun{}, false, failed("starting a registration", err)
	}
	err = s.DB.Update(ctx, func(tx storage.Tx) error {
		b, created, err = s.startTx(tx, draft, p)
		return err
	})
	if err != nil {
		return Begun{}, false, failed("starting a registration", err)
	}
	if created {
		s.Operations.Started(ctx, draft.Draft, b.Operation)
	}
	b, err = s.invite(b, key)
	return b, created, err
}

// draft is everything about a start that is drawn or checked without the store.
type draft struct {
	operation.Draft
	lookup string
	state  registration
}

func (s *Store) draft(ctx context.Context, start Start, state registration) (d draft, err error) {
	if start.Application == "" {
		return d, ErrApplication
	}
	// Part of what makes two requests the same. What is drawn is not.
	said, err := state.encode()
	if err != nil {
		return d, err
	}
	d.Draft, err = s.Operations.Prepare(ctx, operation.Start{
		Kind: operation.Registration, UserID: start.UserID, Application: start.Application, ClientID: start.ClientID,
		ExternalID: start.ExternalID, IdempotencyKey: start.IdempotencyKey, Callback: start.CallbackURL,
		Traceparent: start.Traceparent, TimeToLive: TimeToLive, NumberMatch: operation.NoNumber, Registration: said,
	})
	if err != nil {
		return d, err
	}
	secret, err := envelope.NewActivationCode()
	if err != nil {
		return d, err
	}
	state.Code = secret.Text()
	data, err := state.encode()
	if err != nil {
		return d, err
	}
	d.SetRegistration(data)
	d.lookup, d.state = secret.Lookup(), state
	return d, nil
}

func (s *Store) startTx(tx storage.Tx, d draft, p Policy) (Begun, bool, error) {
	o, created, err := s.Operations.StartTx(tx, d.Draft)
	if err != nil {
		return Begun{}, false, err
	}
	b := Begun{Operation: o, Expires: o.AnswerBy}
	if !created {
		return b, false, nil
	}
	if p.PushMode == Single {
		rivals, err := s.rivals(tx, o.UserID, o.Application, d.state.TransferOf)
		if err != nil {
			return Begun{}, false, err
		}
		if atHand(rivals) {
			return Begun{}, false, ErrSingle
		}
	}
	return b, true, s.codes.Insert(tx, code{Lookup: d.lookup, Operation: o.ID, Until: o.AnswerBy})
}

// invite adds code and QR text to a registration that still waits for a phone.
func (s *Store) invite(b Begun, key string) (Begun, error) {
	if !b.Operation.State.Open() {
		return b, nil
	}
	state, err := decode(&b.Operation)
	if err != nil || state.Device != "" {
		return b, err
	}
	secret, err := envelope.ParseActivationCode(state.Code)
	if err != nil {
		return b, failed("reading a stored activation code", err)
	}
	b.Code = secret.Text()
	b.QR = envelope.Invitation{Issuer: s.Issuer, Operation: b.Operation.ID, Code: secret, Key: key}.Text()
	return b, nil
}
