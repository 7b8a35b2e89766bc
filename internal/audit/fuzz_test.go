// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"errors"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/audit"
)

// FuzzParseHead: what is read is what was written, letter by letter, and everything else is refused.
func FuzzParseHead(f *testing.F) {
	for _, text := range []string{"1:abc", "18446744073709551615:x", "0:x", "01:x", "1:", "1", ":", "1:a:b", "+1:x", "1\n:x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		head, err := audit.ParseHead(text)
		if err == nil && head.String() != text || err != nil && !errors.Is(err, audit.ErrQuery) {
			t.Errorf("ParseHead(%q) = %+v, %v", text, head, err)
		}
	})
}
