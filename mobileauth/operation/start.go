// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Sizes of what a client says beside the context, in bytes.
const (
	MaxID           = 256
	MaxCallback     = 2048
	MaxMethods      = 8
	MaxRegistration = 16 << 10
)

// Start describes an operation to start.
type Start struct {
	Kind   Kind   `json:"kind"`
	UserID string `json:"user_id"`
	// DeviceID lets one device answer; empty lets every device of the user.
	DeviceID string `json:"device_id,omitempty"`
	// Application lets devices of one app answer; empty lets those of every app.
	Application string `json:"application,omitempty"`
	ClientID    string `json:"client_id,omitempty"`
	// ExternalID is the client's own reference. It need not be unique.
	ExternalID string `json:"external_id,omitempty"`
	// IdempotencyKey makes a repetition of this start return the operation that the first one made; with another body it is
	// [ErrIdempotency]. Keys are remembered for a day, each client has its own.
	IdempotencyKey string `json:"-"`
	// Methods are the ways to answer that are accepted, the preferred one first; one alone is required. Default: possession
	// for an authentication, a PIN otherwise.
	Methods []string `json:"methods,omitempty"`
	Context Context  `json:"context,omitzero"`
	// TimeToLive defaults to [Limits].TimeToLive.
	TimeToLive time.Duration `json:"time_to_live,omitempty"`
	// NumberMatch is how many digits the person has to type; zero takes [Limits].Number, [NoNumber] is none.
	NumberMatch int `json:"number_match,omitempty"`
	// Callback is told when the operation ends. Whether the client may name it was checked by the caller.
	Callback string `json:"callback,omitempty"`
	// Traceparent is kept as it came and is no part of what makes two requests the same.
	Traceparent string `json:"-"`
	// Registration is what package enrolment keeps with the operation.
	Registration json.RawMessage `json:"registration,omitempty"`
}

// Draft is an operation that was checked and drawn and is not stored yet: [Store.Prepare] makes it outside of transactions.
type Draft struct {
	operation   Operation
	key         string // of the idempotency record, empty without
	fingerprint string
	event       audit.Event
	actor       audit.Actor
}

// ID returns the id that the operation will have, if it is not one that exists.
func (d *Draft) ID() string { return d.operation.ID }

// AnswerBy returns until when the operation will be answerable.
func (d *Draft) AnswerBy() time.Time { return d.operation.AnswerBy }

// SetRegistration replaces what package enrolment keeps with the operation, where that depends on the id.
func (d *Draft) SetRegistration(data json.RawMessage) { d.operation.Registration = slices.Clone(data) }

// idempotency is the memory of one key.
type idempotency struct {
	Key         string    `json:"-"`
	Fingerprint string    `json:"fingerprint"`
	Operation   string    `json:"operation"`
	Until       time.Time `json:"until"`
}

func idempotencyTable() storage.Table[idempotency] {
	return storage.Table[idempotency]{
		Name: "operation_key", Version: 1,
		ID:     func(i *idempotency) string { return i.Key },
		Expiry: func(i *idempotency) time.Time { return i.Until },
	}
}

// Start starts an operation, or returns the one that the same request started before, with created false. Refusals are
// [ErrInvalid], [ErrIdempotency], [ErrUser], [ErrDevice], [ErrBlocked] and [ErrTooManyOpen].
func (s *Store) Start(ctx context.Context, start Start) (o Operation, created bool, err error) {
	draft, err := s.Prepare(ctx, start)
	if err != nil {
		return Operation{}, false, err
	}
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		o, created, err = s.StartTx(tx, draft)
		return err
	})
	if err != nil {
		return Operation{}, false, fmt.Errorf("starting an operation: %w", err)
	}
	if created {
		s.Announce(ctx, o)
		s.audit.Log(ctx, draft.event)
	}
	return o, created, nil
}

