// SPDX-License-Identifier: Apache-2.0

package realm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

func TestMappingMakesAnIdentity(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", realm.MaxValue+1)
	full := realm.Mapping{ID: "id", Name: "cn", Attributes: map[string]string{"email": "mail", "team": "ou"}, AMR: []string{"swk"}}
	for _, tt := range []struct {
		name    string
		mapping realm.Mapping
		values  map[string]string
		want    realm.Identity
		ok      bool
	}{
		{"everything", full, map[string]string{"id": "a-1", "cn": "Alice", "mail": "a@example.com", "ou": "Räder", "more": "x"},
			realm.Identity{ExternalID: "a-1", Name: "Alice", AMR: []string{"swk"}, Attributes: map[string]string{"email": "a@example.com", "team": "Räder"}}, true},
		{"nothing but the id", full, map[string]string{"id": "a-1"}, realm.Identity{ExternalID: "a-1", AMR: []string{"swk"}}, true},
		{"the longest id", full, map[string]string{"id": long[:realm.MaxExternalID]},
			realm.Identity{ExternalID: long[:realm.MaxExternalID], AMR: []string{"swk"}}, true},
		{"what is no text is left out", full, map[string]string{"id": "a-1", "cn": "A\x00", "mail": "a\xff", "ou": long},
			realm.Identity{ExternalID: "a-1", AMR: []string{"swk"}}, true},
		{"no name is asked", realm.Mapping{ID: "id"}, map[string]string{"id": "a-1", "": "Alice"}, realm.Identity{ExternalID: "a-1"}, true},
		{"no id", full, map[string]string{"cn": "Alice"}, realm.Identity{}, false},
		{"an empty id", full, map[string]string{"id": ""}, realm.Identity{}, false},
		{"an id that is too long", full, map[string]string{"id": long[:realm.MaxExternalID+1]}, realm.Identity{}, false},
		{"an id with a line end", full, map[string]string{"id": "a\r\nb"}, realm.Identity{}, false},
		{"an id with a control character of Latin-1", full, map[string]string{"id": "a\u0085b"}, realm.Identity{}, false},
		{"an id that is no UTF-8", full, map[string]string{"id": "a\xffb"}, realm.Identity{}, false},
		{"a mapping without an id", realm.Mapping{}, map[string]string{"": "a-1"}, realm.Identity{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := tt.mapping.Identity(tt.values)
			equal(t, "ok", ok, tt.ok)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("unexpected identity (-want +got):\n%s", diff)
			}
		})
	}
}

// An identity is the caller's: it shares nothing with the mapping of the next one.
func TestIdentitiesOfAMappingAreApart(t *testing.T) {
	t.Parallel()
	mapping := realm.Mapping{ID: "id", AMR: []string{"swk"}}
	first, _ := mapping.Identity(map[string]string{"id": "a"})
	first.AMR[0] = "pwd"
	if second, _ := mapping.Identity(map[string]string{"id": "b"}); second.AMR[0] != "swk" {
		t.Error("a change of one identity shows in the next")
	}
}

func TestMappingsThatFitNobody(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range realm.MaxAttributes + 1 {
		many[fmt.Sprint(i)] = "x"
	}
	for _, tt := range []struct {
		name    string
		mapping realm.Mapping
		says    string
	}{
		{"no id", realm.Mapping{}, "the id"},
		{"too many attributes", realm.Mapping{ID: "id", Attributes: many}, "more than"},
		{"an attribute without a name", realm.Mapping{ID: "id", Attributes: map[string]string{"": "x"}}, `attribute ""`},
		{"an attribute with a long name", realm.Mapping{ID: "id", Attributes: map[string]string{strings.Repeat("a", 65): "x"}}, "64 bytes"},
		{"an attribute of no value", realm.Mapping{ID: "id", Attributes: map[string]string{"a": ""}}, `"a" names no value`},
		{"a method of two words", realm.Mapping{ID: "id", AMR: []string{"sc pin"}}, `"sc pin"`},
		{"an empty method", realm.Mapping{ID: "id", AMR: []string{""}}, `""`},
		{"a long method", realm.Mapping{ID: "id", AMR: []string{strings.Repeat("a", 33)}}, "short word"},
		{"too many methods", realm.Mapping{ID: "id", AMR: strings.Split("a b c d e f g h i", " ")}, "more than 8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.mapping.Check(); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Check = %v, want an error about %s", err, tt.says)
			}
		})
	}
	good := realm.Mapping{ID: "id", Attributes: map[string]string{"email": "mail"}, AMR: []string{"sc", "pin"}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
}
