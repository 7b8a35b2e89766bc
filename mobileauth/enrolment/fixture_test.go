// SPDX-License-Identifier: Apache-2.0

package enrolment_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope/pgp"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

const (
	issuer    = "https://id.example.com"
	serverKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

var errDown = errors.New("the store is down")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// versions are the statuses of versions of the one application there is.
type versions map[string]mobileauth.Status

func (v versions) Status(app, platform, version string) (mobileauth.Status, mobileauth.Notice) {
	if (app != "bank" && app != "wallet") || platform != "ios" {
		return mobileauth.Unknown, mobileauth.Notice{}
	}
	return v[version], mobileauth.Notice{}
}

// world is a store of registrations with everything around it.
type world struct {
	*enrolment.Store
	t       testing.TB
	db      *storagetest.FaultyDB
	clock   *storagetest.Clock
	users   *mobiletest.Users
	trail   *audit.Trail
	devices *handset.Store
	ops     *operation.Store
	policy  *enrolment.Policy // of the application "bank"
}

func newWorld(t testing.TB, engine int, change ...func(*enrolment.Config, *enrolment.Policy)) *world {
	t.Helper()
	w := &world{t: t, clock: storagetest.NewClock(), users: &mobiletest.Users{}}
	w.db = engines.All[engine].Open(t, w.clock.Now)
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	must(t, err)
	w.trail, err = audit.New(audit.Config{DB: w.db, Logger: slog.New(slog.DiscardHandler), Now: w.clock.Now})
	must(t, err)
	w.devices, err = handset.New(handset.Config{
		DB: w.db, Sealer: sealer, Users: w.users, Audit: w.trail, Now: w.clock.Now,
		OnRevoke: []func(storage.Tx, handset.Device) error{func(tx storage.Tx, d handset.Device) error {
			if err := w.ops.CloseForDevice(tx, d); err != nil {
				return err
			}
			for i := range 10 { // what tokens and sessions may write
				if err := tx.Put(storage.Item{Key: fmt.Sprintf("revoked/%s/%d", d.ID, i)}); err != nil {
					return err
				}
			}
			return nil
		}},
	})
	must(t, err)
	w.ops, err = operation.New(operation.Config{
		DB: w.db, Sealer: sealer, Users: w.users, Devices: w.devices, Audit: w.trail, Now: w.clock.Now,
		OnChange: []func(storage.Tx, operation.Change) error{func(tx storage.Tx, c operation.Change) error {
			return tx.Put(storage.Item{Key: fmt.Sprintf("told/%s/%s", c.Operation.ID, c.What)})
		}},
		Limits: operation.Limits{Open: 8, OpenOfClient: 5},
	})
	must(t, err)
	policy := enrolment.DefaultPolicy()
	w.policy = &policy
	config := enrolment.Config{
		DB: w.db, Sealer: sealer, Users: w.users, Devices: w.devices, Operations: w.ops, Audit: w.trail, Issuer: issuer,
		Applications: versions{"1.0": mobileauth.Active, "1.1": mobileauth.Notify, "0.9": mobileauth.NoRegistration, "0.1": mobileauth.Disabled},
		Policies: func(application string) (enrolment.Policy, bool) {
			if application == "wallet" {
				return enrolment.DefaultPolicy(), true
			}
			return *w.policy, application == "bank"
		},
		ServerKey: func() (string, error) { return serverKey, nil }, Now: w.clock.Now,
	}
	for _, fn := range change {
		fn(&config, w.policy)
	}
	*w.policy, err = w.policy.Normalize()
	must(t, err)
	w.Store, err = enrolment.New(config)
	must(t, err)
	return w
}

// pgpKey is a public OpenPGP key of a device.
func pgpKey(t testing.TB) []byte {
	t.Helper()
	key, err := pgp.Generate(pgp.V6, time.Unix(1_700_000_000, 0))
	must(t, err)
	public, err := key.Public().Marshal()
	must(t, err)
	return public
}

// over runs a test over every engine.
func over(t *testing.T, test func(t *testing.T, w *world), change ...func(*enrolment.Config, *enrolment.Policy)) {
	t.Parallel()
	for i, e := range engines.All {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			test(t, newWorld(t, i, change...))
		})
	}
}

// with changes the policy.
func with(change func(p *enrolment.Policy)) func(*enrolment.Config, *enrolment.Policy) {
	return func(_ *enrolment.Config, p *enrolment.Policy) { change(p) }
}

func (w *world) ctx() context.Context {
	return audit.WithActor(w.t.Context(), audit.Actor{By: "client:portal", ClientID: "portal"})
}

