// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

const issuer = "https://id.example.com"

var errDown = errors.New("the store is down")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// users are those that are not active.
type users struct {
	mu  sync.Mutex
	out map[string]error
}

func (u *users) Active(_ storage.Tx, id string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.out[id]
}

func (u *users) say(id string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.out[id] = err
}

// world is a store of operations with the phones that answer them.
type world struct {
	*operation.Store
	t       testing.TB
	db      *storagetest.FaultyDB
	clock   *storagetest.Clock
	users   *users
	trail   *audit.Trail
	handset *handset.Store
	config  operation.Config
}

// newWorld opens one over an engine. About half of the transaction closures run twice.
func newWorld(t testing.TB, engine int, change ...func(*operation.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: storagetest.NewClock(), users: &users{out: map[string]error{}}}
	w.db = engines.All[engine].Open(t, w.clock.Now)
	w.build(change...)
	return w
}

// build makes the stores over w.db.
func (w *world) build(change ...func(*operation.Config)) {
	w.t.Helper()
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	must(w.t, err)
	w.trail, err = audit.New(audit.Config{DB: w.db, Logger: slog.New(slog.DiscardHandler), Now: w.clock.Now})
	must(w.t, err)
	w.handset, err = handset.New(handset.Config{
		DB: w.db, Sealer: sealer, Users: w.users, Audit: w.trail, Now: w.clock.Now,
		OnRevoke: []func(storage.Tx, handset.Device) error{func(tx storage.Tx, d handset.Device) error {
			return w.CloseForDevice(tx, d)
		}},
	})
	must(w.t, err)
	w.config = operation.Config{
		DB: w.db, Sealer: sealer, Users: w.users, Devices: w.handset, Audit: w.trail, Now: w.clock.Now,
		OnChange: []func(storage.Tx, operation.Change) error{record},
		Pushes:   func(*handset.Device) bool { return true },
	}
	for _, fn := range change {
		fn(&w.config)
	}
	w.Store, err = operation.New(w.config)
	must(w.t, err)
}

// record keeps what is told in the store, where a closure that runs twice tells it once.
func record(tx storage.Tx, c operation.Change) error {
	key := fmt.Sprintf("told/%s/%s/%06d/%s", c.UserID, c.Operation.ID, c.Operation.Version, c.What)
	return tx.Insert(storage.Item{Key: key, Value: []byte(fmt.Sprintf("%s %s", c.What, c.Operation.State))})
}

// told returns what was told of a user's operations, or of one of them.
func (w *world) told(userID, id string) []string {
	w.t.Helper()
	var found []string
	must(w.t, w.db.View(w.t.Context(), func(tx storage.Tx) error {
		found = nil
		for item, err := range tx.Scan(strings.TrimSuffix("told/"+userID+"/"+id, "/")+"/", "", 0) {
			if err != nil {
				return err
			}
			found = append(found, string(item.Value))
		}
		return nil
	}))
	return found
}

// reasons returns what the audit trail says of an operation: name, outcome and reason.
func (w *world) reasons(id string) []string {
	w.t.Helper()
	page, err := w.trail.Query(w.t.Context(), audit.Query{Operation: id})
	must(w.t, err)
	var found []string
	slices.SortStableFunc(page.Events, func(a, b audit.Event) int { return a.Time.Compare(b.Time) })
	for _, e := range page.Events {
		found = append(found, strings.TrimSuffix(strings.TrimPrefix(e.Name, "operation.")+" "+e.Outcome+" "+e.Reason, " "))
	}
	return found
}

// over runs a test over every engine.
func over(t *testing.T, test func(t *testing.T, w *world)) {
	t.Parallel()
	for i, e := range engines.All {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			test(t, newWorld(t, i))
		})
	}
}

// ask starts an operation that has to start.
func (w *world) ask(userID string, change ...func(*operation.Start)) operation.Operation {
	w.t.Helper()
	start := question(userID, change...)
	o, created, err := w.Start(w.t.Context(), start)
	must(w.t, err)
	if !created {
		w.t.Fatal("it was there already")
	}
	return o
}

// question is an authorisation that needs a PIN and no number. No share is held against its client.
func question(userID string, change ...func(*operation.Start)) operation.Start {
	start := operation.Start{
		Kind: operation.Authorisation, UserID: userID, ClientID: "portal", Common: true, NumberMatch: operation.NoNumber,
		Context: operation.Context{Title: "Pay", Content: "Pay 10 EUR to Ann?"},
	}
	for _, fn := range change {
		fn(&start)
	}
	return start
}

// naming has a client begin a question that knows no more than whom it asks, and owning one that has the user's credential.
func naming(client string) func(*operation.Start) {
	return func(s *operation.Start) { s.ClientID, s.Common = client, false }
}

func owning(client string) func(*operation.Start) {
	return func(s *operation.Start) { s.ClientID, s.Common, s.OwnRequest = client, false, true }
}

// ours is what the server asks by itself, as when somebody logs in.
func ours(s *operation.Start) { s.ClientID, s.Common = "", false }

func login(s *operation.Start) { s.Kind = operation.Authentication }

func with(methods ...string) func(*operation.Start) {
	return func(s *operation.Start) { s.Methods = methods }
}

func digits(n int) func(*operation.Start) {
	return func(s *operation.Start) { s.NumberMatch = n }
}

