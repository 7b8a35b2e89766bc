// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation/record"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Code is what whoever asked may learn of an [Outcome].
type Code string

// The codes.
const (
	// Accepted took effect.
	Accepted Code = "accepted"
	// Refused says that the number or a factor was wrong, and not which.
	Refused Code = "refused"
	// Gone says that the operation is not open any more.
	Gone Code = "gone"
	// NotAllowed is everything else: this device, this message or this method will not do.
	NotAllowed Code = "not_allowed"
)

// Outcome is what came of an answer or a redemption. It is committed: that something was refused is counted and kept.
type Outcome struct {
	Code Code
	// Reason is for the audit trail only.
	Reason string
	// Remaining is how many wrong answers are left after one that was [Refused].
	Remaining int
	// Operation is as it is now. It is empty for [NotAllowed].
	Operation Operation
}

// Answer is what a device answers. The caller opened the envelope and the statement, and checked the signatures of both.
type Answer struct {
	// Message is the request in which it came.
	Message   handset.Message
	Statement envelope.Statement
	Factors   envelope.Factors
}

// maxRounds bounds how often an answer is begun anew because the operation changed under it.
const maxRounds = 8

// errStale rolls an answer back whose operation is not as it was when the answer was prepared.
var errStale = errors.New("the operation has changed meanwhile")

// Answer takes one answer, in one transaction: the message was not seen before, the device is active and the operation is
// open and meant for it, what was shown is what was asked, number and factor are right; then the operation has its answer,
// and everything that follows is written. What is wrong is an [Outcome]; an error means that nothing happened.
//
// The same statement that was accepted may be sent again, in a new message, by a device that did not hear of it.
func (s *Store) Answer(ctx context.Context, a Answer) (Outcome, error) {
	for range maxRounds {
		out, err := s.answer(ctx, &a)
		if errors.Is(err, errStale) {
			continue
		}
		if err != nil {
			return Outcome{}, fmt.Errorf("answering operation %q: %w", a.Statement.Operation, err)
		}
		return out, nil
	}
	return Outcome{}, fmt.Errorf("answering operation %q: %w", a.Statement.Operation, storage.ErrConflict)
}

// turn is one attempt at an answer.
type turn struct {
	*Answer
	tx     storage.Tx
	now    time.Time
	actor  audit.Actor
	device handset.Device
	stored Operation // as it was read
	op     Operation // as it becomes
	desk   record.Desk
	proof  evidence
}

// evidence is a receipt that was made before the transaction, since signing draws randomness, for an operation as it then was.
type evidence struct {
	version uint64 // of the operation before its answer; zero is no receipt
	receipt string
}

// evidence makes the receipt that an answer will need if it is accepted.
func (s *Store) evidence(ctx context.Context, a *Answer, now time.Time) (evidence, error) {
	if s.receipts == nil || a.Statement.Decision != envelope.Approve {
		return evidence{}, nil
	}
	var o Operation
	var d handset.Device
	var both bool
	err := s.db.View(ctx, func(tx storage.Tx) (err error) {
		if o, both, err = s.operations.Find(tx, a.Statement.Operation); err != nil || !both {
			return err
		}
		d, both, err = s.devices.Find(tx, a.Message.DeviceID)
		return err
	})
	if o = o.At(now); err != nil || !both || !o.State.Open() || !o.Kind.Evidenced() || !meant(&o, &d) {
		return evidence{}, err
	}
	if !d.Speaks(a.Statement.SigningKey, now) {
		return evidence{}, nil // refused inside
	}
	e := evidence{version: o.Version}
	approved(&o, a, now, s.limits.Redeem)
	if e.receipt, err = s.receipts.Make(ctx, o, d); err != nil {
		return evidence{}, fmt.Errorf("making a receipt: %w", err)
	}
	return e, nil
}

func (s *Store) answer(ctx context.Context, a *Answer) (out Outcome, err error) {
	now, actor := s.now(), audit.ActorOf(ctx)
	proof, err := s.evidence(ctx, a, now)
	if err != nil {
		return Outcome{}, err
	}
	drawn := s.audit.Prepare(audit.Event{})
	var said audit.Event
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		t := turn{Answer: a, tx: tx, now: now, actor: actor, proof: proof}
		out, err = s.judge(&t)
		if err != nil {
			return err
		}
		said = named(t.event(&out), drawn)
		return s.audit.Append(tx, said)
	})
	if err != nil {
		return Outcome{}, err
	}
	s.audit.Log(ctx, said)
	if out.Operation.ID != "" {
		s.Announce(ctx, out.Operation)
	}
	return out, nil
}

// event is what the audit trail has of an answer. The operation and the device are those that the answer names, known or not.
func (t *turn) event(out *Outcome) audit.Event {
	e := event(t.actor, "operation.answer", &t.op)
	e.Operation, e.DeviceID, e.Reason = t.Statement.Operation, t.Message.DeviceID, out.Reason
	if e.Subject == "" {
		e.Subject = t.device.UserID
	}
	if out.Code != Accepted {
		e.Outcome = audit.Refused
	}
	return e
}

