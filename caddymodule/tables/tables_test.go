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

// TestEveryNameIsClassified: of a new table somebody has to say whether it is a login, or a store that is restored without logins would
// keep it, or lose it, by chance. One whose records name a session or a grant, or open by a secret of their own, is one.
func TestEveryNameIsClassified(t *testing.T) {
	t.Parallel()
	tells := regexp.MustCompile(`(^|\.)(sid|session|auth_session|grant_id|secret_hash) string$`)
	for _, kind := range tables.All(nil) {
		d := kind.Describe()
		login, known := tables.Login(d.Name)
		if !known {
			t.Errorf("say in logins.go whether somebody is logged in by %q", d.Name)
		}
		for _, member := range members(d.Record, "", nil) {
			if d.Name != "audit" && !login && tells.MatchString(member) {
				t.Errorf("%q has %q, and is no login", d.Name, member)
			}
		}
	}
	for _, name := range tables.Bare {
		if login, known := tables.Login(name); !known || login {
			t.Errorf("%q is a login: %t, known: %t", name, login, known)
		}
	}
	if _, known := tables.Login("nothing"); known {
		t.Error("nothing is known")
	}
}
