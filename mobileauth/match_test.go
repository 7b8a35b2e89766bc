// SPDX-License-Identifier: Apache-2.0

package mobileauth_test

import (
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, version string
		want             bool
	}{
		{"2.1", "2.1", true},
		{"2.1", "2.10", false},
		{"2.1", "2", false},
		{"2.*", "2", true},
		{"2.*", "2.0.7", true},
		{"2.*", "20", false},
		{"2.*", "1.2", false},
		{"*", "1", true},
		{"*", "", true},
		{"", "1", false},
	} {
		if got := mobileauth.Matches(c.pattern, c.version); got != c.want {
			t.Errorf("Matches(%q, %q) = %v", c.pattern, c.version, got)
		}
	}
}
