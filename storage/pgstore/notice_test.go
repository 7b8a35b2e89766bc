// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/storage/pgstore"
)

func TestNoticesAreShort(t *testing.T) {
	t.Parallel()
	many := func(n int) (marks []uint64) {
		for i := range n {
			marks = append(marks, uint64(i)<<40)
		}
		return marks
	}
	tables := func(n int, name string) map[string][]uint64 {
		changes := map[string][]uint64{}
		for i := range n {
			changes[fmt.Sprintf(name, i)] = many(1)
		}
		return changes
	}
	for _, tt := range []struct {
		name    string
		changes map[string][]uint64
		want    string
	}{
		{"marks", map[string][]uint64{"operation": {1, 1 << 63}, "keyset": nil}, "gatehouse1 node_1 7 keyset operation=AAAAAAAAAAE.gAAAAAAAAAA"},
		{"marks that do not fit", map[string][]uint64{"a": many(250), "b": many(250), "c": many(250)}, "gatehouse1 node_1 7 a b c"},
		{"tables that do not fit", tables(65, "t%d"), "gatehouse1 node_1 7 *"},
		{"a table whose name cannot be told", tables(1, "a b%d"), "gatehouse1 node_1 7 *"},
		{"a table whose name is too long", tables(1, strings.Repeat("a", 64)+"%d"), "gatehouse1 node_1 7 *"},
		{"nothing", nil, "gatehouse1 node_1 7 *"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, pgstore.Tells(tt.changes)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNoticesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", "gatehouse1", "gatehouse1 node_1 7", "gatehouse2 node_1 7 *", "gatehouse1  7 *", "gatehouse1 node_1 7 ", "gatehouse1 node_1 7  a",
		"gatehouse1 node_1 -1 *", "gatehouse1 node_1 +1 *", "gatehouse1 node_1 01 *", "gatehouse1 node_1 18446744073709551616 *",
		"gatehouse1 node_1 7 * a", "gatehouse1 node_1 7 a *", "gatehouse1 node_1 7 a a", "gatehouse1 node_1 7 a=", "gatehouse1 node_1 7 =AAAAAAAAAAE",
		"gatehouse1 node_1 7 a=AAAAAAAAAAE.", "gatehouse1 node_1 7 a=AAAAAAAAAAF", "gatehouse1 node_1 7 a=AAAAAAAAAA", "gatehouse1 node_1 7 a=AAAAAAAAAAE=",
		"gatehouse1 node_1 7 a=AAAAA\nAAAAAE", "gatehouse1 n\u00f6de 7 *", "gatehouse1 node_1 7 a/b", "gatehouse1 node_1 7 *\n",
		"gatehouse1 " + strings.Repeat("n", 65) + " 7 *", "gatehouse1 node_1 7" + strings.Repeat(" a", 65),
		"gatehouse1 node_1 7 a" + strings.Repeat(".AAAAAAAAAAE", 700),
	} {
		if got, err := pgstore.Reread(text); err == nil {
			t.Errorf("%.60q is read as %q", text, got)
		}
	}
}

func FuzzNotices(f *testing.F) {
	f.Add("gatehouse1 node_1 7 *")
	f.Add("gatehouse1 node_1 7 keyset operation=AAAAAAAAAAE.gAAAAAAAAAA")
	f.Add("gatehouse1 node_1 18446744073709551615 a b=AAAAAAAAAAE.AAAAAAAAAAE")
	f.Fuzz(func(t *testing.T, text string) {
		once, err := pgstore.Reread(text)
		if err != nil {
			return
		}
		twice, err := pgstore.Reread(once)
		if err != nil || once != twice || len(once) > pgstore.MaxNotice || len(once) > len(text) {
			t.Errorf("%q is sent as %q and that as %q, %v", text, once, twice, err)
		}
	})
}
