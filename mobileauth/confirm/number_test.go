// SPDX-License-Identifier: Apache-2.0

package confirm_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

// TestNumbers: a number is shown as it is written where every reader has that very number, and refused otherwise.
func TestNumbers(t *testing.T) {
	t.Parallel()
	parsed := template(t, "Pay {json.amount}")
	for _, test := range []struct {
		name, number string
		shown        bool
	}{
		{"whole", "500", true},
		{"nothing", "0", true},
		{"less than nothing", "-12.5", true},
		{"cents", "0.10", true},
		{"zeros behind", "1500.00", true},
		{"zeros alone", "0.00", true},
		{"fifteen digits", "123456789012.345", true},
		{"the largest", "9007199254740991", true},
		{"the least", "-9007199254740991", true},
		{"more digits that a double gives back", "0.12345678901234566", true},
		{"one more than is exact", "9007199254740992", false},
		{"a double reads one less", "9007199254740993", false},
		{"below what is exact", "-9007199254740992", false},
		{"an integer wraps around", "18446744073709551617", false},
		{"a round one that a double has", "10000000000000000000", false},
		{"more digits than a double keeps", "0.1234567890123456789", false},
		{"cents that a double loses", "9007199254740990.999", false},
		{"zeros before the loss", "1.00000000000000000001", false},
		{"exponent", "1e3", false},
		{"exponent in capitals", "1E3", false},
		{"exponent of nothing", "1e0", false},
		{"exponent below", "15000e-2", false},
		{"exponent that is infinite", "1e400", false},
		{"negative zero", "-0", false},
		{"negative zero with a point", "-0.00", false},
		{"as small as is shown", "-0." + strings.Repeat("0", 130) + "1", true},
	} {
		got, err := parsed.Render(transfer(`{"amount":` + test.number + `}`))
		var field *shown.FieldError
		switch {
		case test.shown && (err != nil || got != "Pay "+test.number):
			t.Errorf("%s: %q, %v", test.name, got, err)
		case !test.shown && (!errors.As(err, &field) || field.Field != "json.amount" || got != "" || strings.Contains(err.Error(), test.number)):
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
		if test.shown && !sameAsDouble(json.Number(test.number)) {
			t.Errorf("%s: a reader of doubles has another number", test.name)
		}
	}
	for _, body := range []string{`{"amount":"1e3"}`, `{"amount":"9007199254740993"}`} {
		if got, err := parsed.Render(transfer(body)); err != nil || got == "" {
			t.Errorf("text that looks like a number: %q, %v", got, err)
		}
	}
}

// sameAsDouble reports whether a reader of doubles, which prints the fewest digits that give the number back, prints the
// decimal that was written.
func sameAsDouble(number json.Number) bool {
	double, err := number.Float64()
	written, ok := new(big.Rat).SetString(number.String())
	printed, fine := new(big.Rat).SetString(strconv.FormatFloat(double, 'f', -1, 64))
	return err == nil && ok && fine && written.Cmp(printed) == 0
}
