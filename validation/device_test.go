// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/validation"
)

func TestDevicesOfAToken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		claim any
		want  []string
	}{
		{"one", "dev_1", []string{"dev_1"}},
		{"two", []string{"dev_1", "dev_2"}, []string{"dev_1", "dev_2"}},
		{"absent", nil, nil},
		{"a number", 7, nil},
		{"an object, of another issuer", map[string]any{"model": "x"}, nil},
		{"a list of something else", []any{"dev_1", 7}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, err := newHouse(t).Validate(t.Context(), validation.Bearer(access(t, set("device", test.claim))))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, p.Devices); diff != "" {
				t.Error(diff)
			}
		})
	}
	_, err := newHouse(t).Validate(t.Context(), validation.Bearer(access(t, set("Device", "dev_1"))))
	wantRefused(t, nil, err, validation.ErrClaims)
}