func notAllowed(reason string) (Outcome, error) {
	return Outcome{Code: NotAllowed, Reason: reason}, nil
}

// judge takes the steps in an order in which none tells a stranger more than the one before: who speaks, whether it is
// theirs to answer, and only then what they say.
func (s *Store) judge(t *turn) (Outcome, error) {
	if reason, err := s.admit(t); err != nil || reason != "" {
		return Outcome{Code: NotAllowed, Reason: reason}, err
	}
	stored, found, err := s.operations.Find(t.tx, t.Statement.Operation)
	switch {
	case err != nil:
		return Outcome{}, err
	case !found:
		return notAllowed("unknown_operation")
	case stored.UserID != t.device.UserID:
		return notAllowed("other_user")
	case stored.Channel == BySMS:
		return Outcome{Code: Gone, Reason: "switched", Operation: stored.At(t.now)}, nil
	case !meant(&stored, &t.device):
		return notAllowed("other_device")
	}
	t.stored, t.op = stored, stored.At(t.now)
	switch {
	case t.op.State == Expired && stored.State.Open():
		return s.late(t)
	case !t.op.State.Open():
		return t.gone(), nil
	case subtle.ConstantTimeCompare([]byte(t.op.DisplayHash), []byte(t.Statement.DisplayHash)) == 0:
		return notAllowed("display_hash")
	}
	if t.desk, err = s.readDesk(t.tx, t.op.UserID, t.now); err != nil {
		return Outcome{}, err
	}
	switch t.Statement.Decision {
	case envelope.Deny:
		return s.deny(t)
	case envelope.Approve:
		return s.approve(t)
	}
	return notAllowed("decision")
}

// admit finds out who speaks, or why nobody who may.
func (s *Store) admit(t *turn) (reason string, err error) {
	st := &t.Statement
	if st.Purpose != envelope.PurposeApproval || st.Device != t.Message.DeviceID || st.SigningKey != t.Message.KID || st.Raw() == "" {
		return "statement", nil
	}
	t.device, reason, err = s.speaker(t.tx, t.Message)
	return reason, err
}

// speaker returns the device that sends a message, which is used up, or why it may not.
func (s *Store) speaker(tx storage.Tx, m handset.Message) (d handset.Device, reason string, err error) {
	d, err = s.devices.Accept(tx, m)
	switch {
	case errors.Is(err, handset.ErrReplay):
		return d, "replay", nil
	case errors.Is(err, handset.ErrNotFound):
		return d, "unknown_device", nil
	case errors.Is(err, handset.ErrUnusable):
		return d, "device_unusable", nil
	case err != nil:
		return d, "", err
	}
	switch err := s.devices.Usable(tx, &d); {
	case errors.Is(err, handset.ErrUnusable):
		return d, "device_unusable", nil
	case err != nil:
		return d, "", err
	}
	return d, "", nil
}

// late writes down that an operation has expired under its answer.
func (s *Store) late(t *turn) (Outcome, error) {
	e := s.audit.Prepare(event(audit.Actor{}, "operation.expire", &t.op))
	if err := s.close(t.tx, &t.op, e); err != nil {
		return Outcome{}, err
	}
	return Outcome{Code: Gone, Reason: "is_" + string(Expired), Operation: t.op}, nil
}

// gone answers for an operation that has its answer, or will have none. The very statement that was accepted is so again.
func (t *turn) gone() Outcome {
	if t.op.AnsweredBy == t.device.ID && t.op.State != Failed &&
		subtle.ConstantTimeCompare([]byte(t.op.Statement), []byte(t.Statement.Raw())) == 1 {
		return Outcome{Code: Accepted, Reason: "repeated", Operation: t.op}
	}
	return Outcome{Code: Gone, Reason: "is_" + string(t.op.State), Operation: t.op}
}

// deny takes a denial. It needs no factor: who holds the phone may always say no.
func (s *Store) deny(t *turn) (Outcome, error) {
	t.settle(Denied, t.Statement.Reason)
	if t.Statement.Reason == envelope.NotMe {
		t.desk.NotMe = true
		if err := s.tell(t.tx, NotMe, t.op); err != nil {
			return Outcome{}, err
		}
	}
	return Outcome{Code: Accepted, Reason: t.op.Reason, Operation: t.op}, s.finish(t)
}

// settle ends the operation by this answer.
func (t *turn) settle(state State, reason string) {
	answered(&t.op, t.Answer, state, reason, t.now)
	t.desk.Drop(t.op.ID)
}

func answered(o *Operation, a *Answer, state State, reason string, now time.Time) {
	o.End(state, reason, now)
	o.AnsweredBy, o.AnsweredAt, o.Statement, o.SignedBy = a.Message.DeviceID, now, a.Statement.Raw(), a.Statement.SigningKey
}

// approved makes the operation what it is once this answer is accepted.
func approved(o *Operation, a *Answer, now time.Time, redeem time.Duration) {
	answered(o, a, Approved, "", now)
	o.Prove(a.Statement.Method)
	o.RedeemBy = now.Add(redeem)
}

