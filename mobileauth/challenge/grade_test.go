// SPDX-License-Identifier: Apache-2.0

package challenge_test

import (
	"context"
	"errors"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth/challenge"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

var errGrade = errors.New("nobody knows")

// vouched knows phones by name.
func vouched(_ context.Context, o *operation.Operation, least string) (string, bool, error) {
	switch o.AnsweredBy {
	case "dev_1":
		return "tee", least != "hardware", nil
	case "dev_down":
		return "hardware", true, errGrade
	}
	return "", least == "", nil
}

// TestGradeOfAPhone: the proof says it, and a realm may ask for one.
func TestGradeOfAPhone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, device string
		least        string
		status       realm.Status
		want         string
	}{
		{"not asked for", "dev_1", "", realm.Accepted, "tee"},
		{"not asked for, and not known", "dev_2", "", realm.Accepted, ""},
		{"enough", "dev_1", "tee", realm.Accepted, "tee"},
		{"more than enough", "dev_1", "software", realm.Accepted, "tee"},
		{"too little", "dev_1", "hardware", realm.Refused, ""},
		{"nothing", "dev_2", "software", realm.Refused, ""},
		{"no phone", "", "software", realm.Refused, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g, s := newGuest(t, challenge.Config{Attestation: tt.least})
			_, asked := collect(t, g, input(nil))
			s.approve(mobiletype.PushPIN)
			s.op.AnsweredBy = tt.device
			credentials, _ := collect(t, g, input(asked.State))
			credentials.Realm = "phone"
			got, err := g.Verify(t.Context(), credentials)
			if err != nil || got.Status != tt.status || got.Identity.Attestation != tt.want {
				t.Errorf("it is %+v, %v", got, err)
			}
			if got.Status == realm.Refused && (got.Reason != "attestation_grade" || !got.Blameless || s.op.State != "approved") {
				t.Errorf("it is %+v, and the approval %s", got, s.op.State)
			}
		})
	}
	g, s := newGuest(t, challenge.Config{})
	_, asked := collect(t, g, input(nil))
	s.approve(mobiletype.PushPIN)
	s.op.AnsweredBy = "dev_down"
	credentials, _ := collect(t, g, input(asked.State))
	if _, err := g.Verify(t.Context(), credentials); !errors.Is(err, errGrade) {
		t.Errorf("where nobody knows: %v", err)
	}
}
