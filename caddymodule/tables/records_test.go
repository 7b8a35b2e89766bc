// SPDX-License-Identifier: Apache-2.0

package tables_test

import (
	"encoding"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/caddymodule/tables"
)

var update = flag.Bool("update", false, "write down members that are new, and versions that were raised")

// written is what the records of the releases before have: a line for each member, "table version path kind".
const written = "testdata/records.txt"

// TestRecordsStayReadable compares the members of all records with those that are written down. While nodes are upgraded one after the other,
// each release reads what the other writes: a member may be added, if its absence means what it meant before, since a node of the release
// before does not know it and leaves it out of what it writes. One that goes, or becomes another kind, asks for another version of its table.
func TestRecordsStayReadable(t *testing.T) {
	t.Parallel()
	now, versions := map[string]bool{}, map[string]string{}
	for _, kind := range tables.All(nil) {
		d := kind.Describe()
		versions[d.Name] = fmt.Sprint(d.Version)
		for _, member := range members(d.Record, "", nil) {
			now[fmt.Sprintf("%s %d %s", d.Name, d.Version, member)] = true
		}
	}
	text, err := os.ReadFile(written)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		table := strings.Fields(line)
		switch {
		case now[line]:
		case versions[table[0]] == table[1]:
			t.Errorf("%q is gone or is another kind now: keep it, or raise the version of its table", line)
		case !*update:
			t.Errorf("%q is of another version now: -update, if nodes of the release before may run beside this one", line)
		}
		delete(now, line)
	}
	if t.Failed() {
		return
	}
	if *update {
		write(t, string(text), now, versions)
		return
	}
	for _, line := range slices.Sorted(maps.Keys(now)) {
		t.Errorf("%q is new: -update, if its absence means what it meant before", line)
	}
}

// write adds lines to those whose tables are of the same version still.
func write(t *testing.T, text string, lines map[string]bool, versions map[string]string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if table := strings.Fields(line); versions[table[0]] == table[1] {
			lines[strings.TrimSpace(line)] = true
		}
	}
	if err := os.WriteFile(written, []byte(strings.Join(slices.Sorted(maps.Keys(lines)), "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

var (
	marshals = reflect.TypeFor[json.Marshaler]()
	spells   = reflect.TypeFor[encoding.TextMarshaler]()
)

// members lists what encoding/json writes of a type, each as a path and a kind.
func members(of reflect.Type, path string, within []reflect.Type) []string {
	switch {
	case of.Kind() == reflect.Pointer:
		return members(of.Elem(), path, within)
	case of.Implements(marshals), of.Implements(spells), reflect.PointerTo(of).Implements(marshals):
		return []string{path + " as " + of.Name()}
	case slices.Contains(within, of):
		return []string{path + " again"}
	}
	switch of.Kind() {
	case reflect.Struct:
		return fields(of, path, append(slices.Clone(within), of))
	case reflect.Slice, reflect.Array:
		if of.Elem().Kind() == reflect.Uint8 {
			return []string{path + " bytes"}
		}
		return members(of.Elem(), path+"[]", within)
	case reflect.Map:
		return members(of.Elem(), path+"{}", within)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32,
		reflect.Uint64, reflect.Float32, reflect.Float64:
		return []string{path + " number"}
	}
	return []string{path + " " + of.Kind().String()}
}

func fields(of reflect.Type, path string, within []reflect.Type) (all []string) {
	for i := range of.NumField() {
		field := of.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-", !field.IsExported() && !field.Anonymous:
		case field.Anonymous && name == "":
			all = append(all, members(field.Type, path, within)...)
		default:
			if name == "" {
				name = field.Name
			}
			all = append(all, members(field.Type, strings.TrimPrefix(path+"."+name, "."), within)...)
		}
	}
	return all
}
