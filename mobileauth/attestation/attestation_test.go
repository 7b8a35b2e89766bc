// SPDX-License-Identifier: Apache-2.0

package attestation_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
)

func TestAtLeast(t *testing.T) {
	t.Parallel()
	grades := attestation.Grades()
	for i, grade := range grades {
		if !grade.Valid() {
			t.Errorf("%q is no grade", grade)
		}
		for j, least := range grades {
			if got := grade.AtLeast(least); got != (i >= j) {
				t.Errorf("%q is at least %q: %v", grade, least, got)
			}
		}
		for _, none := range []attestation.Grade{"", "HARDWARE", "strongbox"} {
			if none.Valid() || none.AtLeast(grade) || grade.AtLeast(none) || none.AtLeast(none) {
				t.Errorf("%q counts as a grade beside %q", none, grade)
			}
		}
	}
}

func TestRejection(t *testing.T) {
	t.Parallel()
	cause := errors.New("the cause")
	err := fmt.Errorf("judging: %w", attestation.Reject("chain", "reading it: %w", cause))
	if !errors.Is(err, attestation.ErrRejected) || !errors.Is(err, cause) || attestation.ReasonOf(err) != "chain" {
		t.Errorf("it is %v, for %q", err, attestation.ReasonOf(err))
	}
	if err.Error() != "judging: chain: reading it: the cause" {
		t.Errorf("it says %q", err)
	}
	if errors.Is(cause, attestation.ErrRejected) || attestation.ReasonOf(cause) != "" || attestation.ReasonOf(nil) != "" {
		t.Error("any error is a rejection")
	}
}