func key(k string) func(*operation.Start) {
	return func(s *operation.Start) { s.IdempotencyKey = k }
}

func at(p *phone) func(*operation.Start) {
	return func(s *operation.Start) { s.DeviceID = p.id }
}

// phone is a device and the person who holds it.
type phone struct {
	w       *world
	id      string
	keys    envelope.Keys
	secrets map[string]envelope.Secret
}

// phone adds an active device with a PIN, a biometric factor and a custom one.
func (w *world) phone(userID string, change ...func(*handset.Device)) *phone {
	w.t.Helper()
	p := &phone{w: w, secrets: map[string]envelope.Secret{}, keys: newKeys(w.t)}
	d := handset.Device{
		ID: handset.NewID(), UserID: userID, Name: "Phone", Application: "bank", Platform: "ios", Status: handset.Active,
	}
	for _, kind := range []string{"pin", "biometric", "custom:voice"} {
		secret, err := envelope.NewSecret()
		must(w.t, err)
		p.secrets[kind] = secret
		d.Factors = append(d.Factors, handset.Factor{Kind: kind, Secret: secret[:]})
	}
	must(w.t, d.SetKeys(p.keys.Public()))
	for _, fn := range change {
		fn(&d)
	}
	must(w.t, w.db.Update(w.t.Context(), func(tx storage.Tx) error {
		stored := d
		return w.handset.Put(tx, &stored, audit.Actor{By: "operator"})
	}))
	p.id = d.ID
	return p
}

func newKeys(t testing.TB) envelope.Keys {
	t.Helper()
	sign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	enc, err := ecdh.P256().GenerateKey(rand.Reader)
	must(t, err)
	k, err := envelope.NewKeys(sign, enc)
	must(t, err)
	return k
}

// reply is what a phone is going to send; tests spoil it.
type reply struct {
	statement envelope.Statement
	factors   map[string]envelope.Secret // with which MACs are made
	message   handset.Message
}

func wrongPIN(r *reply) { r.factors["pin"] = envelope.Secret{1} }

func number(n string) func(*reply) { return func(r *reply) { r.statement.Number = n } }

func by(method string, p *phone) func(*reply) {
	return func(r *reply) {
		r.statement.Method = method
		r.factors = map[string]envelope.Secret{}
		if method != "possession" {
			r.factors[method] = p.secrets[method]
		}
	}
}

// sign makes an answer by this phone.
func (p *phone) sign(r reply) operation.Answer {
	p.w.t.Helper()
	st, err := envelope.SignStatement(r.statement, p.keys)
	must(p.w.t, err)
	a := operation.Answer{Message: r.message, Statement: st, Factors: envelope.Factors{}}
	for kind, secret := range r.factors {
		a.Factors[kind] = st.MAC(secret)
	}
	return a
}

func (p *phone) draft(o operation.Operation, decision envelope.Decision) reply {
	now := p.w.clock.Now()
	return reply{
		statement: envelope.Statement{
			Device: p.id, Audience: issuer, ID: envelope.NewID(), At: now, Purpose: envelope.PurposeApproval,
			Operation: o.ID, DisplayHash: envelope.DisplayHash(o.Display), Decision: decision,
		},
		message: p.message(),
	}
}

func (p *phone) message() handset.Message {
	return handset.Message{DeviceID: p.id, KID: p.keys.Public().Sign.ID(), JTI: envelope.NewID(), IssuedAt: p.w.clock.Now()}
}

// approval is an approval by PIN, with the right number.
func (p *phone) approval(o operation.Operation, spoil ...func(*reply)) operation.Answer {
	p.w.t.Helper()
	r := p.draft(o, envelope.Approve)
	r.statement.Number = o.Number
	by("pin", p)(&r)
	for _, fn := range spoil {
		fn(&r)
	}
	return p.sign(r)
}

func (p *phone) denial(o operation.Operation, reason string) operation.Answer {
	p.w.t.Helper()
	r := p.draft(o, envelope.Deny)
	r.statement.Reason = reason
	return p.sign(r)
}

func (p *phone) approve(o operation.Operation, spoil ...func(*reply)) operation.Outcome {
	p.w.t.Helper()
	return p.w.answer(p.approval(o, spoil...))
}

func (w *world) answer(a operation.Answer) operation.Outcome {
	w.t.Helper()
	out, err := w.Answer(w.from(a.Message.DeviceID), a)
	must(w.t, err)
	return out
}

// from is a context that says that a device acts.
func (w *world) from(device string) context.Context {
	return audit.WithActor(w.t.Context(), audit.Actor{By: "device:" + device, ClientIP: "192.0.2.1"})
}

func (w *world) get(id string) operation.Operation {
	w.t.Helper()
	o, err := w.Get(w.t.Context(), id)
	must(w.t, err)
	return o
}

func (w *world) standing(userID string) operation.Standing {
	w.t.Helper()
	s, err := w.Standing(w.t.Context(), userID)
	must(w.t, err)
	return s
}

func expect(t testing.TB, out operation.Outcome, code operation.Code, reason string) {
	t.Helper()
	if out.Code != code || out.Reason != reason {
		t.Fatalf("outcome %q for %q, want %q for %q", out.Code, out.Reason, code, reason)
	}
}

func (w *world) inactive(userID string) {
	w.users.say(userID, fmt.Errorf("locked: %w", mobileauth.ErrInactive))
}