// Prepare checks a start and draws everything that is random about it.
func (s *Store) Prepare(ctx context.Context, start Start) (Draft, error) {
	o, err := s.draw(&start)
	if err != nil {
		return Draft{}, fmt.Errorf("starting an operation: %w", err)
	}
	d := Draft{operation: o, actor: audit.ActorOf(ctx)}
	if start.IdempotencyKey != "" {
		d.key = hash(start.ClientID, start.IdempotencyKey)
	}
	said, err := json.Marshal(start)
	if err != nil {
		return Draft{}, fmt.Errorf("starting an operation: %w", err)
	}
	d.fingerprint = hash(string(said))
	d.event = s.audit.Prepare(event(d.actor, "operation.start", &o))
	return d, nil
}

// draw checks everything that can be checked without the store.
func (s *Store) draw(start *Start) (Operation, error) {
	if err := start.check(); err != nil {
		return Operation{}, err
	}
	shown, err := start.Kind.checked(start.Context)
	if err != nil {
		return Operation{}, err
	}
	ttl, err := s.limits.ttl(start.TimeToLive)
	if err != nil {
		return Operation{}, err
	}
	digits, err := s.limits.digits(start.Kind, start.NumberMatch)
	if err != nil {
		return Operation{}, err
	}
	now := s.now()
	o := Operation{
		ID: newID(now), Kind: start.Kind, State: Pending, UserID: start.UserID, DeviceID: start.DeviceID,
		Application: start.Application, ClientID: start.ClientID, ExternalID: start.ExternalID, Methods: start.methods(),
		CallbackURL: start.Callback, Traceparent: start.Traceparent, CreatedAt: now, AnswerBy: now.Add(ttl), Version: 1,
		Registration: slices.Clone(start.Registration),
	}
	if o.Number, err = drawNumber(digits); err != nil {
		return Operation{}, err
	}
	return o, o.show(shown)
}

func (st *Start) check() error {
	if !st.Kind.known() {
		return invalid("kind", "want registration, authentication, authorisation or signature")
	}
	for _, f := range []struct {
		name, value string
		least, most int
	}{
		{"user_id", st.UserID, 1, MaxID}, {"device_id", st.DeviceID, 0, MaxID}, {"application", st.Application, 0, MaxID},
		{"client_id", st.ClientID, 0, MaxID}, {"external_id", st.ExternalID, 0, MaxID}, {"callback", st.Callback, 0, MaxCallback},
		{"idempotency_key", st.IdempotencyKey, 0, MaxID}, {"traceparent", st.Traceparent, 0, 64},
	} {
		if len(f.value) < f.least || len(f.value) > f.most || !printable(f.value) {
			return invalid(f.name, "want %d to %d bytes of printable text", f.least, f.most)
		}
	}
	if len(st.Methods) > MaxMethods {
		return invalid("methods", "more than %d", MaxMethods)
	}
	for i, m := range st.Methods {
		if !envelope.ValidMethod(m) || slices.Contains(st.Methods[:i], m) {
			return invalid(fmt.Sprintf("methods[%d]", i), "want possession, pin, biometric or custom:NAME, each once")
		}
	}
	if (st.Kind != Registration && len(st.Registration) > 0) || len(st.Registration) > MaxRegistration {
		return invalid("registration", "belongs to a registration, at most %d bytes", MaxRegistration)
	}
	return nil
}

func (st *Start) methods() []string {
	switch {
	case len(st.Methods) > 0:
		return slices.Clone(st.Methods)
	case st.Kind.evidenced():
		return []string{envelope.FactorPIN}
	}
	return []string{envelope.MethodPossession}
}

// printable refuses control and format characters, which would forge lines in logs.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) })
}

// drawNumber draws digits uniformly.
func drawNumber(digits int) (string, error) {
	if digits == 0 {
		return "", nil
	}
	most := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
	n, err := rand.Int(rand.Reader, most)
	if err != nil {
		return "", fmt.Errorf("drawing a number: %w", err)
	}
	return fmt.Sprintf("%0*d", digits, n), nil
}

