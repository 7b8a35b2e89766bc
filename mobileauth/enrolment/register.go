// SPDX-License-Identifier: Apache-2.0

package enrolment

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"slices"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Register takes a registration whose signature was checked. The device is pending afterwards, until the digits are
// confirmed; where no digits are asked for it is active or quarantined. With a key that the server keeps for this device alone
// it returns that too.
//
// What is refused is an error that wraps [envelope.ErrRefused], with one of the reasons of this package. A wrong proof of the
// activation code is counted. The same phone may send its registration again, when the answer was lost.
func (s *Store) Register(ctx context.Context, in envelope.Request, r envelope.Registration) (
	envelope.RegistrationAnswer, *jose.EncryptionKey, error,
) {
	begun, err := s.known(ctx, in, r)
	if err != nil {
		return envelope.RegistrationAnswer{}, nil, err
	}
	n, err := s.newcomer(ctx, in, r, begun)
	if err != nil {
		return envelope.RegistrationAnswer{}, nil, err
	}
	var o operation.Operation
	err = s.DB.Update(ctx, func(tx storage.Tx) error {
		o, err = s.register(tx, n)
		return err
	})
	if err != nil {
		return envelope.RegistrationAnswer{}, nil, refusedDevice(err)
	}
	s.Operations.Announce(ctx, o)
	if n.policy.Confirmation == ConfirmNone || n.stored.TransferOf != "" {
		c, err := s.settle(ctx, o.ID, nil)
		switch {
		case err != nil:
			return envelope.RegistrationAnswer{}, nil, err
		case c.Code != operation.Accepted:
			return envelope.RegistrationAnswer{}, nil, refuse(c.Reason)
		}
		n.stored = c.Device
	}
	return n.answer(o), n.serverKey(), nil
}

// begun is the registration that a phone has proven the code of, and what its evidence has to be made for.
type begun struct {
	operation operation.Operation
	challenge []byte
}

// known refuses whoever does not have the code, before anything is worked out for them, and counts a wrong proof.
func (s *Store) known(ctx context.Context, in envelope.Request, r envelope.Registration) (b begun, err error) {
	refused, state := "", registration{}
	drawn := s.event(audit.ActorOf(ctx), audit.Event{Name: "registration.proof", Outcome: audit.Refused, Reason: ReasonProof})
	err = s.DB.View(ctx, func(tx storage.Tx) (err error) {
		b.operation, state, refused, err = s.find(tx, in, r)
		return err
	})
	if err == nil && refused == "" {
		code, err := envelope.ParseActivationCode(state.Code)
		b.challenge = code.AttestationChallenge()
		return b, asRefusal("", err)
	}
	if err != nil || refused != ReasonProof {
		return b, asRefusal(refused, err)
	}
	var ended *operation.Operation
	err = s.DB.Update(ctx, func(tx storage.Tx) error {
		ended = nil
		o, state, reason, err := s.find(tx, in, r)
		if refused = reason; err != nil || reason != ReasonProof {
			return err
		}
		ended, err = s.wrongProof(tx, &o, state, drawn)
		return err
	})
	if ended != nil && err == nil {
		s.Operations.Announce(ctx, *ended)
	}
	return b, asRefusal(refused, err)
}

func asRefusal(reason string, err error) error {
	switch {
	case err != nil:
		return failed("registering a device", err)
	case reason != "":
		return refuse(reason)
	}
	return nil
}

// find returns the registration that waits for a code, and why not.
func (s *Store) find(tx storage.Tx, in envelope.Request, r envelope.Registration) (
	o operation.Operation, state registration, refused string, err error,
) {
	entry, found, err := s.codes.Find(tx, r.Lookup)
	if err != nil || !found {
		return o, state, ReasonUnknown, err
	}
	o, found, err = s.Operations.Find(tx, entry.Operation)
	switch {
	case err != nil:
		return o, state, "", err
	case !found || !o.State.Open():
		return o, state, ReasonOver, nil
	}
	if state, err = decode(&o); err != nil {
		return o, state, "", err
	}
	secret, err := envelope.ParseActivationCode(state.Code)
	if err != nil {
		return o, state, "", failed("reading a stored activation code", err)
	}
	if !secret.Proves(r, in) {
		return o, state, ReasonProof, nil
	}
	return o, state, "", nil
}

