// SPDX-License-Identifier: Apache-2.0

package provision

import (
	"context"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/grading"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

// attestation is what devices have to show, judged by what is configured of the applications' platforms.
func (s *Side) attestation() provisioning.Attestation {
	a := s.config.Attestation
	if a == nil {
		return provisioning.Attestation{}
	}
	least := attestation.Grade(a.Minimum)
	return provisioning.Attestation{
		Mode: a.mode(), Minimum: least,
		Judge: func(ctx context.Context, e provisioning.Evidence) (provisioning.Judgement, error) {
			shown, err := s.parts.Genuine.Judge(ctx, &grading.Subject{
				Place: grading.Place{Application: e.Application, Platform: e.Platform}, Raw: e.Raw, Challenge: e.Challenge, Bound: e.Bound, Key: e.Key,
			})
			if err != nil {
				return provisioning.Judgement{}, err
			}
			got := provisioning.Judgement{Format: shown.Format, Grade: shown.Grade, Wrong: shown.Result == handset.Failed}
			if !shown.Verified(least) {
				got.Reason = enrolment.AttestationReason(&shown)
			}
			return got, nil
		},
	}
}