// hash names what consists of several texts, none of which contains a NUL.
func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// StartTx is [Store.Start] in the caller's transaction, which must be rolled back when it fails. After the commit the caller
// calls [Store.Announce] with an operation that was created.
func (s *Store) StartTx(tx storage.Tx, d Draft) (o Operation, created bool, err error) {
	o, found, err := s.repeated(tx, &d)
	if err != nil || found {
		return o, false, err
	}
	o = d.operation
	o.Methods, o.Display = slices.Clone(o.Methods), bytes.Clone(o.Display) // the caller's, not the draft's
	if err := s.users.Active(tx, o.UserID); err != nil {
		return Operation{}, false, refusedUser(err)
	}
	if err := s.target(tx, &o); err != nil {
		return Operation{}, false, err
	}
	desk, err := s.readDesk(tx, o.UserID, o.CreatedAt)
	switch {
	case err != nil:
		return Operation{}, false, err
	case desk.blocked(o.CreatedAt):
		return Operation{}, false, ErrBlocked
	case len(desk.Open) >= s.limits.Open:
		return Operation{}, false, ErrTooManyOpen
	}
	if o.Kind != Registration {
		o.Push = desk.push(&s.limits, o.CreatedAt)
	}
	desk.add(&o)
	return o, true, s.store(tx, &d, &o, desk)
}

func (s *Store) store(tx storage.Tx, d *Draft, o *Operation, desk desk) error {
	if err := s.writeDesk(tx, desk); err != nil {
		return err
	}
	if err := s.operations.Insert(tx, *o); err != nil {
		return err
	}
	if err := tx.Put(dueItem(o)); err != nil {
		return err
	}
	if d.key != "" {
		i := idempotency{Key: d.key, Fingerprint: d.fingerprint, Operation: o.ID, Until: o.CreatedAt.Add(keepKeys)}
		if err := s.keys.Put(tx, i); err != nil {
			return err
		}
	}
	if err := s.audit.Append(tx, d.event); err != nil {
		return err
	}
	return s.tell(tx, Started, *o)
}

// repeated returns the operation that the same request has started.
func (s *Store) repeated(tx storage.Tx, d *Draft) (Operation, bool, error) {
	if d.key == "" {
		return Operation{}, false, nil
	}
	was, found, err := s.keys.Find(tx, d.key)
	if err != nil || !found {
		return Operation{}, false, err
	}
	if subtle.ConstantTimeCompare([]byte(was.Fingerprint), []byte(d.fingerprint)) == 0 {
		return Operation{}, false, ErrIdempotency
	}
	o, err := s.operations.Get(tx, was.Operation)
	if err != nil {
		return Operation{}, false, err
	}
	return o.at(d.operation.CreatedAt), true, nil
}

func refusedUser(err error) error {
	if errors.Is(err, mobileauth.ErrInactive) {
		return fmt.Errorf("%w: %w", ErrUser, err)
	}
	return err
}

// target refuses an operation that no device could answer.
func (s *Store) target(tx storage.Tx, o *Operation) error {
	if o.Kind == Registration {
		return nil
	}
	if o.DeviceID != "" {
		d, found, err := s.devices.Find(tx, o.DeviceID)
		if err != nil {
			return err
		}
		if !found || !o.answerable(&d) {
			return ErrDevice
		}
		return nil
	}
	devices, err := s.devices.Live(tx, o.UserID)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(devices, func(d handset.Device) bool { return o.answerable(&d) }) {
		return ErrDevice
	}
	return nil
}

// answerable reports whether a device is one that may answer and has what an answer needs.
func (o *Operation) answerable(d *handset.Device) bool {
	return d.Status == handset.Active && o.meant(d) &&
		slices.ContainsFunc(d.Methods(), func(m string) bool { return Accepts(o.Methods, m) })
}

// meant reports whether an operation is put to a device.
func (o *Operation) meant(d *handset.Device) bool {
	return o.Kind != Registration && o.UserID == d.UserID && (o.DeviceID == "" || o.DeviceID == d.ID) &&
		(o.Application == "" || o.Application == d.Application)
}
