// SPDX-License-Identifier: Apache-2.0

package realm_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

func TestWhole(t *testing.T) {
	t.Parallel()
	m := realm.Mapping{ID: "id", Name: "cn", Attributes: map[string]string{"email": "mail", "phone": "tel", "about": "bio"}, AMR: []string{"pwd"}}
	got, ok := m.Whole(map[string]string{"id": "7", "cn": "A", "mail": "a@example.com", "bio": "\x00"})
	want := realm.Identity{
		ExternalID: "7", Name: "A", AMR: []string{"pwd"}, Attributes: map[string]string{"email": "a@example.com", "phone": "", "about": ""},
	}
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("%t (-want +got):\n%s", ok, diff)
	}
	if got, ok := m.Whole(map[string]string{"cn": "A"}); ok || got.Attributes != nil {
		t.Errorf("without an id: %+v, %t", got, ok)
	}
	if got, ok := (realm.Mapping{ID: "id"}).Whole(map[string]string{"id": "7"}); !ok || got.Attributes == nil {
		t.Errorf("without attributes there is no room for more: %+v, %t", got, ok)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		names []string
		want  string
	}{
		{"none", nil, ""},
		{"one", []string{"staff"}, "staff"},
		{"sorted and once", []string{"b", "a", "b"}, "a b"},
		{"a space", []string{"Domain Admins", "admins"}, "Domain%20Admins admins"},
		{"a percent sign", []string{"a b", "a%20b"}, "a%20b a%2520b"},
		{"white and control", []string{"a\u2003b\nc"}, "a%E2%80%83b%0Ac"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := realm.Words(tt.names); got != tt.want {
				t.Errorf("Words = %q, want %q", got, tt.want)
			}
		})
	}
}

// Whatever the names are: nobody gets into a group by the name of another.
func TestWordsCanBeToldApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfDistinct(rapid.String().Filter(func(s string) bool { return s != "" && utf8.ValidString(s) }), rapid.ID).Draw(t, "names")
		var back []string
		for _, word := range strings.Fields(realm.Words(names)) {
			name, err := url.PathUnescape(word)
			if err != nil {
				t.Fatal(err)
			}
			back = append(back, name)
		}
		slices.Sort(names)
		slices.Sort(back)
		if diff := cmp.Diff(names, back); diff != "" && len(names) > 0 {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