// finish stores the ended operation and the desk.
func (s *Store) finish(t *turn) error {
	if err := s.writeDesk(t.tx, t.desk); err != nil {
		return err
	}
	if err := s.operations.Replace(t.tx, &t.stored, t.op); err != nil {
		return err
	}
	return s.tell(t.tx, Ended, t.op)
}

// approve takes an approval if the person is proven as was asked.
func (s *Store) approve(t *turn) (Outcome, error) {
	if t.desk.Blocked(t.now) {
		return notAllowed(ReasonUserBlocked)
	}
	if !t.consistent() {
		return notAllowed("method")
	}
	number := t.op.Number == "" || subtle.ConstantTimeCompare([]byte(t.op.Number), []byte(t.Statement.Number)) == 1
	verdict, err := s.verify(t)
	switch {
	case err != nil:
		return Outcome{}, err
	case !verdict.OK && verdict.Reason != handset.FactorWrong:
		return notAllowed(verdict.Reason)
	case !verdict.OK || !number:
		return s.wrong(t, verdict)
	}
	if s.receipts != nil && t.op.Kind.Evidenced() {
		if t.proof.version != t.op.Version {
			return Outcome{}, errStale
		}
		t.op.Receipt = t.proof.receipt
	}
	approved(&t.op, t.Answer, t.now, s.limits.Redeem)
	t.desk.Drop(t.op.ID)
	t.desk.Succeed(t.op.Factor, t.op.Number != "")
	return Outcome{Code: Accepted, Operation: t.op}, s.finish(t)
}

// consistent reports whether the statement says the method that stands beside it: what a receipt will say was signed.
func (t *turn) consistent() bool {
	if t.Statement.Method == envelope.MethodPossession {
		return len(t.Factors) == 0
	}
	_, sent := t.Factors[t.Statement.Method]
	return sent && len(t.Factors) == 1
}

// verify has the factor judged. A wrong one may take the device out, which cancels what was put to that device alone; so this
// operation is taken off the desk before, to end by this answer and not as one of those.
func (s *Store) verify(t *turn) (handset.Verdict, error) {
	aside := t.desk
	aside.Open = append([]record.Entry(nil), t.desk.Open...)
	aside.Drop(t.op.ID)
	risky := len(t.Factors) > 0 && t.op.DeviceID != ""
	if risky {
		if err := s.writeDesk(t.tx, aside); err != nil {
			return handset.Verdict{}, err
		}
	}
	proof := handset.Proof{Statement: t.Statement, Factors: t.Factors, Accept: t.op.Methods}
	verdict, err := s.devices.Verify(t.tx, &t.device, proof, t.actor)
	if err != nil {
		return verdict, err
	}
	if verdict.Disconnected {
		t.desk, err = s.readDesk(t.tx, t.op.UserID, t.now)
		return verdict, err
	}
	if risky && !verdict.OK && verdict.Reason != handset.FactorWrong {
		return verdict, s.writeDesk(t.tx, t.desk)
	}
	return verdict, nil
}

// wrong counts an answer whose number or factor is wrong. What remains is said of counts that both raise, so that it does
// not tell which it was.
func (s *Store) wrong(t *turn, verdict handset.Verdict) (Outcome, error) {
	reason := "number_wrong"
	if !verdict.OK {
		reason = verdict.Reason
	}
	of := record.WrongNumber
	if !verdict.OK {
		of = record.WrongFactor
	}
	m := s.miss(&t.op, &t.desk, of, t.now)
	if verdict.Disconnected {
		m.end = ReasonFactorLimit
	}
	if m.end != "" {
		t.settle(Failed, m.end)
		m.remaining = 0
	}
	err := s.missed(t.tx, &t.op, &t.desk, m)
	return Outcome{Code: Refused, Reason: reason, Remaining: m.remaining, Operation: t.op}, err
}

// miss is what a wrong answer has led to.
type miss struct {
	alert     What
	end       string // why the operation ends, empty where it stays open
	remaining int
}

// miss counts a wrong answer.
func (s *Store) miss(o *Operation, d *record.Desk, of record.Wrong, now time.Time) miss {
	o.Tries++
	m := miss{alert: What(d.Fail(&s.limits, of, now)), remaining: d.Left(&s.limits)}
	most := o.Way.Tries(s.limits.Tries)
	switch {
	case most > 0 && o.Tries >= most:
		m.end = ReasonAttempts
	case d.Blocked(now):
		m.end = ReasonUserBlocked
	case most > 0:
		m.remaining = min(m.remaining, most-o.Tries)
	}
	return m
}

// missed stores what a wrong answer has led to, and tells of it: that the operation has ended, and that a block is near or has come.
func (s *Store) missed(tx storage.Tx, o *Operation, d *record.Desk, m miss) error {
	if m.end == "" {
		o.Version++
	}
	if err := s.writeDesk(tx, *d); err != nil {
		return err
	}
	if err := s.operations.Put(tx, *o); err != nil {
		return err
	}
	if m.end != "" {
		if err := s.tell(tx, Ended, *o); err != nil {
			return err
		}
	}
	if m.alert == "" {
		return nil
	}
	return s.tell(tx, m.alert, *o)
}