// wrongProof counts, and ends the registration at the limit.
func (s *Store) wrongProof(tx storage.Tx, o *operation.Operation, state registration, e audit.Event) (*operation.Operation, error) {
	e.Subject, e.Operation, e.ClientID = o.UserID, o.ID, cmp.Or(e.ClientID, o.ClientID)
	if err := s.Audit.Append(tx, e); err != nil {
		return nil, err
	}
	state.Tries++
	if state.Tries < CodeTries {
		return nil, s.amend(tx, o, state)
	}
	if err := s.dropDevice(tx, state.Device, ReasonAttempts, audit.Actor{}); err != nil {
		return nil, err
	}
	ended, err := s.Operations.FinishTx(tx, o.ID, operation.Finish{State: operation.Failed, Reason: ReasonAttempts})
	return &ended, err
}

func (s *Store) amend(tx storage.Tx, o *operation.Operation, state registration) error {
	data, err := state.encode()
	if err != nil {
		return err
	}
	*o, err = s.Operations.AmendTx(tx, o.ID, o.Version, o.State, data)
	return err
}

// newcomer is a device that is to be registered, worked out before the transaction.
type newcomer struct {
	in     envelope.Request
	said   envelope.Registration
	policy Policy
	device handset.Device
	own    *jose.DecryptionKey
	by     audit.Actor

	stored handset.Device // by the last run of the closure
}

func (s *Store) newcomer(ctx context.Context, in envelope.Request, r envelope.Registration, b begun) (*newcomer, error) {
	p, err := s.policy(r.Application)
	if err != nil {
		return nil, refuseFor(ReasonApplication, err)
	}
	n := &newcomer{in: in, said: r, policy: p, by: audit.ActorOf(ctx)}
	if err := s.checkSaid(n); err != nil {
		return nil, err
	}
	n.device = handset.Device{
		ID: handset.NewID(), Name: r.Name, Application: r.Application, Platform: r.Platform, AppVersion: r.Version,
		Model: r.Model, OS: r.OS, Status: handset.Pending, MaxFailures: p.PIN.MaxAttempts,
	}
	if err := n.device.SetKeys(r.Keys); err != nil {
		return nil, refuseFor(ReasonDevice, err)
	}
	if r.Push != nil && p.Push {
		n.device.Push = &handset.Push{Service: r.Push.Service, Address: r.Push.Address, At: s.now()}
		if err := s.address(&n.device); err != nil {
			return nil, refuseFor(ReasonDevice, err)
		}
	}
	for kind, secret := range r.Factors {
		n.device.Factors = append(n.device.Factors, handset.Factor{Kind: kind, Secret: secret[:], At: s.now(), SetBy: in.ID})
	}
	slices.SortFunc(n.device.Factors, func(a, b handset.Factor) int { return cmp.Compare(a.Kind, b.Kind) })
	if n.device.Hash, err = s.Devices.Hash(ctx, r.Handset); err != nil {
		return nil, refusedDevice(err)
	}
	return n, s.equip(ctx, n, b)
}

// checkSaid holds what the phone says against version rules and policy.
func (s *Store) checkSaid(n *newcomer) error {
	switch status, _ := s.Applications.Status(n.said.Application, n.said.Platform, n.said.Version); status {
	case mobileauth.Active, mobileauth.Notify:
	default:
		return refuse(ReasonVersion)
	}
	if _, has := n.said.Factors[envelope.FactorPIN]; n.policy.PIN.Required && !has {
		return refuse(ReasonPIN)
	}
	for kind := range n.said.Factors {
		if !n.policy.Allows(kind) {
			return refuse(ReasonFactor)
		}
	}
	return nil
}

// equip makes the keys that the server has for this device alone, and has the attestation graded.
func (s *Store) equip(ctx context.Context, n *newcomer, b begun) (err error) {
	d, p := &n.device, &n.policy
	d.Attestation, err = s.grade(ctx, Evidence{
		Raw: n.said.Attestation, Application: d.Application, Platform: d.Platform, Version: d.AppVersion,
		Keys: n.said.Keys, Challenge: b.challenge,
	})
	if err != nil {
		return err
	}
	if reason := p.rule(d.Platform).refused(&d.Attestation); reason != "" {
		return errors.Join(refuse(reason), s.noteRefusal(ctx, reason, audit.Event{
			Subject: b.operation.UserID, Operation: b.operation.ID, ClientID: b.operation.ClientID,
		}))
	}
	if p.UniqueKeys {
		key, err := jose.GenerateDecryption()
		if err != nil {
			return failed("making a key for one device", err)
		}
		if d.ServerKey, err = jose.MarshalDecryption(key); err != nil {
			return failed("making a key for one device", err)
		}
		n.own, d.ServerKeyID = &key, key.KID
	}
	return s.equipPGP(ctx, n)
}

