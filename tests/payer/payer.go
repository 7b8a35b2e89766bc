// SPDX-License-Identifier: Apache-2.0

package payer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

// The payer, the client by which they pay, and how long an approval may be of use.
const (
	User   = "usr_1"
	Client = "portal"
	Window = time.Minute
)

// ErrDown is what a store says that a test has broken.
var ErrDown = errors.New("the store is down")

// Failer is what both tests and property tests are.
type Failer interface {
	Helper()
	Fatal(...any)
	Context() context.Context
}

// Must ends a test that has met an error.
func Must(t interface {
	Helper()
	Fatal(...any)
}, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// People are all people there are: nothing is known of them but whether they are locked.
type People struct{ mobiletest.Users }

// Person knows nothing of anybody.
func (*People) Person(storage.Tx, string) (asking.Person, error) { return asking.Person{}, nil }

// Node is what one server has over a store.
type Node struct {
	*confirm.Store
	Operations *operation.Store
	Handset    *handset.Store
	Trail      *audit.Trail
}

// World is a store with the payer's phone, and any number of nodes over it.
type World struct {
	T      Failer
	DB     *storagetest.FaultyDB
	Clock  *storagetest.Clock
	People *People
	*Node

	Phone  string
	keys   envelope.Keys
	secret envelope.Secret
}

// New returns a world over one of the engines, with one node.
func New(t testing.TB, engine int, change ...func(*confirm.Config)) *World {
	t.Helper()
	w := &World{T: t, Clock: storagetest.NewClock(), People: new(People), keys: mobiletest.Keys(t)}
	w.DB = engines.All[engine].Open(t, w.Clock.Now)
	w.Node = w.Join(change...)
	w.enrol()
	return w
}

// Join starts another node, or the same one again.
func (w *World) Join(change ...func(*confirm.Config)) *Node {
	w.T.Helper()
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	Must(w.T, err)
	n := new(Node)
	n.Trail, err = audit.New(audit.Config{DB: w.DB, Logger: slog.New(slog.DiscardHandler), Now: w.Clock.Now})
	Must(w.T, err)
	n.Handset, err = handset.New(handset.Config{DB: w.DB, Sealer: sealer, Users: w.People, Audit: n.Trail, Now: w.Clock.Now})
	Must(w.T, err)
	n.Operations, err = operation.New(operation.Config{
		DB: w.DB, Sealer: sealer, Users: w.People, Devices: n.Handset, Audit: n.Trail, Now: w.Clock.Now, Limits: operation.Limits{Open: 8, OpenOfClient: 8},
	})
	Must(w.T, err)
	types, err := mobiletype.New([]mobiletype.Type{
		{Name: "pin", Method: mobiletype.PushPIN, Messages: map[string]string{"en": "Sign in"}},
	}, mobiletype.Config{})
	Must(w.T, err)
	asks, err := asking.New(asking.Config{DB: w.DB, Operations: n.Operations, Devices: n.Handset, People: w.People, Types: types})
	Must(w.T, err)
	c := confirm.Config{DB: w.DB, Operations: n.Operations, Ask: hold.AskBy(asks), Audit: n.Trail, Now: w.Clock.Now, Window: Window}
	for _, fn := range change {
		fn(&c)
	}
	n.Store, err = confirm.New(c)
	Must(w.T, err)
	return n
}

// enrol gives the user a phone with a PIN.
func (w *World) enrol() {
	w.T.Helper()
	var err error
	w.secret, err = envelope.NewSecret()
	Must(w.T, err)
	d := handset.Device{
		ID: handset.NewID(), UserID: User, Name: "Phone", Application: "bank", Platform: "ios", Status: handset.Active,
		Factors: []handset.Factor{{Kind: envelope.FactorPIN, Secret: w.secret[:]}},
	}
	Must(w.T, d.SetKeys(w.keys.Public()))
	Must(w.T, w.DB.Update(w.T.Context(), func(tx storage.Tx) error {
		stored := d
		return w.Handset.Put(tx, &stored, audit.Actor{By: "operator"})
	}))
	w.Phone = d.ID
}

// Answer has the phone decide.
func (w *World) Answer(id string, decision envelope.Decision) error {
	return w.say(id, decision, envelope.Denied)
}

// Refuse has the phone say no, and why.
func (w *World) Refuse(id, reason string) error { return w.say(id, envelope.Deny, reason) }

func (w *World) say(id string, decision envelope.Decision, reason string) error {
	o, err := w.Operations.Get(w.T.Context(), id)
	if err != nil {
		return err
	}
	now := w.Clock.Now()
	said := envelope.Statement{
		Device: w.Phone, Audience: "https://id.example.com", ID: envelope.NewID(), At: now, Purpose: envelope.PurposeApproval, Operation: o.ID,
		DisplayHash: envelope.DisplayHash(o.Display), Decision: decision,
	}
	if decision == envelope.Approve {
		said.Number, said.Method = o.Number, envelope.FactorPIN
	} else {
		said.Reason = reason
	}
	statement, err := envelope.SignStatement(said, w.keys)
	if err != nil {
		return err
	}
	a := operation.Answer{
		Message:   handset.Message{DeviceID: w.Phone, KID: w.keys.Public().Sign.ID(), JTI: envelope.NewID(), IssuedAt: now},
		Statement: statement, Factors: envelope.Factors{},
	}
	if decision == envelope.Approve {
		a.Factors[envelope.FactorPIN] = statement.MAC(w.secret)
	}
	out, err := w.Operations.Answer(w.T.Context(), a)
	if err == nil && out.Code != operation.Accepted {
		return fmt.Errorf("the answer is %s: %s", out.Code, out.Reason)
	}
	return err
}

// Approve has the phone say yes, which it may.
func (w *World) Approve(id string) {
	w.T.Helper()
	Must(w.T, w.Answer(id, envelope.Approve))
}
