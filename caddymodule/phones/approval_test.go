// SPDX-License-Identifier: Apache-2.0

package phones_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
)

// TestCheckApproval: who approves something in detail was shown it.
func TestCheckApproval(t *testing.T) {
	t.Parallel()
	for raw, says := range map[string]string{
		`{"type":"form"}`:                        "",
		`{"type":"mobile","mobile_type":"push"}`: "",
		`{"type":"basic"}`:                       `"basic" shows nobody`,
		`{"type":"header","field":"X-User"}`:     `"header" shows nobody`,
		`{"type":"certificate"}`:                 `"certificate" shows nobody`,
		`{}`:                                     "shows nobody",
		``:                                       "shows nobody",
	} {
		err := phones.CheckApproval([]byte(raw), nil)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", raw, err)
		}
	}
}
