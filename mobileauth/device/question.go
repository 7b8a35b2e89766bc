// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// Pending returns the operations that this device may answer. When there are none the server waits for one, up to the given time
// and its own limit.
func (d *Device) Pending(ctx context.Context, wait time.Duration) ([]envelope.Summary, error) {
	r, err := d.call(ctx, envelope.PathPending, plain(envelope.PendingRequest{Wait: int(wait / time.Second)}))
	if err != nil {
		return nil, err
	}
	var body envelope.PendingAnswer
	if err := r.Decode(&body); err != nil {
		return nil, fmt.Errorf("reading what waits: %w: %w", err, ErrAnswer)
	}
	return body.Operations, nil
}

// Question is an operation that was fetched: what the person is shown, and nothing else.
type Question struct {
	envelope.Display
	shown []byte
}

// Fetch returns an operation to be shown. All of it comes from the bytes that an answer will be about.
func (d *Device) Fetch(ctx context.Context, operation string) (Question, error) {
	r, err := d.call(ctx, envelope.PathFetch, plain(envelope.FetchRequest{Operation: operation}))
	if err != nil {
		return Question{}, err
	}
	var body envelope.FetchAnswer
	if err := r.Decode(&body); err != nil {
		return Question{}, fmt.Errorf("reading an operation: %w: %w", err, ErrAnswer)
	}
	return question(operation, body.Display)
}

// question reads what is to be shown of an operation.
func question(operation string, display []byte) (Question, error) {
	shown, err := envelope.ParseDisplay(display, operation)
	if err != nil {
		return Question{}, fmt.Errorf("reading an operation: %w: %w", err, ErrAnswer)
	}
	return Question{Display: shown, shown: display}, nil
}

// Scan claims the question behind the text of a QR code or a link, and returns it to be shown. One of another server is [ErrInput]:
// what it asks would be answered by nobody. The same device may scan the same again.
func (d *Device) Scan(ctx context.Context, text string) (Question, error) {
	scanned, err := envelope.ParseScan(text)
	if err != nil {
		return Question{}, fmt.Errorf("scanning: %w: %w", err, ErrInput)
	}
	if scanned.Issuer != d.State().Issuer {
		return Question{}, fmt.Errorf("scanning what another server shows: %w", ErrInput)
	}
	r, err := d.call(ctx, envelope.PathClaim, plain(envelope.ClaimRequest{OTP: scanned.OTP}))
	if err != nil {
		return Question{}, err
	}
	var body envelope.ClaimAnswer
	if err := r.Decode(&body); err != nil {
		return Question{}, fmt.Errorf("reading what was claimed: %w: %w", err, ErrAnswer)
	}
	return question(body.Operation, body.Display)
}

// Proof is how the person proves themselves: nothing but the phone, the PIN, or a factor in the vault.
type Proof struct {
	// PIN is the PIN as it was typed.
	PIN string
	// Factor is "biometric" or "custom:NAME".
	Factor string
}

// method returns what the proof is called.
func (p Proof) method() string {
	switch {
	case p.PIN != "":
		return envelope.FactorPIN
	case p.Factor != "":
		return p.Factor
	default:
		return envelope.MethodPossession
	}
}

// answers reports whether the proof is one that the question takes. The PIN stands in for every other factor.
func (p Proof) answers(methods []string) bool {
	if slices.Contains(methods, p.method()) {
		return true
	}
	return p.PIN != "" && slices.ContainsFunc(methods, func(m string) bool { return m != envelope.MethodPossession })
}

// Approval is how a person approves.
type Approval struct {
	Proof
	// Number is what they typed, where the question asks for the number that is shown elsewhere.
	Number string
}

// Approve signs that the person agrees to what they were shown. Where the number is wrong or the factor is, the error is a
// [RefusedError].
func (d *Device) Approve(ctx context.Context, q Question, a Approval) error {
	if a.PIN != "" && a.Factor != "" {
		return fmt.Errorf("approving with two factors: %w", ErrInput)
	}
	if !a.answers(q.Methods) {
		return fmt.Errorf("approving by %q where one of %q is asked for: %w", a.method(), q.Methods, ErrInput)
	}
	if len(a.Number) != q.NumberMatch {
		return fmt.Errorf("approving with a number of %d digits where %d are asked for: %w", len(a.Number), q.NumberMatch, ErrInput)
	}
	return d.answer(ctx, q, envelope.Statement{Decision: envelope.Approve, Number: a.Number, Method: a.method()}, a.Proof)
}

// Deny signs that the person does not agree, and why: [envelope.Denied], [envelope.NotMe] or [envelope.IncorrectData]. It takes no
// factor.
func (d *Device) Deny(ctx context.Context, q Question, reason string) error {
	return d.answer(ctx, q, envelope.Statement{Decision: envelope.Deny, Reason: reason}, Proof{})
}

func (d *Device) answer(ctx context.Context, q Question, s envelope.Statement, p Proof) error {
	if q.Operation == "" || len(q.shown) == 0 {
		return fmt.Errorf("answering a question that was not fetched: %w", ErrInput)
	}
	s.Purpose, s.Operation, s.DisplayHash = envelope.PurposeApproval, q.Operation, envelope.DisplayHash(q.shown)
	_, err := d.say(ctx, envelope.PathAnswer, stated{statement: s, proof: p})
	if err == nil || definite(err) {
		d.heard(q.Operation)
	}
	return err
}

