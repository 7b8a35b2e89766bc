// SPDX-License-Identifier: Apache-2.0

package phonenumber_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/phonenumber"
)

func TestKinds(t *testing.T) {
	t.Parallel()
	seen := map[phonenumber.Kind]bool{}
	for _, tt := range []struct {
		number, country string
		kind            phonenumber.Kind
		texted          bool
	}{
		{"+31612345678", "NL", phonenumber.Mobile, true},
		{"+447400123456", "GB", phonenumber.Mobile, true},
		{"+12015550123", "US", phonenumber.FixedOrMobile, true},
		{"+525512345678", "MX", phonenumber.FixedOrMobile, true},
		{"+14413701234", "BM", phonenumber.Mobile, true},
		{"+31101234567", "NL", phonenumber.FixedLine, false},
		{"+318001234", "NL", phonenumber.TollFree, false},
		{"+18002345678", "US", phonenumber.TollFree, false},
		{"+80012345678", "001", phonenumber.TollFree, false},
		{"+319061234", "NL", phonenumber.PremiumRate, false},
		{"+19002345678", "US", phonenumber.PremiumRate, false},
		{"+979123456789", "001", phonenumber.PremiumRate, false},
		{"+4918012345", "DE", phonenumber.SharedCost, false},
		{"+31851234567", "NL", phonenumber.VOIP, false},
		{"+447012345678", "GB", phonenumber.Personal, false},
		{"+4916412345", "DE", phonenumber.Pager, false},
		{"+3114020", "NL", phonenumber.UAN, false},
		{"+49177991234567", "DE", phonenumber.Voicemail, false},
		{"+31600000000", "NL", phonenumber.Unassigned, false},
		{"+12000000000", "", phonenumber.Unassigned, false},
	} {
		n := parse(t, tt.number)
		seen[n.Kind()] = true
		if n.Kind() != tt.kind || n.Country() != tt.country {
			t.Errorf("%s is %s of %q, want %s of %q", tt.number, n.Kind(), n.Country(), tt.kind, tt.country)
		}
		err := n.Texts(phonenumber.Policy{})
		if (err == nil) != tt.texted || err != nil && !errors.Is(err, phonenumber.ErrKind) {
			t.Errorf("%s (%s): %v", tt.number, tt.kind, err)
		}
		if err != nil && (!strings.Contains(err.Error(), string(tt.kind)) || strings.Contains(err.Error(), tt.number[4:])) {
			t.Errorf("%s: the error is %q", tt.number, err)
		}
		if err := n.Texts(phonenumber.Policy{Also: []phonenumber.Kind{tt.kind}}); err != nil {
			t.Errorf("%s is refused though its kind is allowed: %v", tt.number, err)
		}
	}
	for _, kind := range phonenumber.Kinds() {
		if !seen[kind] {
			t.Errorf("no number of the kind %s was tried", kind)
		}
	}
	if len(seen) != len(phonenumber.Kinds()) {
		t.Errorf("kinds are %v, and seen were %v", phonenumber.Kinds(), seen)
	}
}

func TestCountries(t *testing.T) {
	t.Parallel()
	all := []phonenumber.Kind{phonenumber.Unassigned, phonenumber.TollFree}
	for _, tt := range []struct {
		name, number string
		countries    []string
		good         bool
	}{
		{"any", "+31612345678", nil, true},
		{"its own", "+31612345678", []string{"BE", "NL"}, true},
		{"others", "+31612345678", []string{"BE", "LU"}, false},
		{"another that shares the calling code", "+14413701234", []string{"US", "CA"}, false},
		{"the neighbour of that one", "+12015550123", []string{"US"}, true},
		{"an island of the kingdom", "+447911123456", []string{"JE", "IM"}, false},
		{"nobody's, of a shared calling code", "+12000000000", []string{"US", "CA", ""}, false},
		{"nobody's, where all are allowed", "+12000000000", nil, true},
		{"unassigned, of one country", "+31600000000", []string{"NL"}, true},
		{"of no country", "+80012345678", []string{"NL"}, false},
		{"of no country, allowed by its name", "+80012345678", []string{"001"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := parse(t, tt.number).Texts(phonenumber.Policy{Also: all, Countries: tt.countries})
			if (err == nil) != tt.good || err != nil && !errors.Is(err, phonenumber.ErrCountry) {
				t.Errorf("Texts = %v", err)
			}
		})
	}
}

// A number that is none is refused whatever is allowed.
func TestNoNumberIsTexted(t *testing.T) {
	t.Parallel()
	for _, policy := range []phonenumber.Policy{{}, {Also: phonenumber.Kinds()}, {Also: slices.Concat(phonenumber.Kinds(), []phonenumber.Kind{""})}} {
		if err := (phonenumber.Number{}).Texts(policy); !errors.Is(err, phonenumber.ErrKind) {
			t.Errorf("Texts = %v", err)
		}
	}
}
