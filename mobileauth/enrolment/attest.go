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
// proven, and before any transaction.
type Evidence struct {
	// Raw is an object with a "format"; empty when none was sent.
	Raw json.RawMessage
	// Application, Platform and Version are what the phone says it is.
	Application, Platform, Version string
	// Keys are those that are registered, and RequestID the fresh value that the evidence has to be about.
	Keys      envelope.PublicKeys
	RequestID string
}

// Grader judges evidence. An error means that it could not be judged now; evidence that is wrong has the grade
// [handset.Failed].
type Grader interface {
	Grade(ctx context.Context, e Evidence) (handset.Attestation, error)
}

// Unverified is the grader that knows no format: it writes down which one was sent, and that nobody has checked it.
type Unverified struct{}

var errFormat = errors.New("evidence without a format")

// Grade returns [handset.Absent], [handset.Unverified], or [handset.Failed] for what is no evidence of any format.
func (Unverified) Grade(_ context.Context, e Evidence) (handset.Attestation, error) {
	if len(e.Raw) == 0 {
		return handset.Attestation{Grade: handset.Absent}, nil
	}
	format, err := Format(e.Raw)
	if err != nil {
		return handset.Attestation{Grade: handset.Failed, Detail: "no format"}, nil
	}
	return handset.Attestation{Format: format, Grade: handset.Unverified}, nil
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
