// SPDX-License-Identifier: Apache-2.0

package handset_test

import (
	"encoding/json"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
)

// TestAttestationsOfEarlierRecords: what stood in the place of the grade is the result, and nothing is known of the grade.
func TestAttestationsOfEarlierRecords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       handset.Attestation
		verified   bool
	}{
		{"nothing", `{}`, handset.Attestation{}, false},
		{"earlier", `{"grade":"absent"}`, handset.Attestation{Result: handset.Absent, Grade: attestation.Unknown}, false},
		{"earlier, with a format", `{"format":"x","grade":"unverified"}`, handset.Attestation{Format: "x", Result: handset.Unverified, Grade: attestation.Unknown}, false},
		{"earlier, verified", `{"grade":"verified"}`, handset.Attestation{Result: handset.Verified, Grade: attestation.Unknown}, false},
		{"now", `{"result":"verified","grade":"tee"}`, handset.Attestation{Result: handset.Verified, Grade: attestation.TEE}, true},
		{"a grade that is none", `{"result":"verified","grade":"gold"}`, handset.Attestation{Result: handset.Verified, Grade: "gold"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got handset.Attestation
			if err := json.Unmarshal([]byte(tt.text), &got); err != nil || got != tt.want || got.Verified(attestation.Software) != tt.verified {
				t.Errorf("it is %+v, %v", got, err)
			}
		})
	}
}

// TestGradeOf: what was shown of one key says nothing of another one.
func TestGradeOf(t *testing.T) {
	t.Parallel()
	verified := handset.Attestation{Result: handset.Verified, Grade: attestation.TEE, SignKeyID: "this"}
	unbound, unverified := verified, verified
	unbound.SignKeyID, unverified.Result = "", handset.Unverified
	for _, tt := range []struct {
		name  string
		shown handset.Attestation
		kid   string
		want  attestation.Grade
	}{
		{"of the key", verified, "this", attestation.TEE},
		{"of another", verified, "that", attestation.Unknown},
		{"of none", verified, "", attestation.Unknown},
		{"of none, about none", unbound, "", attestation.Unknown},
		{"not verified", unverified, "this", attestation.Unknown},
		{"nothing", handset.Attestation{}, "this", attestation.Unknown},
	} {
		if got := tt.shown.GradeOf(tt.kid); got != tt.want {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
}
