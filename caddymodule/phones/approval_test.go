// SPDX-License-Identifier: Apache-2.0

package phones_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/caddymodule/channels"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
)

// TestCheckApproval: what approves something in detail signs it, where it is a phone.
func TestCheckApproval(t *testing.T) {
	t.Parallel()
	messages := map[string]string{"en": "Sign in"}
	c := &phones.Config{Config: channels.Config{Types: []channels.Type{
		{Name: "push", Method: "push", Messages: messages}, {Name: "code", Method: "sms", Messages: map[string]string{"en": "{code}"}},
	}}}
	for raw, says := range map[string]string{
		`{"type":"form"}`:                        "",
		`{"type":"mobile","mobile_type":"push"}`: "",
		`{"type":"mobile","mobile_type":"code"}`: `"code" sends a code`,
	} {
		err := phones.CheckApproval([]byte(raw), c)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", raw, err)
		}
	}
}
