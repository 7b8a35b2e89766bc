// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"encoding/json"
	"math/big"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

func TestPlainNumber(t *testing.T) {
	t.Parallel()
	for text, plain := range map[string]bool{
		"0": true, "12.50": true, "-1": true, "0.00": true, "123456789012.345": true, "9007199254740991": true,
		"9007199254740992": false, "9007199254740993": false, "1234567890123456.78": false, "1e3": false, "1E-2": false, "1e400": false,
		"-0": false, "-0.0": false, "0.1234567890123456789": false, "": false, "x": false,
	} {
		if got := oauth.PlainNumber(text); got != plain {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestPlainNumbersAreReadAlike: whoever takes a plain number for a double, and prints it, has the decimal that was written.
func TestPlainNumbersAreReadAlike(t *testing.T) {
	t.Parallel()
	digits := rapid.StringMatching("-?(0|[1-9][0-9]{0,17})([.][0-9]{1,8})?")
	rapid.Check(t, func(t *rapid.T) {
		text := digits.Draw(t, "number")
		if !oauth.PlainNumber(text) {
			return
		}
		var double float64
		if err := json.Unmarshal([]byte(text), &double); err != nil {
			t.Fatal(err)
		}
		written, ok := new(big.Rat).SetString(text)
		printed, fine := new(big.Rat).SetString(strconv.FormatFloat(double, 'f', -1, 64))
		if !ok || !fine || written.Cmp(printed) != 0 {
			t.Fatalf("%s is read as %v", text, double)
		}
	})
}