// maxSaid is how many answers are remembered whose outcome is not known.
const maxSaid = 32

// sign signs a statement. An answer to a question that was signed moments ago, and of which nothing was heard, is the same again: if
// it was accepted, the server says so instead of that the question is gone.
func (d *Device) sign(s envelope.Statement, keys envelope.Keys) (envelope.Statement, error) {
	if s.Purpose != envelope.PurposeApproval {
		return envelope.SignStatement(s, keys)
	}
	what := said{s.Operation, string(s.Decision), s.Reason, s.Number, s.Method, keys.Public().Sign.ID()}
	d.mu.Lock()
	defer d.mu.Unlock()
	if before, ok := d.said[what]; ok && before.DisplayHash == s.DisplayHash && s.At.Sub(before.At).Abs() <= envelope.Window/2 {
		return before, nil
	}
	signed, err := envelope.SignStatement(s, keys)
	if err != nil {
		return envelope.Statement{}, err
	}
	if len(d.said) >= maxSaid || d.said == nil {
		d.said = make(map[said]envelope.Statement)
	}
	d.said[what] = signed
	return signed, nil
}

// heard forgets what was said to a question.
func (d *Device) heard(operation string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.said, func(what said, _ envelope.Statement) bool { return what.operation == operation })
}

// secrets are those of factors, by factor.
type secrets map[string]envelope.Secret

// stated is a statement that is to be made.
type stated struct {
	statement envelope.Statement
	proof     Proof
	id        string           // of the statement, drawn where empty
	proven    secrets          // of the proof, asked for where nil
	secret    *envelope.Secret // that goes beside it
	next      *envelope.Keys   // that sign it once more
	evidence  json.RawMessage  // about the new keys
}

// say signs a statement, proves the factor that belongs to it, and sends both.
func (d *Device) say(ctx context.Context, path string, t stated) (reply, error) {
	if t.proven == nil {
		var err error
		if t.proven, err = d.secrets(ctx, t.proof); err != nil {
			return reply{}, err
		}
	}
	if t.id == "" {
		t.id = envelope.NewID()
	}
	return d.call(ctx, path, func(r envelope.Request, keys envelope.Keys) (any, error) { return d.body(t, r, keys) })
}

// body makes the body for one attempt.
func (d *Device) body(t stated, r envelope.Request, keys envelope.Keys) (any, error) {
	s := t.statement
	s.Device, s.Audience, s.At, s.ID = r.Device, r.Audience, r.At, t.id
	signed, err := d.sign(s, keys)
	if err != nil {
		return nil, fmt.Errorf("signing: %w: %w", err, ErrInput)
	}
	body := envelope.Stated{Statement: signed.Raw(), Secret: t.secret, Factors: make(envelope.Factors), Attestation: t.evidence}
	for kind, secret := range t.proven {
		body.Factors[kind] = signed.MAC(secret)
	}
	if t.next != nil {
		proof, err := envelope.SignStatement(s, *t.next)
		if err != nil {
			return nil, fmt.Errorf("signing: %w: %w", err, ErrInput)
		}
		body.Proof = proof.Raw()
	}
	return body, nil
}

// secrets returns the secrets that a proof needs. A wrong PIN yields one as well.
func (d *Device) secrets(ctx context.Context, p Proof) (secrets, error) {
	switch {
	case p.PIN != "" && p.Factor != "":
		return nil, fmt.Errorf("proving two factors at once: %w", ErrInput)
	case p.PIN != "":
		return d.pinSecret(ctx, p.PIN)
	case p.Factor != "":
		return d.vaultSecret(ctx, p.Factor)
	default:
		return secrets{}, nil
	}
}

func (d *Device) pinSecret(ctx context.Context, pin string) (secrets, error) {
	if err := d.settlePIN(ctx); err != nil {
		return nil, err
	}
	sealed := d.State().PIN
	if sealed == nil {
		return nil, fmt.Errorf("proving a PIN where there is none: %w", ErrInput)
	}
	secret, err := sealed.Open(pin)
	if err != nil {
		return nil, err
	}
	return secrets{envelope.FactorPIN: secret}, nil
}

func (d *Device) vaultSecret(ctx context.Context, kind string) (secrets, error) {
	name, ok := d.State().Vault[kind]
	if !ok || d.config.Vault == nil {
		return nil, fmt.Errorf("proving the factor %q where there is none: %w", kind, ErrInput)
	}
	secret, err := d.config.Vault.Get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("asking for the secret of %q: %w", kind, err)
	}
	return secrets{kind: secret}, nil
}

// settlePIN finds out which PIN counts when the answer to a change of it was lost.
func (d *Device) settlePIN(ctx context.Context) error {
	next := d.State().NextPIN
	if next == nil {
		return nil
	}
	about, err := d.Refresh(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(about.Factors, func(f envelope.FactorInfo) bool { return f.Kind == envelope.FactorPIN })
	switch current := d.State().PIN; {
	case i >= 0 && about.Factors[i].SetBy == next.Statement:
		return d.change(ctx, func(s *State) { s.PIN, s.NextPIN = next, nil })
	case i < 0 && current == nil, i >= 0 && current != nil && about.Factors[i].SetBy == current.Statement:
		return d.change(ctx, func(s *State) { s.NextPIN = nil })
	default:
		return fmt.Errorf("finding out which PIN counts: %w", ErrAnswer)
	}
}
