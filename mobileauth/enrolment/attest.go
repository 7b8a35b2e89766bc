// SPDX-License-Identifier: Apache-2.0

package enrolment

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
)

// Evidence is what a phone sent to show that its keys and its app are genuine. It is graded only after the activation code was
// proven, or the device is known, and before any transaction.
type Evidence struct {
	// Raw is an object with a "format"; empty when none was sent.
	Raw json.RawMessage
	// Application, Platform and Version are what the phone says it is.
	Application, Platform, Version string
	// Keys are those that are registered, and Challenge what the evidence has to be made for, which the server has drawn for this
	// occasion.
	Keys      envelope.PublicKeys
	Challenge []byte
	// Known is what the device has shown before.
	Known handset.Attestation
}

// Grader judges evidence. An error means that it could not be judged now; evidence that is wrong has the result [handset.Failed],
// and its reason as detail. It leaves the time to whoever keeps the result.
type Grader interface {
	Grade(ctx context.Context, e Evidence) (handset.Attestation, error)
}

// Unverified is the grader that knows no format: it writes down which one was sent, and that nobody has checked it.
type Unverified struct{}

var errFormat = errors.New("evidence without a format")

// DetailFormat is the reason of evidence of which nobody knows what it is.
const DetailFormat = "format"

// Grade returns [handset.Absent], [handset.Unverified], or [handset.Failed] for what is no evidence of any format.
func (Unverified) Grade(_ context.Context, e Evidence) (handset.Attestation, error) {
	if len(e.Raw) == 0 {
		return handset.Attestation{Result: handset.Absent, Grade: handset.GradeUnknown}, nil
	}
	format, err := Format(e.Raw)
	if err != nil {
		return handset.Attestation{Result: handset.Failed, Grade: handset.GradeUnknown, Detail: DetailFormat}, nil
	}
	return handset.Attestation{Format: format, Result: handset.Unverified, Grade: handset.GradeUnknown}, nil
}

// Format returns the name of the format of evidence: up to 64 letters, digits, dots, underscores and hyphens.
func Format(raw json.RawMessage) (string, error) {
	var head struct {
		Format string `json:"format"`
	}
	if err := jose.UnmarshalObject(raw, &head); err != nil {
		return "", err
	}
	if !handset.ValidFormat(head.Format) {
		return "", errFormat
	}
	return head.Format, nil
}

// grade has evidence judged, and notes when and about which key.
func (s *Store) grade(ctx context.Context, e Evidence) (handset.Attestation, error) {
	a, err := s.Attestation.Grade(ctx, e)
	if err != nil {
		return handset.Attestation{}, failed("grading an attestation", err)
	}
	a.At, a.SignKeyID = s.now(), e.Keys.Sign.ID()
	return a, nil
}

// AttestationReason is why an attestation will not do, for the audit trail: that evidence is wrong is said with the reason, and of all
// else with what came of it.
func AttestationReason(a *handset.Attestation) string {
	switch {
	case a.Result == handset.Verified:
		return ReasonAttestation + "_grade"
	case a.Result == handset.Failed && a.Detail != "":
		return ReasonAttestation + "_" + a.Detail
	}
	return ReasonAttestation + "_" + a.Result
}

// refused returns why a device with that attestation is not registered; empty when it is.
func (r AttestationRule) refused(a *handset.Attestation) string {
	wrong := r.Mode == AttestationPreferred && a.Result == handset.Failed
	if wrong || r.Mode == AttestationRequired && !a.Verified(r.Minimum) {
		return AttestationReason(a)
	}
	return ""
}

// doubtful reports whether a device with that attestation waits until somebody vouches for it.
func (r AttestationRule) doubtful(a *handset.Attestation) bool {
	return r.Mode == AttestationPreferred && !a.Verified(r.Minimum)
}
