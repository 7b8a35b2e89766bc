// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// TestWords: a word is what its expression says, in every length and with every byte anywhere.
func TestWords(t *testing.T) {
	t.Parallel()
	for text, word := range envelope.Words {
		want := regexp.MustCompile(text)
		same := func(s string) {
			t.Helper()
			if got := word.MatchString(s); got != want.MatchString(s) {
				t.Errorf("%s of %q: %v", text, s, got)
			}
		}
		for length := range 131 {
			same(strings.Repeat("a", length))
		}
		for c := range 256 {
			b := string([]byte{byte(c)})
			for _, length := range []int{1, 22, 43} {
				rest := strings.Repeat("Z", length-1)
				same(b + rest)
				same(rest + b)
			}
		}
	}
}
