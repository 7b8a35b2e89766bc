// SPDX-License-Identifier: Apache-2.0

package handset

import (
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/storage"
)

// FactorLimit is the reason of a device that was deactivated for wrong factors.
const FactorLimit = "factor_limit"

// Reasons of a [Verdict], for the audit trail.
const (
	FactorMissing     = "factor_missing"     // none was sent and possession alone is not accepted
	FactorNotAccepted = "factor_not_allowed" // one was sent that is not accepted
	FactorUnknown     = "factor_unknown"     // the device never registered it
	FactorMany        = "factor_many"        // several were sent
	FactorWrong       = "factor_wrong"
)

// Proof is what a phone sends beside a statement to show that the person was there.
type Proof struct {
	// Statement was opened by the caller, who checked its signature.
	Statement envelope.Statement
	// Factors are MACs over it, by the kind of factor. At most one is tested: each counts as a try.
	Factors envelope.Factors
	// Accept are the methods that would do.
	Accept []string
}

// Verdict says what came of a [Proof]. Only OK, Remaining and Disconnected are for the phone.
type Verdict struct {
	OK bool
	// Method is what was proven: [envelope.MethodPossession] or the kind of factor.
	Method string
	// Reason is why not.
	Reason string
	// Remaining are the tries that are left.
	Remaining int
	// Disconnected says that this try was the last one and the device is deactivated.
	Disconnected bool
}

// Verify judges a proof for a device that the caller found and judged usable in the same transaction. A wrong factor is
// counted and a right one clears the count, so the transaction has to be committed whatever the verdict: it is an outcome,
// and an error is a fault of the store. The PIN is accepted wherever biometric or a custom factor is, since that is what a
// person falls back to whose finger is not recognised. Comparing takes the same time whatever is wrong.
//
// A statement is used up by being judged, as the message is that brings it: a second time, in a message of its own, it is
// [ErrReplay].
func (s *Store) Verify(tx storage.Tx, d *Device, p Proof, by audit.Actor) (Verdict, error) {
	if err := s.remember(tx, d.ID+statementMark+p.Statement.ID, p.Statement.At); err != nil {
		return Verdict{}, err
	}
	kind, reason := p.choose()
	if reason != "" {
		return Verdict{Reason: reason, Remaining: s.remaining(d)}, nil
	}
	if kind == envelope.MethodPossession {
		return Verdict{OK: true, Method: envelope.MethodPossession, Remaining: s.remaining(d)}, nil
	}
	factor, known := d.Factor(kind)
	if !known {
		return Verdict{Reason: FactorUnknown, Remaining: s.remaining(d)}, nil
	}
	if factor.proven(p.Statement, p.Factors[kind]) {
		return Verdict{OK: true, Method: kind, Remaining: s.limit(d)}, s.Pass(tx, d)
	}
	disconnected, err := s.Fail(tx, d, by)
	return Verdict{Reason: FactorWrong, Remaining: s.remaining(d), Disconnected: disconnected}, err
}

// proven compares in constant time.
func (f Factor) proven(statement envelope.Statement, mac envelope.MAC) bool {
	if len(f.Secret) != envelope.SecretLen {
		return false
	}
	return statement.Proven(envelope.Secret(f.Secret), mac)
}

// choose returns the one kind of factor to test, or why there is none.
func (p Proof) choose() (kind, reason string) {
	switch len(p.Factors) {
	case 0:
		if slices.Contains(p.Accept, envelope.MethodPossession) {
			return envelope.MethodPossession, ""
		}
		return "", FactorMissing
	case 1:
	default:
		return "", FactorMany
	}
	for sent := range p.Factors {
		kind = sent
	}
	if Accepts(p.Accept, kind) {
		return kind, ""
	}
	return "", FactorNotAccepted
}

// Accepts reports whether method does where the accepted ones are asked. A PIN does where a fingerprint, a face or a custom
// factor is asked, and any method where possession is enough.
func Accepts(accepted []string, method string) bool {
	return envelope.ValidMethod(method) && slices.ContainsFunc(accepted, func(asked string) bool {
		switch {
		case asked == method, asked == envelope.MethodPossession:
			return true
		case method == envelope.FactorPIN:
			return asked == envelope.FactorBiometric || strings.HasPrefix(asked, envelope.FactorCustom)
		}
		return false
	})
}

func (s *Store) remaining(d *Device) int { return max(0, s.limit(d)-d.Failures) }

// limit is the device's own or the store's, whichever is stricter.
func (s *Store) limit(d *Device) int {
	if d.MaxFailures > 0 {
		return min(d.MaxFailures, s.maxFailures)
	}
	return s.maxFailures
}

// Fail counts a wrong factor. At the limit the device is deactivated for [FactorLimit], what rests on it is revoked, and
// Fail reports that. The count is read in this transaction: a stale d makes no difference.
func (s *Store) Fail(tx storage.Tx, d *Device, by audit.Actor) (disconnected bool, err error) {
	c, _, err := s.counts.Find(tx, d.ID)
	if err != nil {
		return false, err
	}
	c.DeviceID = d.ID
	c.Failures++
	d.Failures = c.Failures
	if c.Failures >= s.limit(d) {
		return true, s.disconnect(tx, d, by)
	}
	if err := s.counts.Put(tx, c); err != nil {
		return false, err
	}
	if c.Failures == s.limit(d)-1 {
		return false, s.notify(tx, Notice{What: LastTry, Device: *d, Before: d.Status})
	}
	return false, nil
}

func (s *Store) disconnect(tx storage.Tx, d *Device, by audit.Actor) error {
	failures := d.Failures
	d.Status, d.StatusReason = Deactivated, FactorLimit
	if err := s.Put(tx, d, by); err != nil {
		return err
	}
	d.Failures = failures
	return nil
}

// Pass clears the count after a right factor.
func (s *Store) Pass(tx storage.Tx, d *Device) error {
	c, found, err := s.counts.Find(tx, d.ID)
	if err != nil {
		return err
	}
	d.Failures = 0
	if !found || c.Failures == 0 {
		return nil
	}
	c.Failures = 0
	return s.counts.Put(tx, c)
}