// start starts a registration of a user.
func (w *world) start(userID string, change ...func(*enrolment.Start)) enrolment.Begun {
	w.t.Helper()
	s := enrolment.Start{UserID: userID, Application: "bank", ClientID: "portal"}
	for _, fn := range change {
		fn(&s)
	}
	b, _, err := w.Start(w.ctx(), s)
	must(w.t, err)
	return b
}

// phone is a phone that registers: its keys, and what it says.
type phone struct {
	keys    envelope.Keys
	request envelope.Request
	said    envelope.Registration
}

func secret(fill byte) envelope.Secret {
	return envelope.Secret(bytes.Repeat([]byte{fill}, envelope.SecretLen))
}

// phone makes a phone with a code.
func (w *world) phone(code string, change ...func(*phone)) *phone {
	w.t.Helper()
	p := &phone{keys: mobiletest.Keys(w.t)}
	p.said = envelope.Registration{
		Keys: p.keys.Public(), Application: "bank", Version: "1.0", Platform: "ios", Name: "Phone", Model: "X",
		Factors: map[string]envelope.Secret{envelope.FactorPIN: secret(1)},
	}
	for _, fn := range change {
		fn(p)
	}
	p.ask(w, code)
	return p
}

// ask makes a new request with a code.
func (p *phone) ask(w *world, code string) {
	w.t.Helper()
	secret, err := envelope.ParseActivationCode(code)
	must(w.t, err)
	p.request = envelope.Request{
		Device: p.keys.Public().Sign.ID(), Audience: issuer, Path: envelope.PathRegistrations, ID: envelope.NewID(),
		At: w.clock.Now(), SigningKey: p.keys.Public().Sign.ID(), ServerKey: serverKey,
	}
	p.said.Lookup, p.said.MAC = secret.Lookup(), secret.MAC(p.said.Keys, p.request.ID)
}

func (w *world) register(p *phone) (envelope.RegistrationAnswer, error) {
	answer, _, err := w.Register(w.t.Context(), p.request, p.said)
	return answer, err
}

// digits are what the phone shows.
func (p *phone) digits(operationID string) string {
	return envelope.Digits(operationID, p.said.Keys, p.request.ServerKey, p.request.ID)
}

// enrol brings a new device of a user to where it gets by itself.
func (w *world) enrol(userID string, change ...func(*enrolment.Start)) (handset.Device, *phone) {
	w.t.Helper()
	b := w.start(userID, change...)
	p := w.phone(b.Code)
	_, err := w.register(p)
	must(w.t, err)
	c, err := w.Confirm(w.ctx(), b.Operation.ID, p.digits(b.Operation.ID))
	must(w.t, err)
	if c.Code != operation.Accepted {
		w.t.Fatalf("the confirmation is %+v", c)
	}
	return c.Device, p
}

func (w *world) device(id string) handset.Device {
	w.t.Helper()
	d, err := w.devices.Get(w.t.Context(), id)
	must(w.t, err)
	return d
}

func (w *world) op(id string) operation.Operation {
	w.t.Helper()
	o, err := w.ops.Get(w.t.Context(), id)
	must(w.t, err)
	return o
}

// says makes a message of a device with a statement and a PIN.
func (w *world) says(d handset.Device, p *phone, s envelope.Statement, pin envelope.Secret) (handset.Message, handset.Proof) {
	w.t.Helper()
	s.Device, s.Audience, s.ID, s.At = d.ID, issuer, envelope.NewID(), w.clock.Now()
	signed, err := envelope.SignStatement(s, p.keys)
	must(w.t, err)
	m := handset.Message{DeviceID: d.ID, KID: p.keys.Public().Sign.ID(), JTI: envelope.NewID(), IssuedAt: w.clock.Now()}
	return m, handset.Proof{Statement: signed, Factors: envelope.Factors{envelope.FactorPIN: signed.MAC(pin)}}
}

// judge has a device say yes or no to another.
func (w *world) judge(d handset.Device, p *phone, target string, decision envelope.Decision) (handset.Verdict, error) {
	m, proof := w.says(d, p, envelope.Statement{Purpose: envelope.PurposeDevice, Target: target, Decision: decision}, secret(1))
	return w.Judge(w.t.Context(), m, proof)
}

// refusedFor reports whether an error is a refused message of a reason.
func refusedFor(err error, reason string) bool {
	return errors.Is(err, envelope.ErrRefused) && string(envelope.ReasonOf(err)) == reason
}
