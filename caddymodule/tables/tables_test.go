// SPDX-License-Identifier: Apache-2.0

package tables_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/caddymodule/tables"
)

var described = regexp.MustCompile(`storage\.Table\[[^\]]+\]\{`)

// TestAllIsAll counts the tables that are described in the source: one that is not in the list would never be checked.
func TestAllIsAll(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, kind := range tables.All(nil) {
		d := kind.Describe()
		if d.Name == "" || d.Version == 0 || strings.ContainsAny(d.Name, "/#") || names[d.Name] {
			t.Errorf("a table is described as %+v", d)
		}
		names[d.Name] = true
	}
	for _, name := range tables.Bare {
		if names[name] {
			t.Errorf("%q is a table", name)
		}
	}
	found := 0
	root := os.DirFS("../..")
	for _, room := range []string{"authz", "mobileauth", "internal", "caddymodule"} {
		err := fs.WalkDir(root, room, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := fs.ReadFile(root, path)
			found += len(described.FindAll(text, -1))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found != len(names) {
		t.Errorf("%d tables are described in the source, %d are in the list", found, len(names))
	}
}
