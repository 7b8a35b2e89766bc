// SPDX-License-Identifier: Apache-2.0

package asking_test

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/budget"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

const (
	mobile = "+31612345678"
	masked = "+31 ** *** **78"
)

// english is what the types say.
var english = map[string]string{"en": "Sign in to Example", "nl": "Inloggen bij Example"}

// types are one of each method, and some that lead on.
var types = []mobiletype.Type{
	{Name: "custom", Method: mobiletype.PushCustom, Custom: "voice", Messages: english},
	{Name: "finger", Method: mobiletype.PushFingerprint, Messages: english, ACR: "gold"},
	{Name: "late", Method: mobiletype.PushPIN, Fallback: "sms", After: 30 * time.Second, Messages: english},
	{Name: "mute", Method: mobiletype.Push, Fallback: "push"},
	{Name: "pin", Method: mobiletype.PushPIN, Fallback: "sms", Messages: english, Signing: true},
	{Name: "push", Method: mobiletype.Push, Messages: english, TimeToLive: time.Minute},
	{Name: "scan", Method: mobiletype.OTP, Messages: english},
	{Name: "sms", Method: mobiletype.SMS, Messages: map[string]string{"en": "Your code: {code}", "nl": "Je code: {code}"}, Origin: "id.example.com"},
	{Name: "steps", Method: mobiletype.PushCustom, Custom: "voice", Fallback: "pin", Messages: english},
}

// people are those that are known.
type people map[string]asking.Person

func (p people) Active(_ storage.Tx, id string) error {
	if _, known := p[id]; !known {
		return fmt.Errorf("unknown: %w", mobileauth.ErrInactive)
	}
	return nil
}

func (p people) Person(_ storage.Tx, id string) (asking.Person, error) { return p[id], nil }

type world struct {
	*asking.Service
	t          testing.TB
	db         storage.DB
	clock      *storagetest.Clock
	people     people
	operations *operation.Store
	handset    *handset.Store
	budget     *budget.Store
	config     asking.Config
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t testing.TB, change ...func(*world)) *world {
	t.Helper()
	return newWorldOver(t, func(t testing.TB, now func() time.Time) storage.DB { return engines.All[0].Open(t, now) }, change...)
}

// newWorldOver has a store of its own.
func newWorldOver(t testing.TB, open func(testing.TB, func() time.Time) storage.DB, change ...func(*world)) *world {
	t.Helper()
	w := &world{t: t, clock: storagetest.NewClock(), people: people{}}
	w.db = open(t, w.clock.Now)
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	must(t, err)
	trail, err := audit.New(audit.Config{DB: w.db, Logger: slog.New(slog.DiscardHandler), Now: w.clock.Now})
	must(t, err)
	w.handset, err = handset.New(handset.Config{DB: w.db, Sealer: sealer, Users: w.people, Audit: trail, Now: w.clock.Now})
	must(t, err)
	w.budget, err = budget.New(budget.Config{DB: w.db, Sealer: sealer, Now: w.clock.Now, Limits: budget.Limits{Number: 4}})
	must(t, err)
	w.operations, err = operation.New(operation.Config{
		DB: w.db, Sealer: sealer, Users: w.people, Devices: w.handset, Audit: trail, Now: w.clock.Now,
		OnChange: []func(storage.Tx, operation.Change) error{asking.Spending(w.budget)}, Limits: operation.Limits{Open: 8, OpenOfClient: 8},
	})
	must(t, err)
	set, err := mobiletype.New(types, mobiletype.Config{})
	must(t, err)
	w.config = asking.Config{
		DB: w.db, Operations: w.operations, Devices: w.handset, People: w.people, Types: set, Budget: w.budget,
		Describe: func(_ context.Context, from asking.Origin, language, message string, most int) string {
			return fmt.Sprintf("%s (%s, %s, %s, %d)", message, language, from.Address, from.UserAgent, most)
		},
	}
	for _, fn := range change {
		fn(w)
	}
	w.Service, err = asking.New(w.config)
	must(t, err)
	return w
}

// phone adds an active device with the given factors.
func (w *world) phone(userID, application string, factors ...string) string {
	w.t.Helper()
	sign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(w.t, err)
	enc, err := ecdh.P256().GenerateKey(rand.Reader)
	must(w.t, err)
	keys, err := envelope.NewKeys(sign, enc)
	must(w.t, err)
	d := handset.Device{
		ID: handset.NewID(), UserID: userID, Name: "Phone", Application: application, Platform: "android", Status: handset.Active,
	}
	must(w.t, d.SetKeys(keys.Public()))
	for _, kind := range factors {
		secret, err := envelope.NewSecret()
		must(w.t, err)
		d.Factors = append(d.Factors, handset.Factor{Kind: kind, Secret: secret[:]})
	}
	must(w.t, w.db.Update(w.t.Context(), func(tx storage.Tx) error {
		stored := d
		return w.handset.Put(tx, &stored, audit.Actor{By: "operator"})
	}))
	return d.ID
}

// request asks a user for an authentication by a type.
func request(userID, typ string, change ...func(*asking.Request)) asking.Request {
	r := asking.Request{Type: typ, Kind: operation.Authentication, UserID: userID, ClientID: "portal"}
	for _, fn := range change {
		fn(&r)
	}
	return r
}

func (w *world) ask(userID, typ string, change ...func(*asking.Request)) operation.Operation {
	w.t.Helper()
	o, created, err := w.Start(w.t.Context(), request(userID, typ, change...))
	must(w.t, err)
	if !created {
		w.t.Fatal("it was there already")
	}
	return o
}

// shown is what a phone shows of an operation.
func (w *world) shown(o operation.Operation) envelope.Display {
	w.t.Helper()
	d, err := envelope.ParseDisplay(o.Display, o.ID)
	must(w.t, err)
	return d
}

func reasons(skipped []operation.Skipped) []string {
	var all []string
	for _, s := range skipped {
		all = append(all, s.Type+" "+s.Reason)
	}
	return slices.Clip(all)
}