func (s *Store) equipPGP(ctx context.Context, n *newcomer) (err error) {
	if n.policy.Encryption != OpenPGP {
		return nil // a key that nobody asked for is not kept
	}
	if len(n.said.PGP) == 0 {
		return refuse(ReasonPGP)
	}
	private, public, err := s.PGP.Pair(ctx, n.said.PGP)
	switch {
	case errors.Is(err, ErrInvalid):
		return refuseFor(ReasonPGP, err)
	case err != nil:
		return failed("making OpenPGP keys for one device", err)
	}
	n.device.PGP, n.device.PGPServerKey, n.device.PGPServer = n.said.PGP, private, public
	return nil
}

// register stores the device. Everything that was found out outside is asked again.
func (s *Store) register(tx storage.Tx, n *newcomer) (operation.Operation, error) {
	o, state, refused, err := s.find(tx, n.in, n.said)
	if err != nil || refused != "" {
		return o, asRefusal(refused, err)
	}
	if o.Application != n.device.Application {
		return o, refuse(ReasonApplication)
	}
	if err := s.active(tx, o.UserID); err != nil {
		return o, err
	}
	if state.Device != "" {
		return s.again(tx, n, &o, state)
	}
	if n.policy.PushMode == Single {
		rivals, err := s.rivals(tx, o.UserID, o.Application, state.TransferOf)
		if err != nil {
			return o, err
		}
		if atHand(rivals) {
			return o, refuse(ReasonSingle)
		}
	}
	d := n.device
	d.Factors = slices.Clone(d.Factors)
	d.UserID, d.Operation, d.TransferOf, d.PendingUntil = o.UserID, o.ID, state.TransferOf, o.AnswerBy
	if err := s.Devices.Put(tx, &d, n.by); err != nil {
		return o, err
	}
	n.stored = d
	state.Device, state.Digits = d.ID, n.digits(&o)
	data, err := state.encode()
	if err != nil {
		return o, err
	}
	return s.Operations.AmendTx(tx, o.ID, o.Version, operation.Delivered, data)
}

// digits are those that the phone computes for itself.
func (n *newcomer) digits(o *operation.Operation) string {
	return envelope.Digits(o.ID, n.said.Keys, n.in.ServerKey, n.in.ID)
}

// again answers the phone that has registered already and did not hear so. Another phone with the same code is refused.
func (s *Store) again(tx storage.Tx, n *newcomer, o *operation.Operation, state registration) (operation.Operation, error) {
	d, found, err := s.Devices.Find(tx, state.Device)
	if err != nil {
		return *o, err
	}
	if !found || d.Status != handset.Pending || !same(&d, &n.device) {
		return *o, refuse(ReasonUsed)
	}
	n.stored = d
	state.Digits = n.digits(o)
	err = s.amend(tx, o, state)
	return *o, err
}

// same reports whether two records are of one registration: its keys and its secrets.
func same(a, b *handset.Device) bool {
	if a.SignKeyID != b.SignKeyID || a.EncKeyID != b.EncKeyID || len(a.Factors) != len(b.Factors) {
		return false
	}
	for i := range a.Factors {
		if a.Factors[i].Kind != b.Factors[i].Kind || subtle.ConstantTimeCompare(a.Factors[i].Secret, b.Factors[i].Secret) == 0 {
			return false
		}
	}
	return true
}

func (s *Store) active(tx storage.Tx, userID string) error {
	err := s.Users.Active(tx, userID)
	if errors.Is(err, mobileauth.ErrInactive) {
		return refuseFor(ReasonUser, err)
	}
	return err
}

// refusedDevice makes refusals of what package handset refuses. A fault of the store stays one.
func refusedDevice(err error) error {
	for _, refusal := range []error{
		handset.ErrInvalid, handset.ErrLimit, handset.ErrBlocked, handset.ErrKeyTaken, handset.ErrPushTaken,
	} {
		if errors.Is(err, refusal) {
			return refuseFor(ReasonDevice, err)
		}
	}
	return err
}

func (n *newcomer) answer(o operation.Operation) envelope.RegistrationAnswer {
	wire := n.policy.Wire()
	if n.stored.TransferOf != "" {
		wire.Confirmation = ConfirmNone
	}
	return envelope.RegistrationAnswer{
		Device: n.stored.ID, Operation: o.ID, Status: string(n.stored.Status), Policy: wire, PGP: n.stored.PGPServer,
	}
}

// serverKey is the one of the stored record: a registration that is repeated drew another one in vain.
func (n *newcomer) serverKey() *jose.EncryptionKey {
	if len(n.stored.ServerKey) == 0 {
		return nil
	}
	key, err := jose.ParseDecryption(n.stored.ServerKey)
	if err != nil {
		return nil
	}
	public := key.Public()
	return &public
}
